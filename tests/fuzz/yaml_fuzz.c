/* YAML text to trees: any bytes give documents or problems; every place and value of a tree can be
 * asked for, and every tree is JSON. */
#include "lib/base/must.h"
#include "lib/text/yaml.h"
#include "tests/fuzz/fuzz.h"

/* As deep as the parser lets a document be. */
static void visit(const struct yaml_node *node, bool fine, unsigned *left)
{
    int line, column;
    int64_t i;
    double d;
    bool b;
    if (*left == 0)
        return;
    (*left)--;
    must(node->line >= 1 && node->column >= 1);
    must(yaml_type_name(node) != NULL);
    if (node->kind == YAML_KIND_SCALAR) {
        must(node->text[node->n] == 0);
        yaml_place(node, node->n / 2, &line, &column);
        must(line >= 1 && column >= 1);
        (void)yaml_int(node, &i);
        (void)yaml_float(node, &d);
        (void)yaml_bool(node, &b);
    } else if (node->kind == YAML_KIND_LIST) {
        for (size_t k = 0; k < node->n; k++)
            visit(node->items[k], fine, left);
    } else {
        for (size_t k = 0; k < node->n; k++) {
            /* A document with problems may have doubled keys. */
            must(!fine || yaml_get(node, node->pairs[k].key->text) == node->pairs[k].value);
            visit(node->pairs[k].value, fine, left);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    struct yaml_node **docs = NULL;
    size_t n_docs = 0;
    arena_init(&arena);
    problems_init(&problems);
    bool fine =
        yaml_parse(&arena, "fuzz.yaml", (const char *)data, size, &docs, &n_docs, &problems);
    must(fine == (problems.n_errors == 0));
    for (size_t i = 0; i < n_docs; i++) {
        unsigned left = 10000;
        visit(docs[i], fine, &left);
        if (docs[i]->n_nodes < 10000)
            json_decref(yaml_json(docs[i]));
    }
    problems_fini(&problems);
    arena_fini(&arena);
    return 0;
}
