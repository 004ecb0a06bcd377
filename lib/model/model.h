/* Models: what a trained model expects, how it transforms its inputs and what it predicts. The one
 * implementation that operators, command line and serving share.
 *
 * A model is a folder:
 *
 *     nexus.json       the manifest: inputs, transform, features, classes, payload's hash, golden
 *                      rows
 *     trees.bin        payload of tree ensembles (trees.h says the form), or
 *     linear.json      payload of linear models
 *     model.ubj        the same trees in XGBoost's own form, for other programs
 *     golden.parquet   the golden rows as a table, for other programs
 *     MLmodel reference.json card.md input_example.json requirements.txt python_env.yaml
 *
 * How a row becomes a prediction, all of it in this folder and PURE but for opening and writing:
 *
 *     columns --check--> inputs (doubles; text is a code) --steps--> slots --> features --> values
 *
 * A slot is a column of doubles, NaN where missing: first the inputs in their order, then what each
 * step gives. Steps are computed in double. Tree models take their features as float32, rounded
 * once there; linear models stay in double throughout. */
#ifndef LIB_MODEL_MODEL_H
#define LIB_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/data/column.h"
#include "lib/data/table.h"
#include "lib/model/linear.h"
#include "lib/model/trees.h"
#include "nexus/error.h"

#define MODEL_FORMAT 1
#define MODEL_INPUTS_MAX 10000
#define MODEL_SLOTS_MAX 200000
#define MODEL_CLASSES_MAX 1000
#define MODEL_GOLDEN_ROWS 32
#define MODEL_FILE_MAX (1024ll * 1024 * 1024)

enum model_task { MODEL_BINARY, MODEL_MULTICLASS, MODEL_REGRESSION, MODEL_TASKS };
enum model_missing { MODEL_MISSING_ALLOW, MODEL_MISSING_ERROR };
enum model_unknown { MODEL_UNKNOWN_AS_MISSING, MODEL_UNKNOWN_ERROR, MODEL_UNKNOWN_MOST_FREQUENT };
enum model_family { MODEL_TREES, MODEL_LINEAR };

/* What a caller sends. Types: bool, int64, double, category (text), date (days), timestamp
 * (seconds since 1970 as a feature). */
struct model_input {
    const char *name;
    enum table_type type;
    enum model_missing missing;
    enum model_unknown unknown; /* TABLE_CATEGORY: text that training did not have */
    const char *const
        *categories; /* TABLE_CATEGORY: sorted by their bytes; the code is the index */
    size_t n_categories;
    uint32_t most_frequent; /* code */
};

enum model_op {
    MODEL_IMPUTE,      /* out = value where in is missing */
    MODEL_STANDARDIZE, /* out = (in - mean) / scale */
    MODEL_ONE_HOT,     /* n_out slots: 1 in that of the code, 0 elsewhere; all 0 when missing */
    MODEL_OPS
};

struct model_step {
    enum model_op op;
    uint32_t in;         /* slot */
    uint32_t out, n_out; /* first slot; how many */
    double value;        /* MODEL_IMPUTE */
    double mean, scale;  /* MODEL_STANDARDIZE */
};

struct model_feature {
    const char *name;
    uint32_t slot;
    uint32_t n_categories; /* 0: a number; else a code below that (XGBoost's type "c") */
};

/* Rows as they were at training: what comes out must stay the same to the last bit. */
struct model_golden {
    size_t n_rows;
    struct column *inputs; /* one for each input */
    double *features;      /* n_rows x n_features, row-major */
    double *values;        /* n_rows x n_values, row-major */
};

struct model {
    struct arena arena; /* everything below */
    enum model_task task;
    enum model_family family;
    const char *algorithm; /* "gradient_boosting" */
    const char *library, *library_version;
    uint64_t seed;
    const char *params; /* JSON object: the algorithm's parameters, all of them */

    struct model_input *inputs;
    size_t n_inputs;
    struct model_step *steps;
    size_t n_steps;
    const char **slots; /* names */
    size_t n_slots, slots_cap, steps_cap;
    struct model_feature *features;
    size_t n_features;

    const char *target;
    enum table_type target_type;
    const char **classes; /* as text; NULL for regression */
    size_t n_classes;
    size_t positive;  /* MODEL_BINARY: index into classes */
    double threshold; /* MODEL_BINARY: positive when its probability is at least that */

    struct trees trees;   /* MODEL_TREES */
    struct linear linear; /* MODEL_LINEAR */
    struct model_golden golden;

    /* Said in the manifest, not used here: JSON text or NULL. */
    const char *trained;    /* object: run, task, rows, hashes of the tables, ... */
    const char *metrics;    /* object: {"training": {...}, "validation": {...}} */
    const char *baseline;   /* object */
    const char *warnings;   /* list of strings */
    const char *importance; /* object: feature -> share of the gain, or absolute coefficient */
};

const char *model_task_name(enum model_task task);
const char *model_op_name(enum model_op op);

/* ---- Opening (files) ---- */

/* Reads and checks a folder: the manifest, the payload's hash, and the golden rows, replayed. A
 * payload that was changed is NX_E_DATA ("model_payload_mismatch ..."), a golden row that comes out
 * different in one bit too ("model_golden_mismatch ..."). */
bool model_open(const char *folder, struct model **model, struct nx_err *err);
void model_free(struct model *model); /* NULL is fine */

/* An empty model to be filled (arena ready). */
struct model *model_new(void);

/* ---- Predicting (memory only) ---- */

/* How a set of columns fits a model: made once, used for its rows in any order. */
struct model_binding {
    const struct column **column; /* per input */
    int32_t **code;               /* per input of text: from the column's codes to the model's */
};

/* Whether the columns are what the model needs: every input there (by name; others are ignored), of
 * a type that fits (an int64 or bool column may stand for a double input, text for a category, and
 * int64 for int64 only). All that is wrong is named at once. Free with model_binding_fini. */
bool model_check(const struct model *model, const struct column *columns, size_t n_columns,
                 struct model_binding *binding, struct nx_err *err);
void model_binding_fini(const struct model *model, struct model_binding *binding);

/* A value of a bool, int64, double, date (days) or timestamp (seconds) column; NaN when missing or
 * text. */
double model_number(const struct column *column, size_t row);

/* Rows [from, from + n) to features, row-major, n x n_features. Fails on a missing or unknown value
 * where the input forbids it, and names row and column. */
bool model_transform(const struct model *model, const struct model_binding *binding, size_t from,
                     size_t n, double *features, struct nx_err *err);
/* The same, rounded to float32. */
bool model_transform_float(const struct model *model, const struct model_binding *binding,
                           size_t from, size_t n, float *features, struct nx_err *err);

struct model_output {
    size_t n_rows, n_values;
    double *values;   /* n_rows x n_values, row-major */
    uint32_t *labels; /* classification: index into classes; else NULL */
};

/* Values of one row: the predicted number, or the probability of each class. */
size_t model_n_values(const struct model *model);
/* Features (n x n_features) to values (n x model_n_values), row-major. */
void model_values(const struct model *model, const double *features, size_t n, double *values);
/* The same from features that are float32 already: tree models only. */
void model_values_float(const struct model *model, const float *features, size_t n, double *values);
/* Features of either kind (the other is NULL) to a whole output. */
void model_predict_features(const struct model *model, const double *as_double,
                            const float *as_float, size_t n_rows, struct model_output *output);
/* The class that a row's values say. */
uint32_t model_label(const struct model *model, const double *values);

/* All of it: check, transform, predict. */
bool model_predict(const struct model *model, const struct column *columns, size_t n_columns,
                   size_t n_rows, struct model_output *output, struct nx_err *err);
void model_output_fini(struct model_output *output);

/* ---- Making one ---- */

/* Inputs (copied; what they point to must live in the model's arena), which become the first slots.
 */
void model_set_inputs(struct model *model, const struct model_input *inputs, size_t n);
/* Adds a step at the end with n_out slots of those names; returns its first output slot. */
uint32_t model_add_step(struct model *model, struct model_step step, const char *const *names);
/* Copies the inputs of some rows (at most MODEL_GOLDEN_ROWS); with the trained predictor in place,
 * seal computes what comes out of them. */
void model_pick_golden(struct model *model, const struct model_binding *binding, const size_t *rows,
                       size_t n);
bool model_seal_golden(struct model *model, struct nx_err *err);
/* What the inputs of golden rows give now; and whether that is, to the bit, what they gave. */
bool model_golden_run(const struct model *model, const struct model_golden *golden,
                      double *features, double *values, struct nx_err *err);
bool model_golden_replay(const struct model *model, struct nx_err *err);
/* Writes manifest, payload, MLmodel, requirements, example and card into a folder that exists.
 * Other files of the model (model.ubj, golden.parquet, reference.json) are the caller's. The same
 * model gives the same bytes. */
bool model_write(const struct model *model, const char *folder, struct nx_err *err);

#endif
