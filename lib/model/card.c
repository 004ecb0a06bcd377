#include "lib/model/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/manifest.h"

/* MLflow's names of types. */
static const char *mlflow_type(enum table_type type)
{
    switch (type) {
    case TABLE_BOOL:
        return "boolean";
    case TABLE_INT64:
        return "long";
    case TABLE_DOUBLE:
        return "double";
    case TABLE_DATE:
    case TABLE_TIMESTAMP:
        return "datetime";
    default:
        return "string";
    }
}

/* A JSON value as one YAML scalar in single quotes; takes the reference. */
static void yaml_json(struct buf *text, const char *key, json_t *value)
{
    char *s = json_dumps(value, JSON_REAL_PRECISION(17));
    buf_printf(text, "  %s: '", key);
    for (const char *c = s; *c; c++) {
        if (*c == '\'')
            buf_char(text, '\'');
        buf_char(text, *c);
    }
    buf_str(text, "'\n");
    free(s);
    json_decref(value);
}

static bool by_xgboost(const struct model *model)
{
    return strcmp(model->library, "xgboost") == 0;
}

void card_mlmodel(const struct model *model, struct buf *text)
{
    buf_str(text, "flavors:\n");
    buf_printf(text, "  nexus:\n    manifest: nexus.json\n    format: %d\n", MODEL_FORMAT);
    if (by_xgboost(model))
        buf_printf(text,
                   "  xgboost:\n    code: null\n    data: model.ubj\n    model_class: "
                   "xgboost.core.Booster\n    model_format: ubj\n    xgb_version: %s\n",
                   model->library_version);
    json_t *inputs = json_array(), *outputs = json_array();
    for (size_t i = 0; i < model->n_inputs; i++) {
        const struct model_input *input = &model->inputs[i];
        json_array_append_new(inputs, json_pack("{s:s, s:s, s:b}", "type", mlflow_type(input->type),
                                                "name", input->name, "required",
                                                input->missing == MODEL_MISSING_ERROR));
    }
    json_array_append_new(
        outputs,
        json_pack("{s:s, s:s}", "type",
                  mlflow_type(model->task == MODEL_REGRESSION ? TABLE_DOUBLE : model->target_type),
                  "name", "prediction"));
    buf_str(text, "saved_input_example_info:\n  artifact_path: input_example.json\n"
                  "  pandas_orient: split\n  type: dataframe\n");
    buf_str(text, "signature:\n");
    yaml_json(text, "inputs", inputs);
    yaml_json(text, "outputs", outputs);
    buf_str(text, "  params: null\n");
}

void card_requirements(const struct model *model, struct buf *text)
{
    buf_str(text, "mlflow\nnumpy\npandas\n");
    if (by_xgboost(model))
        buf_printf(text, "xgboost>=%s\n", model->library_version);
}

void card_python_env(const struct model *model, struct buf *text)
{
    (void)model;
    buf_str(text, "python: \"3.11\"\nbuild_dependencies:\n- pip\ndependencies:\n"
                  "- -r requirements.txt\n");
}

void card_example(const struct model *model, struct buf *text)
{
    json_t *columns = json_array(), *data = json_array(), *row = json_array();
    for (size_t i = 0; i < model->n_inputs; i++) {
        json_array_append_new(columns, json_string(model->inputs[i].name));
        if (model->golden.n_rows > 0)
            json_array_append_new(row, manifest_value(&model->golden.inputs[i], 0));
    }
    if (model->golden.n_rows > 0)
        json_array_append(data, row);
    json_decref(row);
    manifest_text(json_pack("{s:o, s:o}", "columns", columns, "data", data), text);
}

/* "- name: value" for every number of an object of objects. */
static void list_metrics(const char *json, struct buf *text)
{
    json_t *o = json ? json_loads(json, 0, NULL) : NULL;
    const char *set, *name;
    json_t *metrics, *value;
    json_object_foreach(o, set, metrics)
    {
        json_object_foreach(metrics, name, value)
        {
            if (json_is_number(value))
                buf_printf(text, "| %s | %s | %.6g |\n", set, name, json_number_value(value));
        }
    }
    json_decref(o);
}

static void list_inputs(const struct model *model, struct buf *text)
{
    static const char *const unknown[] = {"taken as missing", "refused",
                                          "taken as the most frequent"};
    buf_str(text, "\n## Inputs\n\n| column | type | missing | values |\n|---|---|---|---|\n");
    for (size_t i = 0; i < model->n_inputs; i++) {
        const struct model_input *input = &model->inputs[i];
        buf_printf(text, "| `%s` | %s | %s | ", input->name, table_type_name(input->type),
                   input->missing == MODEL_MISSING_ERROR ? "refused" : "allowed");
        if (input->type == TABLE_CATEGORY)
            buf_printf(text, "%zu known; others are %s", input->n_categories,
                       unknown[input->unknown]);
        buf_str(text, " |\n");
    }
}

void card_text(const struct model *model, struct buf *text)
{
    buf_printf(text, "# Model of `%s`\n\n", model->target);
    buf_printf(text, "A %s model by %s (%s %s), trained on %zu inputs that become %zu features.\n",
               model_task_name(model->task), model->algorithm, model->library,
               model->library_version, model->n_inputs, model->n_features);
    if (model->task == MODEL_BINARY)
        buf_printf(text,
                   "It predicts `%s` when the probability of that is at least %g, else "
                   "`%s`.\n",
                   model->classes[model->positive], model->threshold,
                   model->classes[1 - model->positive]);
    list_inputs(model, text);
    buf_str(text, "\n## Metrics\n\n| on | metric | value |\n|---|---|---|\n");
    list_metrics(model->metrics, text);
    buf_str(text, "\n## Parameters\n\n```json\n");
    buf_printf(text, "%s\n```\n", model->params ? model->params : "{}");
    json_t *warnings = model->warnings ? json_loads(model->warnings, 0, NULL) : NULL;
    if (json_array_size(warnings) > 0)
        buf_str(text, "\n## Mind\n\n");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        buf_printf(text, "- %s\n", json_string_value(json_array_get(warnings, i)));
    json_decref(warnings);
}
