#include "lib/base/rng.h"
#include "scheduler/graph/graph.h"
#include "scheduler/graph/rule.h"
#include "tests/unit/test.h"

static struct graph_task_def task(const char *id, const uint32_t *needs, uint32_t n)
{
    return (struct graph_task_def){.id = id, .needs = needs, .n_needs = n};
}

static void graph_rejects_a_cycle_and_names_it(void **state)
{
    (void)state;
    const uint32_t a[] = {3}, b[] = {0}, c[] = {1, 4}, d[] = {2}, f[] = {2};
    struct graph_task_def defs[] = {task("a", a, 1), task("b", b, 1),    task("c", c, 2),
                                    task("d", d, 1), task("e", NULL, 0), task("f", f, 1)};
    struct graph *graph = NULL;
    struct nx_err err;
    assert_false(graph_new("g", defs, 6, 0, 0, &graph, &err));
    assert_null(graph);
    assert_int_equal(err.code, NX_E_INVALID);
    const char *names[] = {"a -> b -> c -> d -> a", "b -> c -> d -> a -> b",
                           "c -> d -> a -> b -> c", "d -> a -> b -> c -> d"};
    bool named = false;
    for (size_t i = 0; i < 4; i++)
        named = named || strstr(err.text, names[i]);
    assert_true(named);
}

static void graph_rejects_self_and_doubled_needs(void **state)
{
    (void)state;
    const uint32_t self[] = {0}, twice[] = {0, 0};
    struct graph_task_def one[] = {task("a", self, 1)};
    struct graph_task_def two[] = {task("a", NULL, 0), task("b", twice, 2)};
    struct graph *graph;
    struct nx_err err;
    assert_false(graph_new("g", one, 1, 0, 0, &graph, &err));
    assert_non_null(strstr(err.text, "'a' needs itself"));
    assert_false(graph_new("g", two, 2, 0, 0, &graph, &err));
    assert_non_null(strstr(err.text, "'b' needs 'a' twice"));
}

static void a_choice_leaves_out_what_is_not_below_a_chosen_task(void **state)
{
    (void)state;
    const uint32_t above[] = {0}, both[] = {0, 1};
    struct graph_task_def defs[] = {task("pick", NULL, 0), task("a", above, 1), task("b", above, 1),
                                    task("join", both, 2)};
    struct graph *graph = NULL;
    struct nx_err err;
    uint32_t out[3], a = 1, b = 2, join = 3;
    assert_true(graph_new("g", defs, 4, 0, 0, &graph, &err));
    assert_int_equal(graph_left_out(graph, 0, &a, 1, out), 1);
    assert_int_equal(out[0], 2);
    assert_int_equal(graph_left_out(graph, 0, &b, 1, out), 2);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 3);
    assert_int_equal(graph_left_out(graph, 0, &join, 1, out), 2);
    assert_int_equal(graph_left_out(graph, 0, NULL, 0, out), 3);
    assert_int_equal(graph_left_out(graph, 1, NULL, 0, out), 1);
    graph_release(graph);
}

static void edges_go_both_ways_and_lengths_are_longest_paths(void **state)
{
    (void)state;
    const uint32_t b[] = {0}, c[] = {0}, d[] = {1, 2}, e[] = {1};
    struct graph_task_def defs[] = {task("a", NULL, 0), task("b", b, 1), task("c", c, 1),
                                    task("d", d, 2), task("e", e, 1)};
    defs[4].flags = GRAPH_FINALLY;
    defs[2].priority = 5;
    struct graph *graph;
    assert_true(graph_new("g", defs, 5, 0, 0, &graph, NULL));
    const uint32_t lengths[] = {3, 2, 2, 1, 1};
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(graph->tasks[i].path_length, lengths[i]);
    assert_int_equal(graph->tasks[0].n_down, 2);
    assert_int_equal(graph_down(graph, 2)[0], 3);
    assert_true(graph->tasks[3].flags & GRAPH_LEAF);
    assert_false(graph->tasks[1].flags & GRAPH_LEAF);
    assert_false(graph->tasks[4].flags & GRAPH_LEAF);
    assert_int_equal(graph->by_rank[0], 2);
    assert_int_equal(graph->by_rank[1], 0);
    assert_int_equal(graph_find(graph, "d"), 3);
    assert_int_equal(graph_find(graph, "x"), -1);
    graph_release(graph);
}

/* The semantics page's table, written a second time as conditions over a whole upstream. */
enum { S, F, K, W, U }; /* success, failed, skipped, still waiting, upstream_failed */

static enum rule_verdict expected(enum nx_trigger_rule rule, const int *up, int n)
{
    int count[5] = {0};
    for (int i = 0; i < n; i++) {
        count[up[i]]++;
        count[F] += up[i] == U; /* no difference, but for one_done */
    }
    bool done = count[W] == 0;
    if (n == 0)
        return RULE_RUN;
    bool run = false, skip = false, fail = false;
    switch (rule) {
    case NX_TR_ALL_SUCCESS:
        fail = count[F] > 0;
        skip = count[K] > 0;
        run = count[S] == n;
        break;
    case NX_TR_ALL_FAILED:
        skip = count[S] + count[K] > 0;
        run = count[F] == n;
        break;
    case NX_TR_ALL_DONE:
        run = done;
        break;
    case NX_TR_ALL_DONE_MIN_ONE_SUCCESS:
        skip = count[K] > 0;
        fail = done && !count[S];
        run = done && !count[K] && count[S];
        break;
    case NX_TR_ALL_SKIPPED:
        skip = count[S] + count[F] > 0;
        run = count[K] == n;
        break;
    case NX_TR_ONE_FAILED:
        run = count[F] > 0;
        skip = done && !count[F];
        break;
    case NX_TR_ONE_SUCCESS:
        run = count[S] > 0;
        skip = count[K] == n;
        fail = done && !count[S] && count[K] < n;
        break;
    case NX_TR_ONE_DONE:
        run = count[S] + count[F] - count[U] > 0;
        skip = count[K] + count[U] == n;
        break;
    case NX_TR_NONE_FAILED:
        fail = count[F] > 0;
        run = count[S] + count[K] == n;
        break;
    case NX_TR_NONE_FAILED_MIN_ONE_SUCCESS:
        fail = count[F] > 0;
        skip = count[K] == n;
        run = done && !count[F] && count[S];
        break;
    case NX_TR_NONE_SKIPPED:
        skip = count[K] > 0;
        run = done && !count[K];
        break;
    default:
        run = true;
        break;
    }
    if (rule == NX_TR_ALL_DONE_MIN_ONE_SUCCESS && skip)
        return RULE_SKIP;
    return fail ? RULE_UPSTREAM_FAILED : skip ? RULE_SKIP : run ? RULE_RUN : RULE_WAIT;
}

static void every_rule_agrees_with_the_table_for_every_upstream_of_up_to_four(void **state)
{
    static const int powers[] = {1, 5, 25, 125, 625};
    (void)state;
    for (int rule = 0; rule < NX_TRIGGER_RULES; rule++) {
        for (int n = 0; n <= 4; n++) {
            for (int code = 0; code < powers[n]; code++) {
                int up[4], rest = code;
                struct rule_counts counts = {.n = (uint32_t)n};
                for (int i = 0; i < n; i++) {
                    up[i] = rest % 5;
                    rest /= 5;
                    counts.success += up[i] == S;
                    counts.failed += up[i] == F || up[i] == U;
                    counts.self_failed = counts.self_failed || up[i] == F;
                    counts.skipped += up[i] == K;
                }
                assert_int_equal(rule_decide((enum nx_trigger_rule)rule, &counts),
                                 expected((enum nx_trigger_rule)rule, up, n));
            }
        }
    }
}

/* Once decided, what is still unfinished cannot change the verdict. */
static void an_early_verdict_is_never_taken_back(void **state)
{
    (void)state;
    for (int rule = 0; rule < NX_TRIGGER_RULES; rule++) {
        for (uint32_t s = 0; s <= 4; s++) {
            for (uint32_t f = 0; s + f <= 4; f++) {
                for (uint32_t k = 0; s + f + k <= 3; k++) {
                    struct rule_counts now = {4, s, f, k, f > 0};
                    enum rule_verdict verdict = rule_decide((enum nx_trigger_rule)rule, &now);
                    if (verdict != RULE_RUN || rule == NX_TR_ALWAYS)
                        continue;
                    struct rule_counts later[] = {
                        {4, s + 1, f, k, f > 0}, {4, s, f + 1, k, true}, {4, s, f, k + 1, f > 0}};
                    for (int i = 0; i < 3; i++)
                        assert_int_equal(rule_decide((enum nx_trigger_rule)rule, &later[i]),
                                         verdict);
                }
            }
        }
    }
}

static void a_long_chain_is_built_without_recursion(void **state)
{
    (void)state;
    uint32_t n = 200000;
    struct graph_task_def *defs = calloc(n, sizeof *defs);
    uint32_t *needs = calloc(n, sizeof *needs);
    for (uint32_t i = 0; i < n; i++) {
        needs[i] = i ? i - 1 : 0;
        defs[i] = task("t", &needs[i], i > 0);
    }
    struct graph *graph;
    assert_true(graph_new("chain", defs, n, 0, 0, &graph, NULL));
    assert_int_equal(graph->tasks[0].path_length, n);
    assert_int_equal(graph->n_classes, 1);
    graph_release(graph);
    free(needs);
    free(defs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_rejects_a_cycle_and_names_it),
        cmocka_unit_test(graph_rejects_self_and_doubled_needs),
        cmocka_unit_test(a_choice_leaves_out_what_is_not_below_a_chosen_task),
        cmocka_unit_test(edges_go_both_ways_and_lengths_are_longest_paths),
        cmocka_unit_test(every_rule_agrees_with_the_table_for_every_upstream_of_up_to_four),
        cmocka_unit_test(an_early_verdict_is_never_taken_back),
        cmocka_unit_test(a_long_chain_is_built_without_recursion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
