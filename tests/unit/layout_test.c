#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "scheduler/dag/fold.h"
#include "tests/unit/test.h"

static void layers_go_from_left_to_right(void **state)
{
    (void)state;
    static const uint32_t a[] = {1}, b[] = {2}, d[] = {0, 2};
    const struct layout_task tasks[] = {{a, 1}, {b, 1}, {NULL, 0}, {d, 2}};
    struct arena arena = {0};
    struct layout layout;
    arena_init(&arena);
    layout_make(tasks, 4, false, &arena, &layout);
    const int step = LAYOUT_NODE_WIDTH + LAYOUT_GAP_X;
    assert_int_equal(layout.nodes[2].x, 0);
    assert_int_equal(layout.nodes[1].x, step);
    assert_int_equal(layout.nodes[0].x, 2 * step);
    assert_int_equal(layout.nodes[3].x, 3 * step);
    assert_int_equal(layout.width, 3 * step + LAYOUT_NODE_WIDTH);
    assert_int_equal(layout.order[0], 2);
    assert_int_equal(layout.order[3], 3);
    /* The edge over two layers goes through them. */
    assert_int_equal(layout.n_edges, 4);
    assert_int_equal(layout.edges[3].from, 2);
    assert_int_equal(layout.edges[3].n_bends, 2);
    arena_fini(&arena);
}

static void layers_go_from_top_to_bottom_when_asked(void **state)
{
    (void)state;
    static const uint32_t a[] = {1}, b[] = {2}, d[] = {0, 2};
    const struct layout_task tasks[] = {{a, 1}, {b, 1}, {NULL, 0}, {d, 2}};
    struct arena arena;
    struct layout layout;
    arena_init(&arena);
    layout_make(tasks, 4, true, &arena, &layout);
    const int step = LAYOUT_NODE_HEIGHT + LAYOUT_GAP_X;
    assert_int_equal(layout.nodes[2].y, 0);
    assert_int_equal(layout.nodes[1].y, step);
    assert_int_equal(layout.nodes[3].y, 3 * step);
    assert_int_equal(layout.height, 3 * step + LAYOUT_NODE_HEIGHT);
    assert_true(layout.width >= LAYOUT_NODE_WIDTH);
    assert_int_equal(layout.edges[3].n_bends, 2);
    assert_int_equal(layout.edges[3].bends[0].y, step + LAYOUT_NODE_HEIGHT / 2);
    arena_fini(&arena);
}

static void an_empty_graph_has_no_size(void **state)
{
    (void)state;
    struct arena arena;
    struct layout layout;
    arena_init(&arena);
    layout_make(NULL, 0, false, &arena, &layout);
    assert_int_equal(layout.width, 0);
    assert_int_equal(layout.height, 0);
    arena_fini(&arena);
}

/* Random graphs of n tasks whose needs come before them. */
static void make_tasks(struct arena *arena, struct rng *rng, struct layout_task *tasks, uint32_t n,
                       uint32_t needs_max, uint32_t reach)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = i ? (uint32_t)rng_below(rng, needs_max + 1) : 0, n_needs = 0;
        uint32_t *needs = arena_array(arena, k + 1, sizeof *needs);
        for (uint32_t j = 0; j < k; j++) {
            uint32_t back = i < reach ? i : reach, one = i - 1 - (uint32_t)rng_below(rng, back);
            bool known = false;
            for (uint32_t l = 0; l < n_needs; l++)
                known = known || needs[l] == one;
            if (!known)
                needs[n_needs++] = one;
        }
        tasks[i] = (struct layout_task){needs, n_needs};
    }
}

static bool overlap(struct layout_point a, struct layout_point b)
{
    return a.x == b.x && abs(a.y - b.y) < LAYOUT_NODE_HEIGHT;
}

static void nodes_never_overlap_and_are_right_of_what_they_need(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng rng;
        struct arena arena;
        struct layout layout;
        struct layout_task tasks[60];
        rng_init(&rng, seed);
        arena_init(&arena);
        uint32_t n = 1 + (uint32_t)rng_below(&rng, 60);
        make_tasks(&arena, &rng, tasks, n, 3, 60);
        layout_make(tasks, n, false, &arena, &layout);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(layout.nodes[i].x >= 0 && layout.nodes[i].y >= 0);
            assert_true(layout.nodes[i].x + LAYOUT_NODE_WIDTH <= layout.width);
            assert_true(layout.nodes[i].y + LAYOUT_NODE_HEIGHT <= layout.height);
            for (uint32_t k = 0; k < i; k++)
                assert_false(overlap(layout.nodes[i], layout.nodes[k]));
            for (uint32_t k = 0; k < tasks[i].n_needs; k++)
                assert_true(layout.nodes[tasks[i].needs[k]].x < layout.nodes[i].x);
        }
        arena_fini(&arena);
    }
}

/* a and c are of group 0: folded, x between them would need what needs it. y and z of group 1 are
 * side by side. */
static void a_group_is_folded_unless_a_way_comes_back_to_it(void **state)
{
    (void)state;
    enum { a, x, c, y, z, n };
    static const uint32_t of_x[] = {a}, of_c[] = {x}, of_y[] = {c, a}, of_z[] = {c};
    const struct layout_task tasks[n] = {{NULL, 0}, {of_x, 1}, {of_c, 1}, {of_y, 2}, {of_z, 1}};
    const uint32_t groups[n] = {0, FOLD_NONE, 0, 1, 1};
    const bool wanted[] = {true, true};
    struct arena arena;
    struct folded folded;
    arena_init(&arena);
    fold_groups(tasks, n, groups, wanted, 2, &arena, &folded);
    assert_int_equal(folded.n, 4);
    assert_false(folded.is_group[folded.node_of[a]]);
    assert_true(folded.is_group[folded.node_of[y]]);
    assert_int_equal(folded.node_of[y], folded.node_of[z]);
    assert_int_equal(folded.tasks[folded.node_of[y]].n_needs, 2); /* c once, and a */
    arena_fini(&arena);
}

/* The page opens 5,000 tasks within a second, of which this is a small part. */
static void five_thousand_tasks_are_placed_soon(void **state)
{
    (void)state;
    enum { n = 5000 };
    static struct layout_task tasks[n];
    struct rng rng;
    struct arena arena;
    struct layout layout;
    rng_init(&rng, 7);
    arena_init(&arena);
    make_tasks(&arena, &rng, tasks, n, 3, 400);
    int64_t begun = clock_mono_ms();
    layout_make(tasks, n, false, &arena, &layout);
    assert_true(clock_mono_ms() - begun < 2000);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_go_from_left_to_right),
        cmocka_unit_test(layers_go_from_top_to_bottom_when_asked),
        cmocka_unit_test(an_empty_graph_has_no_size),
        cmocka_unit_test(nodes_never_overlap_and_are_right_of_what_they_need),
        cmocka_unit_test(a_group_is_folded_unless_a_way_comes_back_to_it),
        cmocka_unit_test(five_thousand_tasks_are_placed_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
