/* The contract between an operator and nexus-task: a descriptor that says everything about its
 * parameters and outputs, and one function. One operator a file, under tasks/<family>/. The
 * descriptor makes the checker of DAG files, `nexus op show`, forms and the reference page. */
#ifndef NEXUS_OPERATOR_H
#define NEXUS_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus/error.h"

/* What a parameter takes. A value given as one ${{ expression }} is checked when the attempt
 * starts, any other at load. */
enum nx_type {
    NX_T_BOOL,
    NX_T_INT,
    NX_T_FLOAT,
    NX_T_STRING,
    NX_T_ENUM,     /* one of `choices` */
    NX_T_DURATION, /* "10s" or a number of seconds; read with nx_arg_duration_ms */
    NX_T_SIZE,     /* "64M" or a number of bytes; read with nx_arg_int as bytes */
    NX_T_TIME,     /* RFC 3339 or YYYY-MM-DD */
    NX_T_SQL,      /* its expressions become bound parameters: see nx_arg_sql */
    NX_T_COLUMN,   /* a column's name */
    NX_T_TABLE,    /* a table artifact */
    NX_T_MODEL,    /* a model artifact */
    NX_T_STRINGS,  /* a list of strings; one string is a list of one */
    NX_T_LIST,     /* a list of anything */
    NX_T_OBJECT,   /* a mapping */
    NX_T_CONN,     /* the name of a connection, always a constant; the parameter is called `conn` */
    NX_T_ANY
};

enum nx_param_flag {
    NX_P_REQUIRED = 1,
    NX_P_HAS_MIN = 2,
    NX_P_HAS_MAX = 4,
    NX_P_SECRET = 8,     /* shown masked */
    NX_P_ABOVE_MIN = 16, /* min itself is not allowed */
    NX_P_DATASET = 32    /* a constant: the name of a dataset that the operator writes, or a list:
                            as if it stood in the task's `produces` */
};

struct nx_members;

struct nx_param {
    const char *name;
    enum nx_type type;
    unsigned flags;
    const char *fallback; /* the default, as JSON text; NULL: none */
    double min, max;      /* with NX_P_HAS_MIN, NX_P_HAS_MAX; in `unit`; inclusive */
    const char *unit;     /* "rows", "s", ...; NULL: none */
    const char *choices;  /* NX_T_ENUM: "a|b|c"; NX_T_CONN: kinds that it takes */
    const char *help;     /* one sentence */
    const char *also;     /* what others call it, "eta|lr": for the hint; NULL: nothing */
    /* What is inside, so that constants are checked at load. NULL: anything. */
    const struct nx_members *members; /* NX_T_OBJECT: its keys; ends with NULL params */
    const struct nx_param *each;      /* NX_T_OBJECT, NX_T_LIST: what each value is */
};

/* Keys of an object. `when`: "algorithm=boosting": only when the parameter `algorithm` beside the
 * object is that; NULL: always. */
struct nx_members {
    const char *when;
    const struct nx_param *params; /* ends with a NULL name */
};

/* A named output, as `outputs.<task>.<name>` gives it. */
struct nx_port {
    const char *name;
    enum nx_type type;
    const char *help;
};

enum nx_operator_flag {
    NX_OP_ORDER_SENSITIVE = 1, /* the order of its input rows changes its result */
    NX_OP_CORE =
        4, /* the scheduler does it itself, without a worker; run() is for one task alone */
    NX_OP_POKE = 8, /* each run() is a short look at something that is waited for: NX_NOT_YET */
    NX_OP_PURE = 2  /* same inputs, same outputs, no other effect: may be cached later */
};

enum nx_outcome {
    NX_DONE,
    NX_SKIPPED, /* the operator decided that there is nothing to do; see nx_skip */
    NX_NOT_YET, /* NX_OP_POKE: what it looks for is not there */
    NX_FAILED   /* *err says why; nx_code_info(err->code)->retryable says whether to try again */
};

struct nx_ctx; /* one attempt; made by nexus-task */

struct nx_operator {
    const char *name;              /* "data.sql" */
    int version;                   /* raised when the meaning of a parameter or output changes */
    const char *summary;           /* one line */
    const char *doc;               /* paragraphs in Markdown; NULL: none */
    const struct nx_param *params; /* ends with a NULL name */
    const struct nx_port *outputs; /* ends with a NULL name */
    const char *example;           /* a task in YAML that uses it, checked by a test */
    unsigned flags;
    enum nx_outcome (*run)(struct nx_ctx *ctx, struct nx_err *err);
};

/* ---- Arguments. Checked against the descriptor before run() is called; defaults filled in. ----
 */

bool nx_arg_given(const struct nx_ctx *ctx, const char *name); /* present and not null */
bool nx_arg_bool(const struct nx_ctx *ctx, const char *name);
int64_t nx_arg_int(const struct nx_ctx *ctx, const char *name);
double nx_arg_float(const struct nx_ctx *ctx, const char *name);
int64_t nx_arg_duration_ms(const struct nx_ctx *ctx, const char *name);
/* Text of a string, enum, time or column parameter; NULL when absent. Lives as long as ctx. */
const char *nx_arg_text(const struct nx_ctx *ctx, const char *name);
/* Any parameter as JSON text ("null" when absent). Lives as long as ctx. */
const char *nx_arg_json(const struct nx_ctx *ctx, const char *name);
/* A list of strings: n of them, and the i-th. */
size_t nx_arg_count(const struct nx_ctx *ctx, const char *name);
const char *nx_arg_item(const struct nx_ctx *ctx, const char *name, size_t i);

/* SQL: the text with $1..$n in place of the expressions, and the i-th value (from 0) as JSON text.
 * A timestamp value is the object {"timestamp_us": n}, a date {"date_days": n}. */
const char *nx_arg_sql(const struct nx_ctx *ctx, const char *name, size_t *n_values);
const char *nx_arg_sql_value(const struct nx_ctx *ctx, const char *name, size_t i);

/* The URI of the connection that a parameter names, of one of the kinds that its descriptor lists:
 * to be read with lib/text/conn.h. NULL: *err says that there is none, or why it cannot be read.
 * Lives as long as ctx; its secrets are masked in the log. */
const char *nx_conn(struct nx_ctx *ctx, const char *name, struct nx_err *err);

/* ---- What an operator says ---- */

void nx_log(struct nx_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* fraction in 0..1; negative: unknown. Cheap: sent at most ten times a second. */
void nx_progress(struct nx_ctx *ctx, double fraction, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Outputs. `json` is one JSON value. All outputs together: at most NX_OUTPUTS_MAX bytes. */
bool nx_output_json(struct nx_ctx *ctx, const char *name, const char *json, struct nx_err *err);
bool nx_output_text(struct nx_ctx *ctx, const char *name, const char *text, struct nx_err *err);
bool nx_output_float(struct nx_ctx *ctx, const char *name, double v, struct nx_err *err);
bool nx_output_int(struct nx_ctx *ctx, const char *name, int64_t v, struct nx_err *err);
bool nx_output_bool(struct nx_ctx *ctx, const char *name, bool v, struct nx_err *err);
/* A metric of the tracked run; step < 0: none. */
void nx_metric(struct nx_ctx *ctx, const char *name, double v, int64_t step);
/* Sets the reason and returns NX_SKIPPED. */
enum nx_outcome nx_skip(struct nx_ctx *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- The attempt ---- */

/* True once the attempt is cancelled or timed out: end soon. Cheap; call it in loops. */
bool nx_cancelled(const struct nx_ctx *ctx);
/* A function to call, from another thread, when that happens (NULL: none): interrupts a library. */
void nx_on_cancel(struct nx_ctx *ctx, void (*cancel)(void *arg), void *arg);
int nx_cpus(const struct nx_ctx *ctx);             /* threads to use, >= 1 */
int64_t nx_memory_bytes(const struct nx_ctx *ctx); /* the attempt's limit; 0: none */
const char *nx_folder(const struct nx_ctx *ctx);   /* working folder, empty but for `files:` */
const char *nx_project(const struct nx_ctx *ctx);  /* where relative paths of sources start: the
                                                      folder that `dags/` is in */
const char *nx_info(const struct nx_ctx *ctx, const char *key); /* "run_id", "dag_id", "task_id",
                                                       "attempt", "dag_version"; or NULL */

/* ---- Artifacts: files and folders addressed by the SHA-256 of their content ---- */

/* Keeps a file or folder (the path may be moved away). kind: "table", "model", "file". meta: a JSON
 * object with what describes it (rows, columns, rows_hash, ...) or NULL. Puts
 * {"artifact": "sha256:<hex>", "kind": ..., "bytes": n, <meta's keys>} as the output `name`. */
bool nx_artifact_output(struct nx_ctx *ctx, const char *name, const char *path, const char *kind,
                        const char *meta, struct nx_err *err);
/* The local path of the artifact that a table, model or file parameter refers to ("tables.flights":
 * an entry of the object parameter `tables`). Read-only; lives as long as ctx. `meta` (may be NULL)
 * gets its whole reference as JSON text. */
const char *nx_artifact_path(struct nx_ctx *ctx, const char *param, const char **meta,
                             struct nx_err *err);

#endif
