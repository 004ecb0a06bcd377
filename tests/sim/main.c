/* sim [--seeds N] [--first S] [--seed S] [--crash-every-commit N] [--verbose]
 * Runs the simulation over seeds and reports what it saw; the last line is `N passed, N failed`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/heap.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "tests/sim/sim.h"

/* ---- Time and chance ---- */

static bool sooner(const void *a, const void *b)
{
    const struct sim_event *x = a, *y = b;
    return x->at != y->at ? x->at < y->at : x->number < y->number;
}

void sim_post(struct sim *sim, int kind, int64_t delay, uint32_t a, uint64_t b, uint64_t c,
              const void *bytes, size_t n)
{
    struct sim_event event = {sim->now + delay, ++sim->next_number, kind, a, b, c, NULL, n};
    if (bytes)
        event.bytes = mem_dup(bytes, n);
    vec_push(&sim->events, event);
    heap_push(sim->events.at, sim->events.n, sizeof event, sooner);
}

static struct sim_event next_event(struct sim *sim)
{
    struct sim_event first = sim->events.at[0];
    heap_pop(sim->events.at, sim->events.n--, sizeof first, sooner);
    return first;
}

bool sim_chance(struct sim *sim, uint64_t numerator, uint64_t denominator)
{
    return rng_chance(&sim->rng, numerator, denominator);
}

int64_t sim_between(struct sim *sim, int64_t least, int64_t most)
{
    return least + (int64_t)rng_below(&sim->rng, (uint64_t)(most - least + 1));
}

bool sim_healed(const struct sim *sim)
{
    return sim->now >= sim->heal_at;
}

void sim_count(struct sim *sim, enum sim_fault fault)
{
    sim->stats->faults[fault]++;
}

void sim_faulted(struct sim_worker *worker, int64_t at)
{
    if (worker->faulted_at < at)
        worker->faulted_at = at;
}

/* ---- Faults ---- */

static void step_clock(struct sim *sim)
{
    bool back = sim_chance(sim, 1, 2);
    sim_count(sim, back ? FAULT_CLOCK_BACK : FAULT_CLOCK_FORWARD);
    sim->clock_stepped = true;
    sim->wall_offset += sim_between(sim, 1, 7200000) * (back ? -1 : 1);
}

static void drain_by_person(struct sim *sim, bool on)
{
    struct sim_event event = {.kind = SIM_FAULT, .a = (uint32_t)sim_between(sim, 0, 1), .b = on};
    if (sim->core && event.a < sim->n_workers)
        sim_scheduler_post(sim, &event);
}

static void pause_by_person(struct sim *sim, uint32_t dag, bool on)
{
    struct sim_event event = {.kind = SIM_PAUSE, .a = dag, .b = on};
    if (sim->core)
        sim_scheduler_post(sim, &event);
}

static void change_pool(struct sim *sim, uint32_t pool, int64_t slots)
{
    struct sim_event event = {.kind = SIM_POOL, .a = pool, .b = (uint64_t)(slots + 1)};
    if (sim->core)
        sim_scheduler_post(sim, &event);
}

static void to_scheduler(struct sim *sim, int kind, uint32_t a, uint64_t b)
{
    struct sim_event event = {.kind = kind, .a = a, .b = b};
    if (sim->core)
        sim_scheduler_post(sim, &event);
}

/* Of a DAG without a timetable: what is due while its file is gone would be missed. */
static void file_goes(struct sim *sim, uint32_t dag, bool gone)
{
    if (!sim->timetables[dag])
        to_scheduler(sim, SIM_GONE, dag, gone);
}

/* Everything is as it should be again. */
static void heal(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++)
        pause_by_person(sim, i, false);
    for (uint32_t i = 0; i < SIM_DAGS; i++)
        file_goes(sim, i, false);
    for (uint32_t i = 0; i < 2; i++)
        to_scheduler(sim, SIM_CHANGE, i, CORE_BACKFILL_RUNNING);
    for (uint32_t i = 0; i < SIM_POOLS; i++)
        change_pool(sim, i, i + 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_event event = {.kind = SIM_FAULT, .a = i, .b = false};
        if (sim->core && i < sim->n_workers)
            sim_scheduler_post(sim, &event);
    }
    if (!sim->core) /* until somebody hears it */
        sim_post(sim, SIM_FAULT, 500, 0, 0, 0, NULL, 0);
}

static void something_happens(struct sim *sim)
{
    struct sim_worker *worker = &sim->workers[rng_below(&sim->rng, sim->n_workers)];
    if (sim_healed(sim)) {
        heal(sim);
        return;
    }
    if (!sim->config.only_crash) {
        switch (rng_below(&sim->rng, 12)) {
        case 9:
            to_scheduler(sim, SIM_CHANGE, (uint32_t)rng_below(&sim->rng, 2),
                         sim_chance(sim, 1, 4) ? CORE_BACKFILL_CANCELLED
                                               : (uint64_t)sim_between(sim, 0, 1));
            break;
        case 10:
            file_goes(sim, (uint32_t)rng_below(&sim->rng, SIM_DAGS), sim_chance(sim, 1, 2));
            break;
        case 11:
            to_scheduler(sim, SIM_DELETE, 0, 1 + rng_below(&sim->rng, sim->store.runs.n + 1));
            break;
        case 8:
            change_pool(sim, (uint32_t)rng_below(&sim->rng, SIM_POOLS), sim_between(sim, -1, 3));
            break;
        case 6:
            pause_by_person(sim, (uint32_t)rng_below(&sim->rng, SIM_DAGS), sim_chance(sim, 1, 2));
            break;
        case 0:
            if (worker->alive) {
                sim_count(sim, FAULT_WORKER_KILLED);
                sim_worker_kill(sim, worker->index);
            }
            break;
        case 1:
            sim_count(sim, FAULT_WORKER_SILENT);
            worker->silent_until = sim->now + sim_between(sim, 500, 40000);
            sim_faulted(worker, worker->silent_until + 5000);
            for (size_t i = 0; i < worker->children.n; i++) {
                if (worker->children.at[i].exclusive)
                    sim_edit_soon(sim, worker->children.at[i].inst.run, 12000);
            }
            break;
        case 2:
        case 3:
            sim_worker_child_kill(sim, worker->index);
            break;
        case 4:
            step_clock(sim);
            break;
        case 5:
            drain_by_person(sim, sim_chance(sim, 1, 2));
            break;
        default:
            if (worker->alive && !worker->leaving) {
                sim_count(sim, FAULT_WORKER_DRAINED);
                worker->leaving = true;
                ledger_drain(worker->ledger);
                if (sim_chance(sim, 1, 2)) {
                    ledger_stop_all(worker->ledger);
                    sim_faulted(worker, sim->now);
                }
            }
        }
    }
    int64_t next = sim_between(sim, 200, 1500);
    if (sim->now + next > sim->heal_at)
        next = sim->heal_at - sim->now;
    sim_post(sim, SIM_FAULT, next, 0, 0, 0, NULL, 0);
}

/* ---- The loop ---- */

static void deliver(struct sim *sim, struct sim_event *event)
{
    struct sim_worker *worker = event->a < SIM_WORKERS_MAX ? &sim->workers[event->a] : NULL;
    bool same = worker && worker->alive && worker->generation == event->b;
    switch (event->kind) {
    case SIM_REQUEST:
        if (sim->core)
            sim_scheduler_post(sim, event);
        else
            sim_post(sim, SIM_RESEND, sim_between(sim, 50, 500), event->a, event->b, 0, NULL, 0);
        break;
    case SIM_CREATE:
    case SIM_CANCEL:
    case SIM_BACKFILL:
    case SIM_EDIT:
    case SIM_EMIT:
        if (sim->core)
            sim_scheduler_post(sim, event);
        else
            sim_post(sim, event->kind, 500, event->a, event->b, 0, NULL, 0);
        break;
    case SIM_REPLY:
        sim_worker_reply(sim, event);
        break;
    case SIM_TURN:
        if (event->at == sim->turn_at || sim->turn_at == INT64_MAX)
            sim_scheduler_turn(sim);
        break;
    case SIM_RESTART:
        sim_scheduler_start(sim);
        break;
    case SIM_WORKER:
        if (same)
            sim_worker_tick(sim, event->a);
        break;
    case SIM_CHILD:
        if (same)
            sim_worker_child(sim, event->a, event->c);
        break;
    case SIM_LOOK:
        if (same)
            sim_worker_look(sim, event->a);
        break;
    case SIM_PEOPLE:
        sim_people_answer(sim);
        break;
    case SIM_RESEND:
        sim_worker_resend(sim, event->a, event->b);
        break;
    case SIM_HELP:
        sim_help(sim);
        break;
    case SIM_START:
        sim_worker_start(sim, event->a);
        break;
    default:
        something_happens(sim);
    }
}

static bool all_ended(const struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        if (!nx_run_state_final(sim->store.runs.at[i]->row.state))
            return false;
    }
    for (size_t i = 0; i < sim->store.backfills.n; i++) {
        if (!sim_backfill_ended(&sim->store.backfills.at[i]))
            return false;
    }
    return sim->runs_created >= sim->runs_wanted && !sim->edits_left && !sim->emits_left &&
           sim->store.backfills.n >= sim->backfills_wanted && !sim_dataset_due(sim);
}

static void say_why_stuck(struct sim *sim)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        if (nx_run_state_final(run->row.state))
            continue;
        for (uint32_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
            struct core_why why;
            struct core_inst_row row;
            struct nx_inst_id id = sim_at_slot(run->row.id, slot);
            if (!sim->core || !core_get_inst(sim->core, id, &row) || nx_task_state_final(row.state))
                continue;
            core_explain(sim->core, id, &why, 1);
            sim_fail(sim, "every run ends once faults are healed", "run %llu (%s) %s[%d]: %s: %s",
                     (unsigned long long)run->row.id.v, nx_run_state_name(run->row.state),
                     sim->graphs[run->dag]->tasks[id.task].id, id.map,
                     nx_task_state_name(row.state), why.text);
            return;
        }
    }
    sim_fail(sim, "every run ends once faults are healed", "%u of %u runs created%s",
             sim->runs_created, sim->runs_wanted,
             sim_dataset_due(sim) ? ", events of datasets are not used" : "");
}

/* The start of the data interval that a run by hand claims; 0: none. Between those of timetable and
 * backfills, and of no other run. */
static uint64_t claim_of(struct sim *sim, uint32_t number)
{
    int64_t start = sim->now + sim->wall_offset + sim_between(sim, -2000, 2000) * 10 + number;
    return sim_chance(sim, 1, 2) ? (uint64_t)start : 0;
}

static void plan_work(struct sim *sim)
{
    sim->runs_wanted = (uint32_t)sim_between(sim, 3, 8);
    for (uint32_t i = 0; i < sim->runs_wanted; i++)
        sim_post(sim, SIM_CREATE, sim_between(sim, 0, 8000),
                 (uint32_t)rng_below(&sim->rng, SIM_DAGS), claim_of(sim, i), 0, NULL, 0);
    for (uint32_t i = 0; i < sim->runs_wanted; i++) {
        if (sim_chance(sim, 1, 4))
            sim_post(sim, SIM_CANCEL, sim_between(sim, 0, 12000), 0, i + 1, 0, NULL, 0);
    }
    sim_plan_edits(sim);
    sim_plan_emits(sim);
    sim_post(sim, SIM_PEOPLE, 500, 0, 0, 0, NULL, 0);
    sim_plan_backfills(sim);
    sim_post(sim, SIM_HELP, sim->heal_at + 1000, 0, 0, 0, NULL, 0);
}

static void build_world(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        sim->graphs[i] = sim_random_graph(sim, i);
        sim->timetables[i] = sim_random_timetable(sim, i);
    }
    for (int i = 0; i < SIM_POOLS; i++)
        sim->store.pool_slots[i] = i + 1;
    sim->n_workers = (uint32_t)sim_between(sim, 1, SIM_WORKERS_MAX);
    for (uint32_t i = 0; i < sim->n_workers; i++) {
        struct sim_worker *worker = &sim->workers[i];
        worker->index = i;
        worker->slots = (uint32_t)sim_between(sim, 1, 4);
        worker->ipc = sim_chance(sim, 2, 3);
        worker->queues = i == 0 || sim_chance(sim, 1, 2) ? "default,other" : "default";
        worker->faulted_at = -1;
        sim_post(sim, SIM_START, sim_between(sim, 0, 500), i, 0, 0, NULL, 0);
    }
    sim->heal_at = sim->config.faults ? sim_between(sim, 8000, 25000) : 0;
    plan_work(sim);
    if (sim->config.faults)
        sim_post(sim, SIM_FAULT, 300, 0, 0, 0, NULL, 0);
}

static void tally(struct sim *sim)
{
    for (int from = 0; sim->core && from < NX_TASK_STATES; from++) {
        for (int to = 0; to < NX_TASK_STATES; to++)
            sim->stats->moves[from][to] +=
                core_moves(sim->core, (enum nx_task_state)from, (enum nx_task_state)to);
    }
    sim->stats->events += sim->n_events;
}

bool sim_run(const struct sim_config *config, struct sim_stats *stats, struct sim *sim)
{
    *sim = (struct sim){.config = *config, .stats = stats};
    rng_init(&sim->rng, config->seed);
    arena_init(&sim->arena);
    sim->wall_offset = 1000000000000;
    sim->now = 1;
    sim->turn_at = INT64_MAX;
    build_world(sim);
    sim_scheduler_start(sim);
    while (!sim->broken && !all_ended(sim)) {
        must(sim->events.n > 0);
        struct sim_event event = next_event(sim);
        must(event.at >= sim->now);
        sim->now = event.at;
        if (sim->now > sim->heal_at + 1800000) {
            say_why_stuck(sim);
            mem_free(event.bytes);
            break;
        }
        deliver(sim, &event);
        mem_free(event.bytes);
    }
    if (!sim->broken)
        oracle_schedules(sim);
    if (!sim->broken)
        oracle_datasets_end(sim);
    tally(sim);
    return !sim->broken;
}

void sim_free(struct sim *sim)
{
    if (sim->core)
        sim_scheduler_crash(sim);
    core_update_fini(&sim->update);
    for (uint32_t i = 0; i < SIM_WORKERS_MAX; i++) {
        ledger_free(sim->workers[i].ledger);
        vec_fini(&sim->workers[i].children);
        mem_free(sim->workers[i].requests[0].bytes);
        mem_free(sim->workers[i].requests[1].bytes);
    }
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        graph_release(sim->graphs[i]);
        timetable_release(sim->timetables[i]);
    }
    for (size_t i = 0; i < sim->store.runs.n; i++)
        mem_free(sim->store.runs.at[i]);
    for (size_t i = 0; i < sim->events.n; i++)
        mem_free(sim->events.at[i].bytes);
    vec_fini(&sim->store.runs);
    vec_fini(&sim->events);
    vec_fini(&sim->executions);
    vec_fini(&sim->inbox);
    vec_fini(&sim->slow);
    vec_fini(&sim->contexts);
    vec_fini(&sim->edited);
    vec_fini(&sim->started);
    vec_fini(&sim->choices);
    vec_fini(&sim->backfills);
    vec_fini(&sim->store.backfills);
    vec_fini(&sim->deletions);
    arena_fini(&sim->arena);
}

/* ---- The program ---- */

struct tally {
    uint64_t passed, failed;
    VEC(uint64_t) events; /* of each seed */
};

static const char *const fault_names[SIM_FAULTS] = {
    "request lost",
    "request doubled",
    "request late",
    "reply lost",
    "reply doubled",
    "reply late",
    "crash before commit",
    "crash after commit",
    "crash after send",
    "worker killed",
    "worker silent",
    "worker drained",
    "child killed",
    "clock set back",
    "clock set forward",
    "give_back crossed a start",
    "cancel crossed a success",
    "former incarnation refused",
    "result of a lease given up",
    "ordered again after a restart",
    "edit of a running run",
    "edit of an ended run",
    "edit refused",
    "edit that only looks",
    "clear of a running task",
    "mark of a running task",
    "scheduled run due",
    "scheduled run skipped",
    "paused or unpaused",
    "pool changed",
    "mapped task expanded",
    "list asked for again",
    "list shorter than before",
    "waited for max_parallel",
    "event of a dataset",
    "run by datasets",
    "events used together",
    "run by datasets refused",
    "look failed",
    "approved",
    "rejected",
    "answer that came late",
    "look that found it",
    "look that did not",
    "run started by a task",
    "run that could not be started",
    "run cancelled with its starter",
    "past let it run",
    "waited for its past",
    "run ahead of max_active_runs",
    "run late",
    "edit over several turns",
    "backfill begun",
    "former run in a backfill",
    "backfill stuck",
    "backfill changed",
    "file of a DAG gone or back",
    "ended run deleted",
    "not chosen",
    "wait for a dataset over",
};

static bool one(const struct sim_config *config, struct sim_stats *stats, struct tally *tally,
                uint64_t *n_commits)
{
    struct sim sim;
    bool ok = sim_run(config, stats, &sim);
    if (ok)
        tally->passed++;
    else if (tally->failed++ < 10)
        printf("seed %llu%s: %s: %s (at %lld ms, event %llu, commit %llu)\n",
               (unsigned long long)config->seed, config->crash_commit ? " with a crash" : "",
               sim.broken, sim.detail, (long long)sim.now, (unsigned long long)sim.n_events,
               (unsigned long long)sim.n_commits);
    vec_push(&tally->events, sim.n_events);
    if (n_commits)
        *n_commits = sim.n_commits;
    sim_free(&sim);
    return ok;
}

/* Each commit of the seed in turn is the one at which the scheduler dies, in each of three ways. */
static void crash_everywhere(uint64_t seed, struct sim_stats *stats, struct tally *tally)
{
    struct sim_config config = {
        .seed = seed, .faults = true, .only_crash = true, .crash_commit = UINT64_MAX};
    uint64_t n_commits = 0;
    one(&config, stats, tally, &n_commits);
    for (uint64_t commit = 1; commit <= n_commits; commit++) {
        for (int point = 0; point < 3; point++) {
            config.crash_commit = commit;
            config.crash_point = point;
            one(&config, stats, tally, NULL);
        }
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Counts everything; how many things that should have happened did not. */
static int report(const struct sim_stats *stats, struct tally *tally)
{
    int missing = 0;
    qsort(tally->events.at, tally->events.n, sizeof *tally->events.at, by_number);
    printf("events: %llu in all, median %llu a seed; %llu commits, %llu reloads compared\n",
           (unsigned long long)stats->events,
           (unsigned long long)tally->events.at[tally->events.n / 2],
           (unsigned long long)stats->commits, (unsigned long long)stats->reloads);
    for (int i = 0; i < SIM_FAULTS; i++) {
        printf("  %-32s %llu\n", fault_names[i], (unsigned long long)stats->faults[i]);
        missing += stats->faults[i] == 0;
    }
    for (int i = 0; i < NX_TRIGGER_RULES; i++) {
        printf("  rule %-27s %llu\n", nx_rule_name((enum nx_trigger_rule)i),
               (unsigned long long)stats->rules[i]);
        missing += stats->rules[i] == 0;
    }
    for (int i = NX_AO_SUCCESS; i < NX_ATTEMPT_OUTCOMES; i++) {
        printf("  attempt %-24s %llu\n", nx_outcome_name((enum nx_attempt_outcome)i),
               (unsigned long long)stats->outcomes[i]);
        missing += stats->outcomes[i] == 0;
    }
    for (int i = NX_RS_SUCCESS; i < NX_RUN_STATES; i++) {
        printf("  run %-28s %llu\n", nx_run_state_name((enum nx_run_state)i),
               (unsigned long long)stats->run_ends[i]);
        missing += stats->run_ends[i] == 0;
    }
    for (int from = 0; from < NX_TASK_STATES; from++) {
        for (int to = 0; to < NX_TASK_STATES; to++) {
            if (!nx_task_move_legal((enum nx_task_state)from, (enum nx_task_state)to))
                continue;
            printf("  %-15s -> %-15s %llu\n", nx_task_state_name((enum nx_task_state)from),
                   nx_task_state_name((enum nx_task_state)to),
                   (unsigned long long)stats->moves[from][to]);
            missing += stats->moves[from][to] == 0;
        }
    }
    return missing;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 10000, first = 1, crash_seeds = 0;
    bool complete = true;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--seeds") == 0) {
            seeds = strtoull(value, NULL, 10);
            i++;
        } else if (strcmp(argv[i], "--first") == 0) {
            first = strtoull(value, NULL, 10);
            i++;
        } else if (strcmp(argv[i], "--crash-every-commit") == 0) {
            crash_seeds = strtoull(value, NULL, 10);
            i++;
        } else if (strcmp(argv[i], "--partial") == 0) {
            complete = false; /* too few seeds to see everything */
        } else {
            fprintf(stderr, "usage: sim [--seeds N] [--first SEED] [--crash-every-commit SEEDS] "
                            "[--partial]\n");
            return 2;
        }
    }
    struct sim_stats stats = {0};
    struct tally tally = {0};
    for (uint64_t seed = first; seed < first + seeds && tally.failed < 10; seed++) {
        struct sim_config config = {.seed = seed, .faults = seed % 10 != 0};
        one(&config, &stats, &tally, NULL);
    }
    for (uint64_t seed = first; seed < first + crash_seeds && tally.failed < 10; seed++)
        crash_everywhere(seed, &stats, &tally);
    int missing = tally.events.n ? report(&stats, &tally) : 0;
    if (complete && missing) {
        printf("%d things that the simulation has to show never happened\n", missing);
        tally.failed++;
    }
    vec_fini(&tally.events);
    printf("%llu passed, %llu failed\n", (unsigned long long)tally.passed,
           (unsigned long long)tally.failed);
    return tally.failed != 0;
}
