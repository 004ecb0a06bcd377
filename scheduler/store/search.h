/* What is looked for in a list: one grammar for the API, the command line and the page.
 *
 *   search = term { " " term }
 *   term   = [ "-" ] ( key ":" value { "," value } | word )     -: what is not so
 *   value, word = letters without space, or "in quotes, \" and \\ in them"
 *
 * `state:failed operator:ml.train since:24h -dag:test_*`: all terms hold; of a term's values one
 * does. In ids and names * stands for anything; small and capital letters (of ASCII) are alike
 * where a part of a text is looked for. Keys, and what has them (Runs, Tasks, DAGs):
 *
 *   dag             R T D  its id
 *   operator, task  R T D  of one of its tasks; of T: its own
 *   state           R T D  as the API names them; of D: that of its last run, or broken
 *   cause           R T    of the run, as the API names them
 *   tag             R T D  of the DAG; of R and T: as it was
 *   note            R      a part of it
 *   since           R T    created (of T: the run) then or later: an age, a date, an instant
 *   until           R T    created before
 *   late            R      true or false
 *   pool, worker    T      its names
 *   error           T      a part of it
 *   paused, valid   D      true or false
 *   schedule        D      a part of one of its entries; none: it has none
 *
 * A word is a part of the DAG's id or of the note, or the run's id; of a task: a part of its or the
 * DAG's id or of its error; of a DAG: a part of its id or description or of a tag. */
#ifndef SCHEDULER_STORE_SEARCH_H
#define SCHEDULER_STORE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "nexus/error.h"
#include "nexus/states.h"

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
    SEARCH_POOL,
    SEARCH_WORKER,
    SEARCH_ERROR,
    SEARCH_PAUSED,
    SEARCH_VALID,
    SEARCH_SCHEDULE,
    SEARCH_KEYS
};

/* What is looked for; the numbers are bits. */
enum search_of { SEARCH_RUNS = 1, SEARCH_TASKS = 2, SEARCH_DAGS = 4 };

#define SEARCH_BROKEN NX_RUN_STATES /* a DAG's state beside those of its last run */

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
    enum search_of of;
    size_t n;
    struct search_term *terms;
};

/* NX_E_INVALID names the place and the nearest key or value; texts live in the arena. */
bool search_read(struct arena *arena, enum search_of of, const char *text, int64_t now_ms,
                 struct search *search, struct nx_err *err);
/* The same values, where they are parameters of their own. */
bool search_time(const char *key, const char *text, int64_t now_ms, int64_t *ms,
                 struct nx_err *err);
bool search_late(const char *text, bool *late, struct nx_err *err);
/* What a term is decided by: the DAG's version (dag, operator, task, tag), the run, or the DAG (all
 * terms of a search of DAGs). Of terms about tasks only those that say something of their run are
 * in the SQL: the rest is search_fits'. */
enum search_about { SEARCH_OF_VERSION, SEARCH_OF_RUN, SEARCH_OF_DAG };
bool search_has(const struct search *search, enum search_about about);
/* Appends " and (...)" for each of those terms, about the version `v`, the run `r` or the DAG `d`;
 * texts are the parameters from ?first on. The number of the next parameter. */
struct sql_stmt;
int search_sql(const struct search *search, enum search_about about, int first, struct buf *sql);
int search_bind(const struct search *search, enum search_about about, int first,
                struct sql_stmt *stmt);

/* A task instance; a text may be NULL. */
struct search_task {
    const char *dag, *id, *uses, *pool, *worker, *error;
    enum nx_task_state state;
};
/* What search_sql has left out of a search of tasks. */
bool search_fits(const struct search *search, const struct search_task *task);
/* Whether a task in that state can fit at all. */
bool search_fits_state(const struct search *search, enum nx_task_state state);
/* Whether a file without a DAG is what a search of DAGs looks for. */
bool search_fits_file(const struct search *search, const char *id);

#endif
