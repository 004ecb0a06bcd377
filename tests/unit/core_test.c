/* Single behaviours of the core, readable as examples. The whole is tested in tests/sim. */
#include "nexus/limits.h"
#include "scheduler/core/core.h"
#include "tests/unit/test.h"

struct world {
    struct core *core;
    struct core_update update;
    int64_t now;
    uint64_t seq;
    uint64_t seen;
};

static void step(struct world *world, struct core_event event)
{
    event.mono_ms = world->now;
    event.wall_ms = 1000000 + world->now;
    core_step(world->core, &event, &world->update);
    assert_null(core_check(world->core));
}

static void turn(struct world *world)
{
    step(world, (struct core_event){.kind = EV_TURN});
}

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    struct core_config config;
    core_config_init(&config);
    world->core = core_new(&config);
    world->now = 1;
    core_update_init(&world->update);
    return world;
}

static void world_free(struct world *world)
{
    core_turn_done(world->core, &world->update);
    core_free(world->core);
    core_update_fini(&world->update);
    free(world);
}

static void add_dag(struct world *world, const char *id, const struct graph_task_def *defs,
                    uint32_t n, uint32_t max_active_runs)
{
    static uint64_t version = 1;
    struct graph *graph;
    struct core_event event = {.kind = EV_DAG};
    assert_true(graph_new(id, defs, n, max_active_runs, 0, &graph, NULL));
    event.dag.version = version++;
    event.dag.graph = graph;
    step(world, event);
    graph_release(graph);
}

static struct nx_run_id create(struct world *world, const char *dag, bool backfill)
{
    struct core_event event = {.kind = EV_RUN_CREATE, .token = 7};
    event.create.dag = dag;
    event.create.backfill = backfill;
    step(world, event);
    assert_int_equal(world->update.replies.n, 1);
    assert_int_equal(world->update.replies.at[0].err.code, NX_OK);
    struct nx_run_id run = world->update.replies.at[0].run;
    turn(world);
    core_turn_done(world->core, &world->update);
    return run;
}

/* A report of worker "w" with what it holds, and its results; then a turn. */
static void report(struct world *world, uint32_t slots, const struct wire_hand *hands, uint32_t n,
                   const struct wire_result *results, uint32_t n_results)
{
    const struct wire_report wire = {.kind = WIRE_REPORT,
                                     .worker = wire_text("w", 1),
                                     .incarnation = 5,
                                     .epoch = 1,
                                     .seq = ++world->seq,
                                     .seen = world->seen,
                                     .queues = wire_text("default", 7),
                                     .slots = slots,
                                     .ipc = 1,
                                     .hands = hands,
                                     .n_hands = n,
                                     .results = results,
                                     .n_results = n_results};
    struct core_event event = {.kind = EV_REPORT};
    event.report.report = &wire;
    event.report.context = 1;
    core_turn_done(world->core, &world->update);
    step(world, event);
    turn(world);
}

static const struct core_order *lease(struct world *world, size_t i)
{
    size_t n;
    const struct core_order *orders = core_orders(world->core, 1, world->seen, &n);
    return i < n && orders[i].kind == WIRE_LEASE ? &orders[i] : NULL;
}

static enum nx_task_state state_of(struct world *world, struct nx_run_id run, uint32_t task)
{
    struct core_inst_row row;
    assert_true(core_get_inst(world->core, (struct nx_inst_id){run, task, NX_MAP_NONE}, &row));
    return row.state;
}

static struct graph_task_def task(const char *id)
{
    return (struct graph_task_def){.id = id, .needs_class = {.script = true}};
}

static void the_most_urgent_goes_first(void **state)
{
    (void)state;
    struct world *world = world_new();
    uint32_t needs[] = {1};
    struct graph_task_def defs[] = {task("short"), task("long"), task("after"), task("urgent")};
    defs[2].needs = needs;
    defs[2].n_needs = 1;
    defs[3].priority = 9;
    add_dag(world, "d", defs, 4, 0);
    struct nx_run_id late = create(world, "d", true), live = create(world, "d", false);
    report(world, 20, NULL, 0, NULL, 0);
    const struct {
        uint64_t run;
        uint32_t task;
    } expected[] = {{live.v, 3}, {late.v, 3}, {live.v, 1}, {live.v, 0}, {late.v, 1}, {late.v, 0}};
    for (size_t i = 0; i < 6; i++) {
        assert_non_null(lease(world, i));
        assert_int_equal(lease(world, i)->inst.run.v, expected[i].run);
        assert_int_equal(lease(world, i)->inst.task, expected[i].task);
    }
    assert_null(lease(world, 6));
    world_free(world);
}

static void a_result_with_another_lease_changes_nothing(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct graph_task_def defs[] = {task("a")};
    add_dag(world, "d", defs, 1, 0);
    struct nx_run_id run = create(world, "d", false);
    report(world, 1, NULL, 0, NULL, 0);
    struct wire_result result = {.inst = {run, 0, NX_MAP_NONE},
                                 .lease = lease(world, 0)->lease + 1,
                                 .outcome = NX_AO_SUCCESS};
    report(world, 1, NULL, 0, &result, 1);
    assert_int_equal(state_of(world, run, 0), NX_TS_LEASED);
    result.lease--;
    report(world, 1, NULL, 0, &result, 1);
    assert_int_equal(state_of(world, run, 0), NX_TS_SUCCESS);
    world_free(world);
}

static void a_silent_worker_loses_its_leases_and_the_third_loss_fails_the_task(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct graph_task_def defs[] = {task("a")};
    add_dag(world, "d", defs, 1, 0);
    struct nx_run_id run = create(world, "d", false);
    for (int loss = 1; loss <= 3; loss++) {
        report(world, 1, NULL, 0, NULL, 0);
        assert_int_equal(state_of(world, run, 0), NX_TS_LEASED);
        const struct wire_hand hand = {.inst = {run, 0, NX_MAP_NONE},
                                       .lease = (uint32_t)loss,
                                       .state = WIRE_HAND_RUNNING,
                                       .started_ms = 1};
        report(world, 1, &hand, 1, NULL, 0);
        assert_int_equal(state_of(world, run, 0), NX_TS_RUNNING);
        world->now += NX_LOST_AFTER_IPC_MS;
        core_turn_done(world->core, &world->update);
        turn(world);
        assert_int_equal(state_of(world, run, 0), loss < 3 ? NX_TS_QUEUED : NX_TS_FAILED);
        assert_int_equal(world->update.ends.at[0].outcome, NX_AO_LOST);
    }
    world_free(world);
}

static void explain_names_the_pool_and_who_is_in_it(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct core_why why;
    struct graph_task_def defs[] = {task("first"), task("second")};
    for (int i = 0; i < 2; i++)
        defs[i].needs_class = (struct graph_class){.pool = "gpu", .pool_slots = 1, .script = true};
    add_dag(world, "d", defs, 2, 0);
    struct nx_run_id run = create(world, "d", false);
    const struct nx_inst_id second = {run, 1, NX_MAP_NONE};
    assert_int_equal(core_explain(world->core, second, &why, 1), 1);
    assert_int_equal(why.code, NX_WHY_POOL_MISSING);
    struct core_event event = {.kind = EV_POOL};
    event.pool.name = "gpu";
    event.pool.slots = 1;
    step(world, event);
    turn(world);
    core_explain(world->core, second, &why, 1);
    assert_int_equal(why.code, NX_WHY_NO_WORKER);
    report(world, 4, NULL, 0, NULL, 0);
    core_explain(world->core, second, &why, 1);
    assert_int_equal(why.code, NX_WHY_POOL);
    assert_non_null(strstr(why.text, "'gpu' has 1 of 1 slots taken"));
    assert_non_null(strstr(why.text, "first of run 1"));
    world_free(world);
}

static void runs_beyond_max_active_runs_wait_and_say_so(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct core_why why;
    struct core_run_row row;
    struct graph_task_def defs[] = {task("a")};
    add_dag(world, "d", defs, 1, 1);
    struct nx_run_id first = create(world, "d", false), second = create(world, "d", false);
    core_explain(world->core, (struct nx_inst_id){second, 0, NX_MAP_NONE}, &why, 1);
    assert_int_equal(why.code, NX_WHY_RUN_QUEUED);
    struct core_event event = {.kind = EV_RUN_CANCEL, .cancel = first};
    step(world, event);
    turn(world);
    assert_true(core_get_run(world->core, second, &row));
    assert_int_equal(row.state, NX_RS_RUNNING);
    world_free(world);
}

static void
the_smallest_limit_of_a_concurrency_key_counts_and_explain_names_who_holds_it(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct core_why why;
    struct graph_task_def wide[] = {task("a"), task("b"), task("c")}, narrow[] = {task("x")};
    for (int i = 0; i < 3; i++) {
        wide[i].needs_class.concurrency = "db";
        wide[i].needs_class.concurrency_limit = 2;
    }
    narrow[0].needs_class.concurrency = "db";
    narrow[0].needs_class.concurrency_limit = 1;
    add_dag(world, "wide", wide, 3, 0);
    add_dag(world, "narrow", narrow, 1, 0);
    struct nx_run_id run = create(world, "wide", false);
    report(world, 8, NULL, 0, NULL, 0);
    assert_int_equal(state_of(world, run, 1), NX_TS_LEASED);
    assert_int_equal(state_of(world, run, 2), NX_TS_QUEUED);
    core_explain(world->core, (struct nx_inst_id){run, 2, NX_MAP_NONE}, &why, 1);
    assert_int_equal(why.code, NX_WHY_CONCURRENCY);
    assert_non_null(
        strstr(why.text, "at most 2 may at once: a of run 1 of wide, b of run 1 of wide"));
    core_turn_done(world->core, &world->update);
    struct nx_run_id other = create(world, "narrow", false);
    core_explain(world->core, (struct nx_inst_id){other, 0, NX_MAP_NONE}, &why, 1);
    assert_non_null(strstr(why.text, "at most 1 may at once"));
    world_free(world);
}

static struct nx_run_id create_claiming(struct world *world, const char *dag, int64_t start_ms)
{
    struct core_event event = {.kind = EV_RUN_CREATE, .token = 7};
    event.create.dag = dag;
    event.create.cause = NX_RC_SCHEDULE;
    event.create.interval_start_ms = start_ms;
    event.create.interval_finish_ms = start_ms + 10;
    event.create.claims = true;
    core_turn_done(world->core, &world->update);
    step(world, event);
    struct nx_run_id run = world->update.replies.at[0].run;
    turn(world);
    return run;
}

/* Answers the only question there is. */
static void answer_past(struct world *world, enum core_answer answer, struct nx_run_id before)
{
    assert_int_equal(world->update.asks.n, 1);
    const struct core_ask ask = world->update.asks.at[0];
    assert_int_equal(ask.what, CORE_ASK_PAST);
    struct core_event event = {.kind = EV_ANSWER};
    event.answer.inst = ask.inst;
    event.answer.number = ask.number;
    event.answer.answer = answer;
    event.answer.past = (struct core_past){before, 10, 20, NX_TS_FAILED};
    world->update.asks.n = 0;
    step(world, event);
    turn(world);
}

static void what_depends_on_the_past_asks_and_asks_again_when_something_changed_there(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct core_why why;
    struct graph_task_def defs[] = {task("a")};
    defs[0].flags = GRAPH_PAST;
    add_dag(world, "d", defs, 1, 0);
    struct nx_run_id first = create_claiming(world, "d", 10);
    answer_past(world, CORE_TRUE, (struct nx_run_id){0});
    assert_int_equal(state_of(world, first, 0), NX_TS_QUEUED);
    struct nx_run_id second = create_claiming(world, "d", 20);
    answer_past(world, CORE_FALSE, first);
    assert_int_equal(state_of(world, second, 0), NX_TS_WAITING);
    core_explain(world->core, (struct nx_inst_id){second, 0, NX_MAP_NONE}, &why, 1);
    assert_int_equal(why.code, NX_WHY_PAST);
    assert_non_null(strstr(why.text, "in run 1, that of the interval before"));
    core_turn_done(world->core, &world->update);
    report(world, 1, NULL, 0, NULL, 0); /* the first runs, and succeeds */
    const struct wire_result result = {
        .inst = {first, 0, NX_MAP_NONE}, .lease = lease(world, 0)->lease, .outcome = NX_AO_SUCCESS};
    report(world, 1, NULL, 0, &result, 1);
    answer_past(world, CORE_TRUE, first);
    assert_true(state_of(world, second, 0) != NX_TS_WAITING);
    world_free(world);
}

static void a_run_without_an_interval_of_its_own_has_no_past(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct graph_task_def defs[] = {task("a")};
    defs[0].flags = GRAPH_PAST;
    add_dag(world, "d", defs, 1, 0);
    struct nx_run_id run = create(world, "d", false);
    assert_int_equal(state_of(world, run, 0), NX_TS_QUEUED);
    world_free(world);
}

static void a_run_that_has_not_ended_by_its_deadline_is_late_once(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct core_run_row row;
    struct core_event event = {.kind = EV_DAG};
    struct graph_task_def defs[] = {task("a")};
    assert_true(graph_new("d", defs, 1, 0, 0, &event.dag.graph, NULL));
    event.dag.graph->deadline_ms = 500;
    event.dag.version = 1;
    step(world, event);
    graph_release(event.dag.graph);
    struct nx_run_id run = create(world, "d", false);
    world->now += 499;
    turn(world);
    assert_int_equal(world->update.notices.n, 0);
    world->now += 1;
    turn(world);
    assert_int_equal(world->update.notices.n, 1);
    assert_int_equal(world->update.notices.at[0].kind, CORE_LATE);
    assert_int_equal(world->update.notices.at[0].run.v, run.v);
    assert_true(core_get_run(world->core, run, &row));
    assert_int_equal(row.late_ms, row.deadline_ms);
    core_turn_done(world->core, &world->update);
    world->now += 10000;
    turn(world);
    assert_int_equal(world->update.notices.n, 0);
    assert_int_equal(row.state, NX_RS_RUNNING);
    world_free(world);
}

static void
more_questions_than_a_turn_takes_wait_and_those_of_an_ended_run_are_not_asked(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct graph_task_def defs[1500];
    for (uint32_t i = 0; i < 1500; i++) {
        defs[i] = task("t");
        defs[i].flags = GRAPH_IF;
    }
    add_dag(world, "d", defs, 1500, 0);
    struct core_event create = {.kind = EV_RUN_CREATE, .token = 7};
    create.create.dag = "d";
    step(world, create);
    turn(world);
    turn(world); /* the same turn of the engine: nothing is asked beyond its share */
    assert_int_equal(world->update.asks.n, 1000);
    assert_int_equal(core_deadline(world->core), world->now); /* there are more */
    core_turn_done(world->core, &world->update);
    struct core_event cancel = {.kind = EV_RUN_CANCEL, .cancel = {1}};
    step(world, cancel);
    turn(world);
    core_turn_done(world->core, &world->update);
    turn(world);
    assert_int_equal(world->update.asks.n, 0);
    world_free(world);
}

static void a_run_of_100000_tasks_costs_less_than_100_bytes_each(void **state)
{
    (void)state;
    struct world *world = world_new();
    uint32_t n = 100000;
    struct graph_task_def *defs = calloc(n, sizeof *defs);
    for (uint32_t i = 0; i < n; i++)
        defs[i] = task("t");
    add_dag(world, "d", defs, n, 0);
    struct nx_run_id run = create(world, "d", false);
    assert_int_equal(world->update.insts.n, 0); /* starting it writes no instance */
    size_t bytes = core_run_bytes(world->core, run);
    print_message("%zu bytes a task instance\n", bytes / n);
    assert_true(bytes < 100 * (size_t)n);
    free(defs);
    world_free(world);
}

static struct core_event answer_of(const struct core_ask *ask, int64_t when_ms)
{
    struct core_event event = {.kind = EV_ANSWER};
    event.answer.inst = ask->inst;
    event.answer.number = ask->number;
    event.answer.answer = CORE_TRUE;
    event.answer.when_ms = when_ms;
    return event;
}

/* 5,000 tasks that wait for times, people and looks. */
static void tasks_that_wait_cost_less_than_1_kb_each_and_no_slot(void **state)
{
    (void)state;
    struct world *world = world_new();
    enum { N = 5000 };
    struct graph_task_def *defs = calloc(N, sizeof *defs);
    static const enum graph_wait waits[] = {GRAPH_WAIT_FOR, GRAPH_WAIT_UNTIL, GRAPH_WAIT_PERSON,
                                            GRAPH_WAIT_POKE};
    char(*ids)[8] = calloc(N, sizeof *ids);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(ids[i], sizeof ids[i], "t%u", i);
        defs[i] = task(ids[i]);
        defs[i].wait = waits[i % 4];
        defs[i].flags = defs[i].wait == GRAPH_WAIT_POKE ? 0 : GRAPH_ASK;
        defs[i].timeout_ms = 3600000;
        defs[i].every_ms = 30000;
    }
    add_dag(world, "waits", defs, N, 0);
    struct core_event event = {.kind = EV_RUN_CREATE};
    event.create.dag = "waits";
    step(world, event);
    turn(world);
    for (int i = 0; i < 20; i++) {
        for (size_t k = 0; k < world->update.asks.n; k++) {
            struct core_ask ask = world->update.asks.at[k];
            step(world, answer_of(&ask, ask.inst.task % 4 ? 1000000 + 600000 : 600000));
        }
        core_turn_done(world->core, &world->update);
        turn(world);
    }
    struct core_run_row row;
    assert_true(core_get_run(world->core, (struct nx_run_id){1}, &row));
    assert_int_equal(row.counts[NX_TS_DEFERRED], N);
    size_t bytes = core_run_bytes(world->core, (struct nx_run_id){1});
    print_message("%zu bytes a task that waits\n", bytes / N);
    assert_true(bytes < 1024 * (size_t)N);
    report(world, 1, NULL, 0, NULL, 0); /* a worker with one slot: no lease, some looks */
    size_t n;
    const struct core_order *orders = core_orders(world->core, 1, 0, &n);
    assert_int_equal(n, NX_POKES_IN_HAND);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(orders[i].kind, WIRE_POKE);
    free(ids);
    free(defs);
    world_free(world);
}

static void a_wait_until_follows_the_clock_and_a_wait_for_does_not(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct graph_task_def defs[] = {task("until"), task("lasts")};
    defs[0].wait = GRAPH_WAIT_UNTIL;
    defs[1].wait = GRAPH_WAIT_FOR;
    defs[0].flags = defs[1].flags = GRAPH_ASK;
    add_dag(world, "times", defs, 2, 0);
    struct core_event event = {.kind = EV_RUN_CREATE};
    event.create.dag = "times";
    step(world, event);
    turn(world);
    struct core_ask asks[2] = {world->update.asks.at[0], world->update.asks.at[1]};
    assert_int_equal(world->update.asks.n, 2);
    for (int i = 0; i < 2; i++)
        step(world, answer_of(&asks[i], asks[i].inst.task == 0 ? 1000000 + 5000 : 5000));
    turn(world);
    struct nx_run_id run = {1};
    event = (struct core_event){.kind = EV_TURN, .mono_ms = world->now + 100, .wall_ms = 1000};
    core_step(world->core, &event, &world->update); /* set back */
    assert_int_equal(state_of(world, run, 0), NX_TS_DEFERRED);
    event.mono_ms = world->now + 6000;
    core_step(world->core, &event, &world->update); /* and still */
    assert_int_equal(state_of(world, run, 0), NX_TS_DEFERRED);
    assert_int_equal(state_of(world, run, 1), NX_TS_SUCCESS);
    event.wall_ms = 1000000 + 5000;
    core_step(world->core, &event, &world->update); /* set forward */
    assert_int_equal(state_of(world, run, 0), NX_TS_SUCCESS);
    world_free(world);
}

/* A first report of a worker elsewhere, with that token; why it is refused, or NULL. */
static const char *come_as(struct world *world, const char *name, uint64_t incarnation,
                           const char *token, bool leaving)
{
    const struct wire_report wire = {.kind = WIRE_REPORT,
                                     .worker = wire_text(name, strlen(name)),
                                     .incarnation = incarnation,
                                     .epoch = 1,
                                     .seq = ++world->seq,
                                     .host = wire_text("host", 4),
                                     .queues = wire_text("default", 7),
                                     .slots = 1,
                                     .draining = leaving,
                                     .token = wire_text(token, strlen(token))};
    struct core_event event = {.kind = EV_REPORT};
    event.report.report = &wire;
    event.report.context = 1;
    core_turn_done(world->core, &world->update);
    step(world, event);
    turn(world);
    assert_int_equal(world->update.sends.n, 1);
    return world->update.sends.at[0].refused;
}

static const char *come(struct world *world, uint64_t incarnation, const char *token, bool leaving)
{
    return come_as(world, "w", incarnation, token, leaving);
}

static void workers_that_have_gone_make_room_for_others(void **state)
{
    (void)state;
    struct world *world = world_new();
    char name[16];
    for (int i = 0; i < NX_WORKERS_MAX; i++) {
        snprintf(name, sizeof name, "w%d", i);
        assert_null(come_as(world, name, 5, "one", false));
    }
    assert_non_null(strstr(come_as(world, "another", 5, "one", false), "256 workers are at work"));
    assert_null(come_as(world, "w3", 5, "one", false));
    assert_null(come_as(world, "w3", 5, "one", true)); /* it ends */
    assert_null(come_as(world, "another", 5, "one", false));
    world->now += 50000;
    for (int i = 4; i < NX_WORKERS_MAX; i++) {
        snprintf(name, sizeof name, "w%d", i);
        assert_null(come_as(world, name, 5, "one", false));
    }
    world->now += 20000;
    turn(world); /* w0, w1, w2 and another are lost */
    assert_null(come_as(world, "fresh0", 5, "one", false));
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "fresh%d", i);
        assert_null(come_as(world, name, 5, "one", false));
    }
    assert_null(come_as(world, "w0", 5, "one", false));
    assert_non_null(come_as(world, "w1", 5, "one", false)); /* it is lost, and there is no room */
    world_free(world);
}

static void a_name_is_of_the_token_that_it_came_with_while_its_worker_is_at_work(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct graph_task_def defs[] = {task("a")};
    struct core_worker_row row;
    add_dag(world, "d", defs, 1, 0);
    assert_null(come(world, 5, "one", false));
    struct nx_run_id run = create(world, "d", false);
    assert_null(come(world, 5, "one", false));
    assert_int_equal(state_of(world, run, 0), NX_TS_LEASED);
    assert_non_null(strstr(come(world, 6, "two", false), "with another token"));
    assert_non_null(strstr(come(world, 5, "two", false), "with another token"));
    assert_non_null(strstr(come(world, 6, "", false), "with another token")); /* this machine's */
    assert_int_equal(state_of(world, run, 0), NX_TS_LEASED);
    assert_true(core_get_worker(world->core, 1, &row));
    assert_int_equal(row.incarnation, 5);
    assert_string_equal(row.token, "one");
    world->now += 120000; /* it is lost with what it had */
    assert_null(come(world, 7, "two", false));
    assert_non_null(strstr(come(world, 5, "one", false), "with another token"));
    assert_null(come(world, 8, "two", false)); /* started again */
    assert_true(core_get_worker(world->core, 1, &row));
    assert_string_equal(row.token, "two");
    world_free(world);

    /* A scheduler that starts again knows it. */
    world = world_new();
    const struct core_worker_row kept = {.number = 1, .id = "w", .incarnation = 5, .token = "one"};
    struct core_config config;
    core_config_init(&config);
    struct core *core = core_new(&config);
    core_load_worker(core, &kept);
    core_load_done(core, 1, 1000001, &world->update);
    core_free(world->core);
    world->core = core;
    assert_non_null(strstr(come(world, 6, "two", false), "with another token"));
    assert_null(come(world, 6, "one", true)); /* it ends */
    assert_null(come(world, 7, "two", false));
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_urgent_goes_first),
        cmocka_unit_test(a_result_with_another_lease_changes_nothing),
        cmocka_unit_test(a_silent_worker_loses_its_leases_and_the_third_loss_fails_the_task),
        cmocka_unit_test(explain_names_the_pool_and_who_is_in_it),
        cmocka_unit_test(runs_beyond_max_active_runs_wait_and_say_so),
        cmocka_unit_test(tasks_that_wait_cost_less_than_1_kb_each_and_no_slot),
        cmocka_unit_test(a_wait_until_follows_the_clock_and_a_wait_for_does_not),
        cmocka_unit_test(
            the_smallest_limit_of_a_concurrency_key_counts_and_explain_names_who_holds_it),
        cmocka_unit_test(what_depends_on_the_past_asks_and_asks_again_when_something_changed_there),
        cmocka_unit_test(a_run_without_an_interval_of_its_own_has_no_past),
        cmocka_unit_test(a_run_that_has_not_ended_by_its_deadline_is_late_once),
        cmocka_unit_test(
            more_questions_than_a_turn_takes_wait_and_those_of_an_ended_run_are_not_asked),
        cmocka_unit_test(workers_that_have_gone_make_room_for_others),
        cmocka_unit_test(a_name_is_of_the_token_that_it_came_with_while_its_worker_is_at_work),
        cmocka_unit_test(a_run_of_100000_tasks_costs_less_than_100_bytes_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
