/* Tasks that wait without a slot: what the core has to know of them before they begin. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/script/args.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

#define EVERY_MS 30000
#define EVERY_MIN_MS 100

/* The operators' descriptors say so too (NX_OP_CORE, NX_OP_POKE); a version is read again without
 * them. */
static const struct {
    const char *name;
    enum graph_wait wait;
    enum spec_choice choice;
} operators[] = {
    {"flow.approve", GRAPH_WAIT_PERSON, CHOICE_ALL},
    {"flow.branch", GRAPH_WAIT_CHOICE, CHOICE_NAMES},
    {"flow.join", GRAPH_WAIT_CHOICE, CHOICE_ALL},
    {"flow.latest_only", GRAPH_WAIT_CHOICE, CHOICE_LATEST},
    {"flow.short_circuit", GRAPH_WAIT_CHOICE, CHOICE_CONDITION},
    {"flow.trigger", GRAPH_WAIT_RUN, CHOICE_ALL},
    {"wait.dataset", GRAPH_WAIT_DATASET, CHOICE_ALL},
    {"wait.file", GRAPH_WAIT_POKE, CHOICE_ALL},
    {"wait.for", GRAPH_WAIT_FOR, CHOICE_ALL},
    {"wait.http", GRAPH_WAIT_POKE, CHOICE_ALL},
    {"wait.sql", GRAPH_WAIT_POKE, CHOICE_ALL},
    {"wait.until", GRAPH_WAIT_UNTIL, CHOICE_ALL},
};

void read_operator_wait(struct spec_task *task)
{
    for (size_t i = 0; task->uses && i < sizeof operators / sizeof *operators; i++) {
        if (!str_eq(operators[i].name, task->uses))
            continue;
        task->wait = operators[i].wait;
        task->choice = operators[i].choice;
    }
}

/* A value that the core needs before anything is evaluated; NULL: not given, or said to be wrong.
 */
static const struct yaml_node *constant(struct reader *r, const struct yaml_node *with,
                                        const char *name)
{
    const struct yaml_node *node = with ? yaml_get(with, name) : NULL;
    if (!node || yaml_is_null(node))
        return NULL;
    if (!has_expression(node))
        return node;
    read_problem(r, node, name, "must be a constant: it is needed before anything is evaluated");
    return NULL;
}

/* ---- wait.file, wait.http, wait.sql ---- */

static void read_every(struct reader *r, const struct yaml_node *with, struct spec_task *task)
{
    const struct yaml_node *node = constant(r, with, "every");
    json_t *value = node ? yaml_json(node) : NULL;
    task->every_ms = EVERY_MS;
    if (value && js_duration_ms(value, &task->every_ms) && task->every_ms < EVERY_MIN_MS)
        task->every_ms = EVERY_MIN_MS; /* said to be wrong where arguments are checked */
    json_decref(value);
}

/* ---- flow.trigger ---- */

/* GRAPH_..., when the argument differs from its default. */
static unsigned flag(struct reader *r, const struct yaml_node *with, const char *name,
                     const char *unusual, unsigned bit)
{
    const struct yaml_node *node = constant(r, with, name);
    return node && node->kind == YAML_KIND_SCALAR && str_eq(node->text, unusual) ? bit : 0;
}

static void read_trigger(struct reader *r, const struct yaml_node *with, struct spec_task *task)
{
    task->wait_flags = flag(r, with, "wait", "false", GRAPH_DETACHED) |
                       flag(r, with, "cancel", "false", GRAPH_LEAVES) |
                       flag(r, with, "on_failure", "ignore", GRAPH_ANY_END);
    if (task->wait_flags & GRAPH_DETACHED)
        task->wait_flags |= GRAPH_LEAVES;
}

/* ---- wait.dataset ---- */

/* It consumes what it waits for. */
static void read_awaited(struct reader *r, const struct yaml_node *with, struct spec_task *task)
{
    const struct yaml_node *node = constant(r, with, "dataset");
    if (!node || node->kind != YAML_KIND_SCALAR)
        return; /* said to be wrong where arguments are checked */
    read_datasets(r, node, "dataset", &task->consumes);
    task->dataset = keep(r, node->text);
}

/* ---- flow.approve ---- */

/* Outputs that every approval has: a field cannot be called so. */
static const char *const reserved[] = {"approved_at", "approved_by", "comment"};

static void check_reserved(struct reader *r, const struct yaml_node *form)
{
    for (size_t i = 0; i < form->n; i++) {
        for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++) {
            if (str_eq(form->pairs[i].key->text, reserved[k]))
                yaml_problem(r->problems, form->pairs[i].key,
                             "'%s' cannot be a field: every approval has an output of that name",
                             reserved[k]);
        }
    }
}

static void read_form(struct reader *r, const struct yaml_node *with, struct spec_task *task)
{
    const struct yaml_node *form = constant(r, with, "form");
    json_t *fields =
        form && form->kind == YAML_KIND_MAP ? read_described(r, form, "field") : json_array();
    if (form && form->kind == YAML_KIND_MAP)
        check_reserved(r, form);
    char *text = js_text(fields);
    task->form = keep(r, text);
    mem_free(text);
    json_decref(fields);
}

void read_wait(struct reader *r, uint32_t index, const struct yaml_node *with)
{
    struct spec_task *task = &r->spec->tasks[index];
    if (task->wait == GRAPH_WAIT_POKE)
        read_every(r, with, task);
    else if (task->wait == GRAPH_WAIT_RUN)
        read_trigger(r, with, task);
    else if (task->wait == GRAPH_WAIT_PERSON)
        read_form(r, with, task);
    else if (task->wait == GRAPH_WAIT_DATASET)
        read_awaited(r, with, task);
}
