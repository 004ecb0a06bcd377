/* Names of datasets: `produces`, `consumes`, and schedules that they start. */
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"

struct names {
    struct dataset_names *to;
    uint32_t n_before;
    const char *key;
};

static void on_name(struct reader *r, struct yaml_node *node, void *arg)
{
    struct names *names = arg;
    struct dataset_names *to = names->to;
    if (!str_is_id(node->text, true)) {
        problem_hint(
            r->problems,
            read_problem(r, node, names->key, "must be names of datasets, not '%.80s'", node->text),
            has_expression(node)
                ? "it is a constant: what depends on it is known at load"
                : "lower case letters, digits, _ and -, a letter first, at most 64");
        return;
    }
    for (uint32_t i = 0; i < to->n; i++) {
        if (str_eq(to->at[i], node->text)) {
            if (i < names->n_before)
                return; /* said in another place: once is enough */
            read_problem(r, node, names->key, "has '%s' twice", node->text);
            return;
        }
    }
    if (to->n == NX_TASK_DATASETS_MAX) {
        read_problem(r, node, names->key, "has more than %d datasets", NX_TASK_DATASETS_MAX);
        return;
    }
    to->at[to->n++] = keep(r, node->text);
}

void read_datasets(struct reader *r, const struct yaml_node *node, const char *key,
                   struct dataset_names *to)
{
    struct names names = {to, to->n, key};
    if (!node || yaml_is_null(node))
        return;
    if (!to->at)
        to->at = arena_array(&r->spec->arena, NX_TASK_DATASETS_MAX, sizeof *to->at);
    if (read_texts(r, node, key, on_name, &names) && node->kind == YAML_KIND_LIST && node->n == 0)
        read_problem(r, node, key, "is an empty list");
}
