/* Expressions: Lua 5.4 in a sandbox, over JSON values.
 *
 * An expression is what may follow `return`: one value. It sees the roots that were set (params,
 * run, dag, task, outputs, vars, secrets, item, index), the helpers below, and nothing else: no
 * files, clock, randomness, load, metatables or pattern functions. JSON null is nil, integers stay
 * integers, lists count from 1 as in Lua (`#list` is their length).
 *
 * Helpers: date(text | time), time(text | date), days(n), hours(n), minutes(n), seconds(n) and
 * their arithmetic and comparison (time - duration, time - time, duration * n);
 * t:format("%Y-%m-%d"), t.year month day hour minute second, t.unix, d.seconds; tonumber tostring
 * type ipairs pairs select next, math.*, string.* (find is plain) and as methods: s:upper() lower
 * len sub find contains starts ends replace split trim rep format; glob(pattern, text), join(list,
 * sep), json(value), contains( list, value), default(value, fallback), keys(object), min, max, sum,
 * round.
 *
 * Bounds: NX_EXPR_STEPS_MAX instructions and NX_EXPR_MEMORY_MAX bytes an evaluation, beside what
 * was set. An evaluation leaves nothing behind that the next could see. */
#ifndef LIB_SCRIPT_SCRIPT_H
#define LIB_SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "nexus/error.h"

#define SCRIPT_TEXT_MAX 16384 /* bytes of one expression */

struct script;

enum script_root {
    SCRIPT_PARAMS = 1,
    SCRIPT_RUN = 2,
    SCRIPT_DAG = 4,
    SCRIPT_TASK = 8,
    SCRIPT_OUTPUTS = 16,
    SCRIPT_VARS = 32,
    SCRIPT_SECRETS = 64,
    SCRIPT_ITEM = 128,
    SCRIPT_INDEX = 256
};

const char *script_root_name(enum script_root root);

struct script *script_new(void);
void script_free(struct script *script);

/* Sets a root (keeps a reference; NULL unsets it). In `run` the texts of interval.start,
 * interval.finish and of keys that end in _at become times. Anywhere {"timestamp_us": n} is a time
 * and {"date_days": n} a date. */
void script_set(struct script *script, const char *root, json_t *value);

/* How times stand in a result. */
enum script_times {
    SCRIPT_TIMES_TEXT, /* RFC 3339, YYYY-MM-DD; durations as seconds */
    SCRIPT_TIMES_TYPED /* {"timestamp_us": n}, {"date_days": n}; durations as seconds */
};

/* The value as JSON (nil is null); a new reference. NX_E_INVALID: does not compile or fails;
 * NX_E_LIMIT: a bound was reached. Messages quote the expression. */
bool script_eval(struct script *script, const char *expression, enum script_times times,
                 json_t **result, struct nx_err *err);
/* The value as it stands in text: strings as they are, times as RFC 3339, dates as YYYY-MM-DD,
 * lists and objects as JSON; nil is an error that names the expression. To be freed with mem_free.
 */
bool script_eval_text(struct script *script, const char *expression, char **text, size_t *n,
                      struct nx_err *err);
/* What Lua holds true: everything but nil and false. */
bool script_eval_truth(struct script *script, const char *expression, bool *truth,
                       struct nx_err *err);
bool script_truthy(const json_t *value);

/* ---- Without running it ---- */

/* A root that an expression names, with the members that stand there as text:
 * `outputs.train["roc_auc"]` is {SCRIPT_OUTPUTS, "train", "roc_auc"}. */
struct script_name {
    enum script_root root;
    const char *member;                             /* or NULL */
    const char *submember;                          /* or NULL */
    size_t offset, member_offset, submember_offset; /* bytes in the expression */
};

struct script_names {
    struct script_name *at; /* in the arena, in the order of the text */
    size_t n;
    unsigned roots; /* of enum script_root */
};

/* Checks the syntax and finds what it names. An unknown name, `outputs` without a constant task,
 * `secrets` without a constant name and what no expression may hold are NX_E_INVALID; *offset (may
 * be NULL) is then the byte where. */
bool script_check(struct script *script, struct arena *arena, const char *expression, size_t n,
                  struct script_names *names, size_t *offset, struct nx_err *err);

#endif
