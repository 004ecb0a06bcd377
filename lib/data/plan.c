/* What DuckDB will do with a SELECT, and what of it depends on the number of threads. */
#include <string.h>

#include <jansson.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/data/internal.h"

#define PLAN_NODES_MAX 100000

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(name, names[i])) {
            return true;
        }
    }
    return false;
}

#define IS_ONE_OF(name, list) is_one_of(name, list, sizeof(list) / sizeof *(list))

/* Operators that give rows in the order in which they get or read them. */
static bool keeps_order(const char *name)
{
    static const char *const names[] = {
        "PROJECTION",      "FILTER",           "UNION",
        "UNNEST",          "STREAMING_LIMIT",  "LIMIT",
        "DUMMY_SCAN",      "EMPTY_RESULT",     "RANGE",
        "GENERATE_SERIES", "COLUMN_DATA_SCAN", "EXPRESSION_SCAN",
        "SEQ_SCAN",        "TABLE_SCAN",
    };
    return IS_ONE_OF(name, names) || str_starts(name, "READ_");
}

static bool is_limit(const char *name)
{
    return str_eq(name, "STREAMING_LIMIT") || str_eq(name, "LIMIT");
}

/* Operators whose rows, in whatever order, are the same for any number of threads. */
static bool keeps_rows(const char *name)
{
    static const char *const names[] = {
        "HASH_JOIN",
        "NESTED_LOOP_JOIN",
        "PIECEWISE_MERGE_JOIN",
        "IE_JOIN",
        "CROSS_PRODUCT",
        "BLOCKWISE_NL_JOIN",
        "HASH_GROUP_BY",
        "CTE_SCAN",
        "CTE",
        "PERFECT_HASH_GROUP_BY",
        "UNGROUPED_AGGREGATE",
        "DELIM_SCAN",
        "LEFT_DELIM_JOIN",
        "RIGHT_DELIM_JOIN",
    };
    return IS_ONE_OF(name, names);
}

/* "avg(#1)", "\"first\"(#0)": aggregates that give the same for any order of their rows. */
static bool is_exact(const char *call)
{
    static const char *const names[] = {
        "count",   "count_star", "min",           "max",           "bool_and",
        "bool_or", "median",     "quantile_cont", "quantile_disc", "sum_no_overflow",
    };
    char name[64];
    size_t n = strcspn(call, "(");
    if (n >= sizeof name) {
        return false;
    }
    memcpy(name, call, n);
    name[n] = 0;
    return IS_ONE_OF(name, names) || n == 0;
}

static bool aggregates_are_exact(const json_t *node)
{
    const json_t *calls = json_object_get(json_object_get(node, "extra_info"), "Aggregates");
    if (json_is_string(calls)) {
        return is_exact(json_string_value(calls));
    }
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const char *call = json_string_value(json_array_get(calls, i));
        if (!call || !is_exact(call)) {
            return false;
        }
    }
    return true;
}

/* Reads the tree of operators without recursion. */
static bool judge(const json_t *root, struct data_plan *plan)
{
    VEC(const json_t *) left = {0};
    bool limits = false, input = true, same = true;
    size_t n_nodes = 0;
    for (size_t i = 0; i < json_array_size(root); i++) {
        vec_push(&left, json_array_get(root, i));
    }
    while (left.n > 0 && n_nodes++ < PLAN_NODES_MAX) {
        const json_t *node = vec_pop(&left);
        const json_t *children = json_object_get(node, "children");
        const char *name = json_string_value(json_object_get(node, "name"));
        name = name ? name : "";
        input = input && keeps_order(name);
        limits = limits || is_limit(name);
        same = same && (keeps_order(name) || (keeps_rows(name) && aggregates_are_exact(node)));
        for (size_t i = 0; i < json_array_size(children); i++) {
            vec_push(&left, json_array_get(children, i));
        }
    }
    bool all = left.n == 0 && n_nodes > 0;
    vec_fini(&left);
    plan->keeps_order = all && input;
    plan->any_threads = all && same && (input || !limits);
    return all;
}

bool data_plan(struct data_db *db, const char *select, const struct data_value *values,
               size_t n_values, struct data_plan *plan, struct nx_err *err)
{
    struct buf sql;
    struct data_result *result = NULL;
    const struct data_batch *batch = NULL;
    if (!data_check_select(db, select, err)) {
        return false;
    }
    buf_init(&sql);
    buf_str(&sql, "EXPLAIN (FORMAT json) SELECT * FROM (\n");
    buf_add(&sql, select, sqltext_end(select));
    buf_str(&sql, "\n)");
    bool ok = data_query(db, buf_text(&sql), values, n_values, &result, err) &&
              data_next(result, &batch, err);
    *plan = (struct data_plan){false, false};
    if (ok && batch && batch->n_columns == 2 && batch->columns[1].type == TABLE_STRING) {
        struct data_text text = batch->columns[1].as.text[0];
        json_t *root = json_loadb(text.at, text.n, 0, NULL);
        judge(root, plan);
        json_decref(root);
    }
    data_result_close(result);
    buf_fini(&sql);
    return ok;
}
