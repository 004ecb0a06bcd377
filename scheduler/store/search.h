/* What is looked for in a list: one grammar for the API, the command line and the page.
 *
 *   search = term { " " term }
 *   term   = [ "-" ] ( key ":" value { "," value } | word )     -: what is not so
 *   value, word = letters without space, or "in quotes, \" and \\ in them"
 *
 * `state:failed operator:ml.train since:24h -dag:test_*`: all terms hold; of a term's values one
 * does. Keys of runs:
 *
 *   dag             its id; * stands for anything
 *   operator, task  of one of its tasks; * stands for anything
 *   state, cause    as the API names them
 *   tag             of the DAG, as it was
 *   note            a part of it; small and capital letters (of ASCII) are alike
 *   since           created then or later: a duration ago (24h), a date, an instant
 *   until           created before
 *   late            true or false
 *
 * A word is a part of the DAG's id or of the note, or the run's id. */
#ifndef SCHEDULER_STORE_SEARCH_H
#define SCHEDULER_STORE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "nexus/error.h"

#define SEARCH_TERMS_MAX 32
#define SEARCH_VALUES_MAX 32

enum search_key {
    SEARCH_WORD,
    SEARCH_DAG,
    SEARCH_OPERATOR,
    SEARCH_TASK,
    SEARCH_STATE,
    SEARCH_CAUSE,
    SEARCH_TAG,
    SEARCH_NOTE,
    SEARCH_SINCE,
    SEARCH_UNTIL,
    SEARCH_LATE,
    SEARCH_KEYS
};

struct search_value {
    const char *text;
    int64_t number; /* of a state, cause, time or truth */
};

struct search_term {
    enum search_key key;
    bool not ;
    size_t n;
    struct search_value *values;
};

struct search {
    size_t n;
    struct search_term *terms;
};

/* NX_E_INVALID names the place and the nearest key or value; texts live in the arena. */
bool search_read(struct arena *arena, const char *text, int64_t now_ms, struct search *search,
                 struct nx_err *err);
/* The same values, where they are parameters of their own. */
bool search_time(const char *key, const char *text, int64_t now_ms, int64_t *ms,
                 struct nx_err *err);
bool search_late(const char *text, bool *late, struct nx_err *err);
/* The terms that a DAG's version decides (dag, operator, task, tag), and the others. */
enum search_about { SEARCH_OF_VERSION, SEARCH_OF_RUN };

/* Appends " and (...)" for each of those terms, about the version `v` or the run `r`; texts are the
 * parameters from ?first on, in the order of search_bind. How many terms there are. */
struct sql_stmt;
size_t search_sql(const struct search *search, enum search_about about, int first, struct buf *sql);
void search_bind(const struct search *search, enum search_about about, int first,
                 struct sql_stmt *stmt);

#endif
