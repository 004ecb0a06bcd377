#include "lib/model/manifest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"

static const char *const missing_names[] = {"allow", "error"};
static const char *const unknown_names[] = {"as_missing", "error", "most_frequent"};
static const char *const task_names[] = {"binary", "multiclass", "regression"};
static const char *const op_names[] = {"impute", "standardize", "one_hot"};
static const char *const link_names[] = {"identity", "logistic", "softmax"};

const char *model_task_name(enum model_task task)
{
    must(task < MODEL_TASKS);
    return task_names[task];
}

const char *model_op_name(enum model_op op)
{
    must(op < MODEL_OPS);
    return op_names[op];
}

void manifest_text(json_t *value, struct buf *text)
{
    char *s = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    must(s != NULL);
    buf_str(text, s);
    buf_char(text, '\n');
    free(s);
    json_decref(value);
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *strings(const char *const *at, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(at[i]));
    return list;
}

/* Text that is JSON already. */
static json_t *parsed(const char *text)
{
    json_t *v = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    return v ? v : json_null();
}

json_t *manifest_value(const struct column *column, size_t row)
{
    if (!column_is_valid(column, row))
        return json_null();
    switch (column->type) {
    case TABLE_BOOL:
        return json_boolean(column->as.b[row]);
    case TABLE_DOUBLE:
        return number(column->as.f[row]);
    case TABLE_STRING:
    case TABLE_CATEGORY:
        return column->as.code[row] >= 0 ? json_string(column->text[column->as.code[row]])
                                         : json_null();
    default:
        return json_integer(column->as.i[row]);
    }
}

/* The slot that a name means after the first n_slots of them: the latest. */
static bool slot_find(const struct model *model, size_t n_slots, const char *name, uint32_t *slot)
{
    for (size_t i = n_slots; i-- > 0;) {
        if (strcmp(model->slots[i], name) == 0) {
            *slot = (uint32_t)i;
            return true;
        }
    }
    return false;
}

static bool slots_are_told_apart(const struct model *model, struct nx_err *err)
{
    uint32_t slot = 0;
    for (size_t s = 0; s < model->n_steps; s++) {
        const struct model_step *step = &model->steps[s];
        const char *name = model->slots[step->in];
        if (!slot_find(model, step->out, name, &slot) || slot != step->in)
            return nx_fail(err, NX_E_DATA, "two columns or features come to be called '%s'", name);
    }
    for (size_t j = 0; j < model->n_features; j++) {
        const char *name = model->slots[model->features[j].slot];
        if (!slot_find(model, model->n_slots, name, &slot) || slot != model->features[j].slot)
            return nx_fail(err, NX_E_DATA, "two columns or features come to be called '%s'", name);
    }
    return true;
}

/* ---- Writing ---- */

static json_t *write_inputs(const struct model *model)
{
    json_t *list = json_array();
    for (size_t i = 0; i < model->n_inputs; i++) {
        const struct model_input *input = &model->inputs[i];
        json_t *o =
            json_pack("{s:s, s:s, s:s}", "name", input->name, "type", table_type_name(input->type),
                      "missing", missing_names[input->missing]);
        if (input->type == TABLE_CATEGORY) {
            json_object_set_new(o, "unknown", json_string(unknown_names[input->unknown]));
            if (input->n_categories > 0)
                json_object_set_new(o, "most_frequent",
                                    json_string(input->categories[input->most_frequent]));
            json_object_set_new(o, "categories", strings(input->categories, input->n_categories));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *write_steps(const struct model *model)
{
    json_t *list = json_array();
    for (size_t s = 0; s < model->n_steps; s++) {
        const struct model_step *step = &model->steps[s];
        const char *const *out = (const char *const *)model->slots + step->out;
        json_t *o = json_pack("{s:s, s:i, s:s, s:o}", "op", op_names[step->op], "version", 1, "in",
                              model->slots[step->in], "out", strings(out, step->n_out));
        if (step->op == MODEL_IMPUTE)
            json_object_set_new(o, "value", number(step->value));
        if (step->op == MODEL_STANDARDIZE) {
            json_object_set_new(o, "mean", number(step->mean));
            json_object_set_new(o, "scale", number(step->scale));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *write_features(const struct model *model)
{
    json_t *list = json_array();
    for (size_t j = 0; j < model->n_features; j++) {
        const struct model_feature *f = &model->features[j];
        json_t *o = json_pack("{s:s, s:s, s:s}", "name", f->name, "from", model->slots[f->slot],
                              "type", f->n_categories ? "category" : "number");
        if (f->n_categories)
            json_object_set_new(o, "n_categories", json_integer(f->n_categories));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *write_rows(const double *at, size_t n_rows, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n_rows; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < n; j++)
            json_array_append_new(row, number(at[i * n + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *write_golden(const struct model *model)
{
    const struct model_golden *g = &model->golden;
    json_t *inputs = json_object();
    for (size_t i = 0; i < model->n_inputs && g->n_rows > 0; i++) {
        json_t *values = json_array();
        for (size_t r = 0; r < g->n_rows; r++)
            json_array_append_new(values, manifest_value(&g->inputs[i], r));
        json_object_set_new(inputs, model->inputs[i].name, values);
    }
    return json_pack("{s:I, s:o, s:o, s:o}", "rows", (json_int_t)g->n_rows, "inputs", inputs,
                     "features", write_rows(g->features, g->n_rows, model->n_features), "values",
                     write_rows(g->values, g->n_rows, model_n_values(model)));
}

static json_t *write_outputs(const struct model *model)
{
    json_t *list = json_array();
    const char *type =
        model->task == MODEL_REGRESSION ? "double" : table_type_name(model->target_type);
    json_array_append_new(list, json_pack("{s:s, s:s}", "name", "prediction", "type", type));
    if (model->task != MODEL_REGRESSION)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", "probability", "type",
                                              "double", "per", "class"));
    return list;
}

/* The same model for other programs, and how far their answers differ: XGBoost's are compared bit
 * for bit when the model is trained. */
static json_t *write_exports(const struct model *model)
{
    json_t *o = json_pack("{s:{s:n, s:s}}", "onnx", "file", "missing",
                          "this version of Nexus does not write ONNX");
    if (strcmp(model->library, "xgboost") == 0)
        json_object_set_new(o, "xgboost",
                            json_pack("{s:s, s:i}", "file", "model.ubj", "largest_difference", 0));
    return o;
}

bool manifest_write(const struct model *model, const struct manifest_payload *payload,
                    struct buf *text, struct nx_err *err)
{
    if (!slots_are_told_apart(model, err))
        return false;
    json_t *o = json_pack("{s:i, s:s, s:s, s:{s:s, s:s}}", "format", MODEL_FORMAT, "task",
                          task_names[model->task], "algorithm", model->algorithm, "library", "name",
                          model->library, "version", model->library_version);
    json_object_set_new(o, "payload",
                        json_pack("{s:s, s:s, s:s}", "family",
                                  model->family == MODEL_TREES ? "trees" : "linear", "file",
                                  payload->file, "sha256", payload->sha256));
    json_object_set_new(o, "seed", json_integer((json_int_t)model->seed));
    json_object_set_new(o, "params", parsed(model->params));
    json_object_set_new(o, "inputs", write_inputs(model));
    json_object_set_new(o, "transform", write_steps(model));
    json_object_set_new(o, "features", write_features(model));
    json_object_set_new(o, "target",
                        json_pack("{s:s, s:s}", "name", model->target, "type",
                                  table_type_name(model->target_type)));
    if (model->task != MODEL_REGRESSION)
        json_object_set_new(o, "classes",
                            strings((const char *const *)model->classes, model->n_classes));
    if (model->task == MODEL_BINARY) {
        json_object_set_new(o, "positive", json_string(model->classes[model->positive]));
        json_object_set_new(o, "threshold", number(model->threshold));
    }
    json_object_set_new(o, "calibration", json_null());
    json_object_set_new(o, "outputs", write_outputs(model));
    json_object_set_new(o, "trained", parsed(model->trained));
    json_object_set_new(o, "metrics", parsed(model->metrics));
    json_object_set_new(o, "baseline", parsed(model->baseline));
    json_object_set_new(o, "importance", parsed(model->importance));
    json_object_set_new(o, "warnings", parsed(model->warnings));
    json_object_set_new(o, "exports", write_exports(model));
    json_object_set_new(o, "golden", write_golden(model));
    manifest_text(o, text);
    return true;
}

/* ---- Reading ---- */

static bool find_name(const char *const *names, size_t n, const json_t *value, const char *what,
                      unsigned *index, struct nx_err *err)
{
    const char *name = json_string_value(value);
    for (unsigned i = 0; name && i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return true;
        }
    }
    return nx_fail(err, NX_E_DATA, "nexus.json: %s is '%s', which this version does not know", what,
                   name ? name : "(no text)");
}

static const char *text_of(struct model *model, const json_t *o, const char *key,
                           struct nx_err *err)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s) {
        nx_fail(err, NX_E_DATA, "nexus.json: '%s' is missing or no text", key);
        return NULL;
    }
    return arena_strdup(&model->arena, s);
}

static bool read_strings(struct arena *arena, const json_t *list, const char ***at, size_t *n,
                         struct nx_err *err)
{
    size_t count = json_array_size(list);
    const char **v = arena_array(arena, count + 1, sizeof *v);
    for (size_t i = 0; i < count; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s)
            return nx_fail(err, NX_E_DATA, "nexus.json: a list of texts holds something else");
        v[i] = arena_strdup(arena, s);
    }
    *at = v;
    *n = count;
    return true;
}

static bool read_input(struct model *model, const json_t *o, struct model_input *input,
                       struct nx_err *err)
{
    const char *type = json_string_value(json_object_get(o, "type"));
    unsigned missing = 0, unknown = 0;
    input->name = text_of(model, o, "name", err);
    if (!input->name)
        return false;
    if (!type || !table_type_find(type, &input->type) || input->type == TABLE_DOUBLES ||
        input->type == TABLE_STRING)
        return nx_fail(err, NX_E_DATA, "nexus.json: input '%s' has no type that this version knows",
                       input->name);
    if (!find_name(missing_names, 2, json_object_get(o, "missing"), "missing", &missing, err))
        return false;
    input->missing = (enum model_missing)missing;
    if (input->type != TABLE_CATEGORY)
        return true;
    const char **categories;
    if (!find_name(unknown_names, 3, json_object_get(o, "unknown"), "unknown", &unknown, err) ||
        !read_strings(&model->arena, json_object_get(o, "categories"), &categories,
                      &input->n_categories, err))
        return false;
    input->unknown = (enum model_unknown)unknown;
    input->categories = categories;
    const char *most = json_string_value(json_object_get(o, "most_frequent"));
    for (size_t k = 0; k < input->n_categories; k++) {
        if (k > 0 && strcmp(categories[k - 1], categories[k]) >= 0)
            return nx_fail(err, NX_E_DATA, "nexus.json: categories of '%s' are not sorted",
                           input->name);
        if (most && strcmp(most, categories[k]) == 0)
            input->most_frequent = (uint32_t)k;
    }
    return true;
}

static bool read_inputs(struct model *model, const json_t *list, struct nx_err *err)
{
    size_t n = json_array_size(list);
    if (n > MODEL_INPUTS_MAX)
        return nx_fail(err, NX_E_LIMIT, "nexus.json: more than %d inputs", MODEL_INPUTS_MAX);
    struct model_input *inputs = arena_array(&model->arena, n + 1, sizeof *inputs);
    for (size_t i = 0; i < n; i++) {
        if (!read_input(model, json_array_get(list, i), &inputs[i], err))
            return false;
    }
    model_set_inputs(model, inputs, n);
    return true;
}

static bool read_step(struct model *model, const json_t *o, struct nx_err *err)
{
    unsigned op = 0;
    const char **names = NULL;
    size_t n = 0;
    if (!find_name(op_names, MODEL_OPS, json_object_get(o, "op"), "a transform's op", &op, err) ||
        !read_strings(&model->arena, json_object_get(o, "out"), &names, &n, err))
        return false;
    struct model_step step = {.op = (enum model_op)op, .n_out = (uint32_t)n};
    const char *in = json_string_value(json_object_get(o, "in"));
    if (json_integer_value(json_object_get(o, "version")) != 1)
        return nx_fail(err, NX_E_UNSUPPORTED, "nexus.json: transform %s is of a later version",
                       op_names[op]);
    if (!in || !slot_find(model, model->n_slots, in, &step.in))
        return nx_fail(err, NX_E_DATA, "nexus.json: a transform reads '%s', which is not there",
                       in ? in : "");
    if (n == 0 || (n != 1 && op != MODEL_ONE_HOT) || model->n_slots + n > MODEL_SLOTS_MAX)
        return nx_fail(err, NX_E_DATA, "nexus.json: transform %s of '%s' has %zu outputs",
                       op_names[op], in, n);
    step.value = json_number_value(json_object_get(o, "value"));
    step.mean = json_number_value(json_object_get(o, "mean"));
    step.scale = json_number_value(json_object_get(o, "scale"));
    model_add_step(model, step, (const char *const *)names);
    return true;
}

static bool read_features(struct model *model, const json_t *list, struct nx_err *err)
{
    size_t n = json_array_size(list);
    model->features = arena_array(&model->arena, n + 1, sizeof *model->features);
    for (size_t j = 0; j < n; j++) {
        const json_t *o = json_array_get(list, j);
        struct model_feature *f = &model->features[j];
        const char *from = json_string_value(json_object_get(o, "from"));
        f->name = text_of(model, o, "name", err);
        if (!f->name)
            return false;
        if (!from || !slot_find(model, model->n_slots, from, &f->slot))
            return nx_fail(err, NX_E_DATA, "nexus.json: feature '%s' comes from nowhere", f->name);
        f->n_categories = (uint32_t)json_integer_value(json_object_get(o, "n_categories"));
    }
    model->n_features = n;
    return true;
}

static bool read_classes(struct model *model, const json_t *root, struct nx_err *err)
{
    if (model->task == MODEL_REGRESSION)
        return true;
    size_t n = 0;
    if (!read_strings(&model->arena, json_object_get(root, "classes"), &model->classes, &n, err))
        return false;
    if (n < 2 || n > MODEL_CLASSES_MAX || (model->task == MODEL_BINARY && n != 2))
        return nx_fail(err, NX_E_DATA, "nexus.json: a %s model with %zu classes",
                       task_names[model->task], n);
    model->n_classes = n;
    if (model->task == MODEL_BINARY) {
        unsigned positive = 0;
        if (!find_name((const char *const *)model->classes, 2, json_object_get(root, "positive"),
                       "positive", &positive, err))
            return false;
        model->positive = positive;
        model->threshold = json_number_value(json_object_get(root, "threshold"));
    }
    return true;
}

static bool read_rows(struct arena *arena, const json_t *rows, size_t n_rows, size_t n, double **at,
                      struct nx_err *err)
{
    double *v = arena_array(arena, n_rows * n + 1, sizeof *v);
    for (size_t i = 0; i < n_rows; i++) {
        const json_t *row = json_array_get(rows, i);
        if (json_array_size(row) != n)
            return nx_fail(err, NX_E_DATA, "nexus.json: golden row %zu is not %zu long", i + 1, n);
        for (size_t j = 0; j < n; j++) {
            const json_t *value = json_array_get(row, j);
            v[i * n + j] = json_is_number(value) ? json_number_value(value) : NAN;
        }
    }
    *at = v;
    return true;
}

static bool read_cell(struct arena *arena, const json_t *value, struct column *c, size_t row)
{
    if (json_is_null(value)) {
        c->valid[row / 64] &= ~(UINT64_C(1) << (row % 64));
        c->n_missing++;
        if (c->type == TABLE_DOUBLE)
            c->as.f[row] = NAN;
        if (c->type == TABLE_CATEGORY)
            c->as.code[row] = COLUMN_MISSING;
        return true;
    }
    switch (c->type) {
    case TABLE_BOOL:
        c->as.b[row] = json_is_true(value);
        return json_is_boolean(value);
    case TABLE_DOUBLE:
        c->as.f[row] = json_number_value(value);
        return json_is_number(value);
    case TABLE_CATEGORY:
        c->as.code[row] = (int32_t)row;
        if (json_is_string(value))
            c->text[row] = arena_strdup(arena, json_string_value(value));
        return json_is_string(value);
    default:
        c->as.i[row] = json_integer_value(value);
        return json_is_integer(value);
    }
}

static bool read_golden(struct model *model, const json_t *o, struct nx_err *err)
{
    struct model_golden *g = &model->golden;
    struct arena *arena = &model->arena;
    json_int_t n = json_integer_value(json_object_get(o, "rows"));
    if (n < 0 || n > MODEL_GOLDEN_ROWS)
        return nx_fail(err, NX_E_DATA, "nexus.json: %lld golden rows", (long long)n);
    g->n_rows = (size_t)n;
    g->inputs = arena_array(arena, model->n_inputs + 1, sizeof *g->inputs);
    for (size_t i = 0; i < model->n_inputs; i++) {
        struct column *c = &g->inputs[i];
        const json_t *values = json_object_get(json_object_get(o, "inputs"), model->inputs[i].name);
        *c = (struct column){.name = model->inputs[i].name, .type = model->inputs[i].type};
        c->n_rows = g->n_rows;
        c->valid = arena_alloc(arena, sizeof *c->valid);
        c->valid[0] = UINT64_MAX;
        c->as.i = arena_array(arena, MODEL_GOLDEN_ROWS, sizeof *c->as.i);
        c->text = arena_array(arena, MODEL_GOLDEN_ROWS, sizeof *c->text);
        c->n_text = c->type == TABLE_CATEGORY ? g->n_rows : 0;
        for (size_t r = 0; r < g->n_rows; r++) {
            c->text[r] = "";
            const json_t *value = json_array_get(values, r);
            if (!value || !read_cell(arena, value, c, r))
                return nx_fail(err, NX_E_DATA, "nexus.json: golden row %zu of input '%s' is wrong",
                               r + 1, c->name);
        }
    }
    return read_rows(arena, json_object_get(o, "features"), g->n_rows, model->n_features,
                     &g->features, err) &&
           read_rows(arena, json_object_get(o, "values"), g->n_rows, model_n_values(model),
                     &g->values, err);
}

/* A part that is kept as text. */
static const char *part(struct model *model, const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    if (!value || json_is_null(value))
        return NULL;
    char *s = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    const char *copy = arena_strdup(&model->arena, s);
    free(s);
    return copy;
}

static bool read_head(struct model *model, const json_t *root, struct manifest_payload *payload,
                      struct nx_err *err)
{
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    if (format < 1)
        return nx_fail(err, NX_E_DATA, "nexus.json: 'format' is missing");
    if (format > MODEL_FORMAT)
        return nx_fail(err, NX_E_UNSUPPORTED,
                       "nexus.json has format %lld, this version reads up to %d: use a newer Nexus",
                       (long long)format, MODEL_FORMAT);
    static const char *const families[] = {"trees", "linear"};
    const json_t *p = json_object_get(root, "payload"), *library = json_object_get(root, "library");
    const char *file = json_string_value(json_object_get(p, "file"));
    const char *sha256 = json_string_value(json_object_get(p, "sha256"));
    unsigned task = 0, family = 0;
    if (!file || strlen(file) >= sizeof payload->file || strchr(file, '/') || !sha256 ||
        strlen(sha256) != 64)
        return nx_fail(err, NX_E_DATA, "nexus.json: 'payload' does not name a file and its sha256");
    if (!find_name(task_names, MODEL_TASKS, json_object_get(root, "task"), "task", &task, err) ||
        !find_name(families, 2, json_object_get(p, "family"), "family", &family, err))
        return false;
    memcpy(payload->file, file, strlen(file) + 1);
    memcpy(payload->sha256, sha256, 65);
    model->task = (enum model_task)task;
    model->family = family == 0 ? MODEL_TREES : MODEL_LINEAR;
    model->algorithm = text_of(model, root, "algorithm", err);
    if (!model->algorithm)
        return false;
    model->library = text_of(model, library, "name", err);
    model->library_version = model->library ? text_of(model, library, "version", err) : NULL;
    model->seed = (uint64_t)json_integer_value(json_object_get(root, "seed"));
    model->params = part(model, root, "params");
    model->trained = part(model, root, "trained");
    model->metrics = part(model, root, "metrics");
    model->baseline = part(model, root, "baseline");
    model->warnings = part(model, root, "warnings");
    model->importance = part(model, root, "importance");
    return model->library_version != NULL;
}

static bool read_target(struct model *model, const json_t *root, struct nx_err *err)
{
    const json_t *target = json_object_get(root, "target");
    const char *type = json_string_value(json_object_get(target, "type"));
    model->target = text_of(model, target, "name", err);
    if (!model->target)
        return false;
    if (!type || !table_type_find(type, &model->target_type))
        return nx_fail(err, NX_E_DATA, "nexus.json: the target has no type");
    return true;
}

bool manifest_read(const char *text, size_t n, struct model *model,
                   struct manifest_payload *payload, struct nx_err *err)
{
    json_error_t at;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        return nx_fail(err, NX_E_DATA, "nexus.json:%d:%d: %s", at.line, at.column, at.text);
    bool ok = read_head(model, root, payload, err) && read_target(model, root, err) &&
              read_inputs(model, json_object_get(root, "inputs"), err);
    const json_t *steps = json_object_get(root, "transform");
    for (size_t s = 0; ok && s < json_array_size(steps); s++)
        ok = read_step(model, json_array_get(steps, s), err);
    ok = ok && read_features(model, json_object_get(root, "features"), err) &&
         read_classes(model, root, err) && read_golden(model, json_object_get(root, "golden"), err);
    json_decref(root);
    return ok;
}

/* ---- linear.json ---- */

void manifest_write_linear(const struct linear *linear, struct buf *text)
{
    json_t *o = json_pack("{s:s, s:o, s:o}", "link", link_names[linear->link], "intercepts",
                          json_array(), "coefficients",
                          write_rows(linear->coefficients, linear->n_outputs, linear->n_features));
    for (size_t k = 0; k < linear->n_outputs; k++)
        json_array_append_new(json_object_get(o, "intercepts"), number(linear->intercepts[k]));
    manifest_text(o, text);
}

bool manifest_read_linear(const char *text, size_t n, struct arena *arena, struct linear *linear,
                          struct nx_err *err)
{
    json_error_t at;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        return nx_fail(err, NX_E_DATA, "linear.json:%d:%d: %s", at.line, at.column, at.text);
    const json_t *rows = json_object_get(root, "coefficients");
    const json_t *intercepts = json_object_get(root, "intercepts");
    struct linear l = {.n_outputs = json_array_size(rows),
                       .n_features = json_array_size(json_array_get(rows, 0))};
    unsigned link = 0;
    bool ok =
        find_name(link_names, LINEAR_LINKS, json_object_get(root, "link"), "link", &link, err);
    if (ok && (l.n_outputs == 0 || json_array_size(intercepts) != l.n_outputs))
        ok = nx_fail(err, NX_E_DATA, "linear.json: rows and intercepts are not equally many");
    ok = ok && read_rows(arena, rows, l.n_outputs, l.n_features, &l.coefficients, err);
    l.link = (enum linear_link)link;
    l.intercepts = arena_array(arena, l.n_outputs + 1, sizeof *l.intercepts);
    for (size_t k = 0; ok && k < l.n_outputs; k++)
        l.intercepts[k] = json_number_value(json_array_get(intercepts, k));
    json_decref(root);
    if (ok)
        *linear = l;
    return ok;
}
