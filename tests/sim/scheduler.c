/* The scheduler's process around the real core: inbox, turns, commits, restarts. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/port/reply.h"
#include "tests/sim/sim.h"

#define ROUNDS_MAX 1000 /* of questions and answers in a turn */

static const char *const pool_names[SIM_POOLS] = {"pool0", "pool1"};

struct core_event sim_scheduler_event(const struct sim *sim, enum core_event_kind kind)
{
    return (struct core_event){
        .kind = kind, .mono_ms = sim->now, .wall_ms = sim->now + sim->wall_offset};
}

void sim_scheduler_step(struct sim *sim, const struct core_event *event)
{
    core_step(sim->core, event, &sim->update);
    sim->n_events++;
    oracle_step(sim);
}

/* ---- Start and crash ---- */

static bool is_used(const struct sim *sim, uint32_t dag)
{
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        if (run->dag == dag && !nx_run_state_final(run->row.state))
            return true;
    }
    return false;
}

static void load_rows(struct sim *sim, struct core *core)
{
    for (uint32_t i = 0; i < SIM_DAGS; i++) {
        if (!sim->store.gone[i] || is_used(sim, i))
            core_load_version(core, SIM_VERSION_BASE + i, sim->graphs[i], !sim->store.gone[i]);
    }
    sim_load_datasets(sim, core);
    sim_load_timetables(sim, core);
    sim_load_backfills(sim, core);
    for (uint32_t i = 0; i < sim->store.n_workers; i++) {
        struct core_worker_row row = sim->store.workers[i].row;
        row.id = sim->store.workers[i].id;
        row.token = row.token ? "" : NULL; /* that of the core before is gone */
        core_load_worker(core, &row);
    }
    for (size_t i = 0; i < sim->store.runs.n; i++) {
        const struct sim_run *run = sim->store.runs.at[i];
        if (nx_run_state_final(run->row.state))
            continue;
        core_load_run(core, &run->row);
        sim_load_insts(core, sim, run);
        if (run->edit.n)
            core_load_edit(core, &run->edit);
    }
}

void sim_load_insts(struct core *core, const struct sim *sim, const struct sim_run *run)
{
    const struct graph *graph = sim->graphs[run->dag];
    for (uint32_t t = 0; t < graph->n_tasks; t++) {
        if (graph->tasks[t].map)
            core_load_list(core, run->row.id, graph->tasks[t].map - 1, run->lists[t]);
    }
    for (uint32_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
        if (run->insts[slot].present)
            core_load_inst(core, &run->insts[slot].row);
    }
}

static struct core *load(struct sim *sim, uint64_t epoch, struct core_update *update)
{
    struct core_config config;
    core_config_init(&config);
    config.epoch = epoch;
    config.edit_slice = 4;
    config.next_run = sim->store.runs.n + 1;
    struct core *core = core_new(&config);
    load_rows(sim, core);
    core_load_done(core, sim->now, sim->now + sim->wall_offset, update);
    if (core_update_has_rows(update) && update->insts.n)
        sim_fail(sim, "loading writes no instance", "%zu written", update->insts.n);
    return core;
}

void sim_scheduler_start(struct sim *sim)
{
    must(!sim->core);
    sim->store.epoch++;
    for (uint32_t i = 0; i < SIM_DAGS; i++)
        sim->paused[i] = sim->store.schedules[i].paused;
    core_update_init(&sim->update);
    sim_reload_backfills(sim);
    oracle_late_restart(sim);
    sim->core = load(sim, sim->store.epoch, &sim->update);
    oracle_loaded(sim);
    if (sim->digest && core_digest(sim->core) != sim->digest)
        sim_fail(sim, "a restarted core is the one that was committed", "digest differs");
    for (int i = 0; i < SIM_POOLS; i++) {
        struct core_event event = sim_scheduler_event(sim, EV_POOL);
        event.pool.name = pool_names[i];
        event.pool.slots = sim->pool_slots[i] = sim->store.pool_slots[i];
        sim_scheduler_step(sim, &event);
    }
    for (uint32_t i = 0; i < sim->n_workers; i++) {
        for (uint64_t slot = 0; slot < 2; slot++) {
            const struct sim_request *request = &sim->workers[i].requests[slot];
            if (sim->workers[i].alive && request->open)
                sim_post(sim, SIM_RESEND, sim_between(sim, 0, 100), i, request->id << 1 | slot, 0,
                         NULL, 0);
        }
    }
    sim->turn_at = INT64_MAX;
    sim_post(sim, SIM_TURN, 0, 0, 0, 0, NULL, 0);
}

static void forget_inbox(struct sim *sim)
{
    for (size_t i = 0; i < sim->inbox.n; i++)
        mem_free(sim->inbox.at[i].bytes);
    sim->inbox.n = 0;
}

void sim_scheduler_crash(struct sim *sim)
{
    must(sim->core);
    for (size_t i = 0; i < sim->inbox.n; i++) { /* who was not answered asks again */
        const struct sim_event *event = &sim->inbox.at[i];
        sim->edits_left += event->kind == SIM_EDIT;
        sim->emits_left += event->kind == SIM_EMIT;
        if (event->kind == SIM_CREATE || event->kind == SIM_EMIT || event->kind == SIM_CANCEL ||
            event->kind == SIM_EDIT || event->kind == SIM_BACKFILL)
            sim_post(sim, event->kind, 500, event->a, event->b, 0, NULL, 0);
    }
    forget_inbox(sim);
    sim_forget_deletions(sim);
    core_free(sim->core);
    sim->core = NULL;
    core_update_fini(&sim->update);
    core_update_init(&sim->update);
    sim->slow.n = 0;
    sim->contexts.n = 0;
    sim_post(sim, SIM_RESTART, sim_between(sim, 1, 3000), 0, 0, 0, NULL, 0);
}

/* ---- Inbox ---- */

void sim_scheduler_post(struct sim *sim, struct sim_event *event)
{
    must(sim->core);
    vec_push(&sim->inbox, *event);
    event->bytes = NULL;
    int64_t at = sim->now + sim_between(sim, 0, 3);
    if (at < sim->turn_at) {
        sim->turn_at = at;
        sim_post(sim, SIM_TURN, at - sim->now, 0, 0, 0, NULL, 0);
    }
}

static void take_report(struct sim *sim, const struct sim_event *from)
{
    struct core_event event = sim_scheduler_event(sim, EV_REPORT);
    struct wire_report report;
    struct nx_err err;
    if (!wire_decode_report(from->bytes, from->n, &sim->arena, &report, &err)) {
        sim_fail(sim, "a report can be decoded", "%s", err.text);
        return;
    }
    oracle_received(sim, &report);
    vec_push(&sim->contexts, ((struct sim_context){from->a, from->b}));
    event.report.report = &report;
    event.report.context = sim->contexts.n;
    sim_scheduler_step(sim, &event);
}

static void take_event(struct sim *sim, const struct sim_event *from)
{
    static const char *const ids[SIM_DAGS] = {"alpha", "beta", "gamma"};
    struct core_event event;
    if (from->kind == SIM_REQUEST) {
        take_report(sim, from);
    } else if (from->kind == SIM_CREATE) {
        event = sim_scheduler_event(sim, EV_RUN_CREATE);
        event.token = 1;
        event.create.dag = ids[from->a];
        event.create.cause = NX_RC_MANUAL;
        event.create.claims = from->b != 0;
        event.create.interval_start_ms = (int64_t)from->b;
        event.create.interval_finish_ms = (int64_t)from->b + 1;
        sim_scheduler_step(sim, &event);
        if (sim->update.replies.at[sim->update.replies.n - 1].err.code != NX_OK)
            sim_post(sim, SIM_CREATE, 500, from->a, from->b, 0, NULL, 0); /* its file is gone */
    } else if (from->kind == SIM_CANCEL) {
        event = sim_scheduler_event(sim, EV_RUN_CANCEL);
        event.token = 1;
        event.cancel.v = from->b;
        sim_scheduler_step(sim, &event);
    } else if (from->kind == SIM_PAUSE) {
        sim_pause(sim, from->a, from->b != 0);
    } else if (from->kind == SIM_POOL) {
        sim_set_pool(sim, from->a, (int64_t)from->b - 1);
    } else if (from->kind == SIM_EMIT) {
        sim_emit(sim, from->a);
    } else if (from->kind == SIM_BACKFILL) {
        sim_begin_backfill(sim, from);
    } else if (from->kind == SIM_CHANGE) {
        sim_change_backfill(sim, from);
    } else if (from->kind == SIM_GONE) {
        sim_dag_gone(sim, from->a, from->b != 0);
    } else if (from->kind == SIM_DELETE) {
        sim_delete(sim, (struct nx_run_id){from->b});
    } else if (from->kind == SIM_MARK) {
        sim_mark(sim, from);
    } else if (from->kind == SIM_EDIT) {
        sim_edit(sim, from);
    } else if (from->kind == SIM_SAY) {
        sim_say(sim, from);
    } else {
        event = sim_scheduler_event(sim, EV_DRAIN);
        event.drain.worker = from->a == 0 ? "w0" : "w1";
        event.drain.on = from->b != 0;
        sim_scheduler_step(sim, &event);
    }
}

static void random_list(struct sim *sim, struct core_event *event)
{
    bool ok = !sim_chance(sim, 1, 12);
    event->answer.answer = ok ? CORE_LIST : CORE_ERROR;
    event->answer.n = ok ? (uint32_t)sim_between(sim, 0, SIM_MAP_MAX) : 0;
}

static void answer(struct sim *sim, const struct core_ask *ask)
{
    if (ask->what == CORE_ASK_PAST) {
        sim_answer_past(sim, ask);
        return;
    }
    struct core_event event = sim_scheduler_event(sim, EV_ANSWER);
    uint64_t dice = rng_below(&sim->rng, 10);
    event.answer.inst = ask->inst;
    event.answer.number = ask->number;
    const struct graph_task *spec =
        &sim->graphs[ask->version - SIM_VERSION_BASE]->tasks[ask->inst.task];
    bool with = (ask->what & CORE_ASK_WITH) != 0, condition = (ask->what & CORE_ASK_IF) != 0;
    event.answer.answer = dice < 6                ? CORE_TRUE
                          : dice < 9 && condition ? CORE_FALSE
                          : dice < 9              ? CORE_TRUE
                          : condition             ? CORE_ERROR
                          : with                  ? CORE_WITH_ERROR
                                                  : CORE_TRUE;
    event.answer.when_ms = sim_random_when(sim, spec);
    if (ask->what == CORE_ASK_LIST)
        random_list(sim, &event);
    if (spec->wait == GRAPH_WAIT_CHOICE && with)
        sim_random_choice(sim, ask, &event);
    struct core_inst_row before = {0}, after = {0};
    core_get_inst(sim->core, ask->inst, &before);
    if (spec->wait == GRAPH_WAIT_CHOICE && with && before.state == NX_TS_DECIDING)
        sim_note_choice(sim, &before, &event);
    sim_scheduler_step(sim, &event);
    core_get_inst(sim->core, ask->inst, &after);
    if (before.state != NX_TS_DECIDING || after.state == NX_TS_DECIDING)
        return; /* it was dropped, or a list is asked for next */
    if (ask->what == CORE_ASK_IF)
        oracle_ask(sim, ask->inst);
    for (size_t i = 0; i < sim->slow.n; i++) {
        const struct core_ask *other = &sim->slow.at[i];
        if (other->what != CORE_ASK_PAST && sim_same(other->inst, ask->inst) &&
            other->number > ask->number)
            sim_fail(sim, "an answer counts for the last question alone", "run %llu task %u",
                     (unsigned long long)ask->inst.run.v, ask->inst.task);
    }
}

static void answer_asks(struct sim *sim)
{
    struct core_event turn = sim_scheduler_event(sim, EV_TURN);
    for (int round = 0; sim->update.asks.n || sim->update.dues.n || sim->update.starts.n; round++) {
        if (round == ROUNDS_MAX) {
            sim_fail(sim, "a turn comes to its end", "%zu runs", sim->store.runs.n);
            return;
        }
        VEC(struct core_ask) asks = {0};
        if (sim_answer_dues(sim) || sim_start_runs(sim)) {
            sim_scheduler_step(sim, &turn);
            continue;
        }
        for (size_t i = 0; i < sim->update.asks.n; i++)
            vec_push(&asks, sim->update.asks.at[i]);
        sim->update.asks.n = 0;
        for (size_t i = 0; i < asks.n; i++) {
            if (!sim_chance(sim, 1, 3)) {
                answer(sim, &asks.at[i]);
                continue;
            }
            vec_push(&sim->slow, asks.at[i]);
            if (!sim_healed(sim) && sim_chance(sim, 1, 8))
                sim_edit_soon(sim, asks.at[i].inst.run, 40);
        }
        vec_fini(&asks);
        sim_scheduler_step(sim, &turn);
    }
}

/* ---- Commit ---- */

static void commit_run(struct sim *sim, struct nx_run_id id)
{
    struct core_run_row row;
    struct sim_run *run = sim_run_find(sim, id);
    must(core_get_run(sim->core, id, &row));
    if (!run) {
        must(id.v == sim->store.runs.n + 1);
        run = mem_alloc(sizeof *run);
        run->dag = (uint32_t)(row.version - SIM_VERSION_BASE);
        vec_push(&sim->store.runs, run);
        sim->runs_created += row.cause == NX_RC_MANUAL;
        run->row = row;
        oracle_started_run(sim, &row);
        run->row.deadline_ms = 0;
        if (row.cause == NX_RC_SCHEDULE)
            oracle_schedule_run(sim, run);
        if (row.cause == NX_RC_DATASET)
            oracle_dataset_run(sim, run);
    }
    const struct core_run_row *old = &run->row;
    if (!row.moved && (row.state != old->state || row.reason != old->reason ||
                       row.started_ms != old->started_ms || row.finished_ms != old->finished_ms ||
                       row.backfill != old->backfill || row.deadline_ms != old->deadline_ms ||
                       row.late_ms != old->late_ms))
        sim_fail(sim, "a run that has not moved has changed its counts alone", "run %llu",
                 (unsigned long long)id.v);
    oracle_late_row(sim, run, &row);
    run->row = row;
    run->row.dag = NULL;
    for (uint32_t t = 0; t < sim->graphs[run->dag]->n_tasks; t++) {
        uint32_t list = core_get_list(sim->core, id, t);
        if (list && run->lists[t] > list)
            sim_count(sim, SEEN_SHORTER);
        run->lists[t] = list ? list : run->lists[t]; /* the store keeps the last one */
    }
}

static void commit_inst(struct sim *sim, struct nx_inst_id id)
{
    struct sim_inst *inst = &sim_run_find(sim, id.run)->insts[sim_slot(id)];
    struct core_inst_row row;
    must(core_get_inst(sim->core, id, &row));
    if (row.lease != inst->row.lease) {
        inst->leased_at = sim->now;
        inst->leased_commit = sim->n_commits;
    }
    inst->row = row;
    inst->row.left_out = inst->left_out;
    for (uint32_t i = 0; i < row.n_left_out; i++)
        inst->left_out[i] = row.left_out[i];
    inst->present = true;
    inst->never_begun = inst->never_begun && row.state == NX_TS_CANCELLED;
}

static void commit_edit(struct sim *sim, struct nx_run_id id)
{
    struct sim_run *run = sim_run_find(sim, id);
    run->edit = (struct core_edit_row){0};
    if (!core_get_edit(sim->core, id, &run->edit))
        return;
    memcpy(run->picks, run->edit.picks, run->edit.n);
    run->edit.picks = run->picks;
    sim_count(sim, SEEN_SLICED);
}

static void commit_worker(struct sim *sim, uint32_t number)
{
    struct core_worker_row row;
    uint32_t i = 0;
    must(core_get_worker(sim->core, number, &row));
    while (i < sim->store.n_workers && sim->store.workers[i].row.number != number)
        i++;
    if (i == sim->store.n_workers)
        sim->store.n_workers++;
    must(i < SIM_WORKERS_MAX);
    sim->store.workers[i].row = row;
    memcpy(sim->store.workers[i].id, row.id, strlen(row.id) + 1);
}

static void commit(struct sim *sim)
{
    const struct core_update *update = &sim->update;
    oracle_commit(sim);
    oracle_datasets(sim);
    for (size_t i = 0; i < update->runs.n; i++)
        commit_run(sim, update->runs.at[i]);
    for (size_t i = 0; i < update->insts.n; i++)
        commit_inst(sim, update->insts.at[i]);
    for (size_t i = 0; i < update->edits.n; i++)
        commit_edit(sim, update->edits.at[i]);
    for (size_t i = 0; i < update->workers.n; i++)
        commit_worker(sim, update->workers.at[i]);
    sim_commit_schedules(sim);
    sim_commit_backfills(sim);
    sim->deletions.n = 0;
    memcpy(sim->store.pool_slots, sim->pool_slots, sizeof sim->pool_slots);
    for (size_t i = 0; i < update->cleared.n; i++)
        sim_run_find(sim, update->cleared.at[i].run)
            ->insts[sim_slot(update->cleared.at[i])]
            .n_failures = 0;
    oracle_committed(sim);
    oracle_step(sim); /* of new runs, what they are from now on */
    sim->stats->commits++;
}

/* ---- Sends ---- */

static struct wire_bytes no_text(void *arg, uint64_t version, uint32_t task)
{
    (void)arg;
    (void)version;
    (void)task;
    return wire_text("{}", 2);
}

static struct wire_bytes no_run(void *arg, struct nx_run_id run)
{
    (void)arg;
    (void)run;
    return wire_text("{}", 2);
}

static struct wire_bytes no_outputs(void *arg, struct nx_inst_id inst)
{
    (void)arg;
    (void)inst;
    return wire_text("", 0);
}

static struct wire_bytes some_item(void *arg, struct nx_inst_id inst)
{
    (void)arg;
    (void)inst;
    return wire_text("1", 1);
}

static void post_reply(struct sim *sim, const struct sim_context *context, const struct buf *buf)
{
    bool faults = sim->config.faults && !sim_healed(sim) && !sim->config.only_crash;
    int64_t delay = sim_between(sim, 0, 3);
    if (faults && sim_chance(sim, 1, 25)) { /* its connection breaks: the request is sent again */
        sim_count(sim, FAULT_REPLY_LOST);
        sim_post(sim, SIM_RESEND, sim_between(sim, 50, 600), context->worker, context->packed, 0,
                 NULL, 0);
        return;
    }
    if (faults && sim_chance(sim, 1, 25)) {
        sim_count(sim, FAULT_REPLY_LATE);
        delay = sim_between(sim, 100, 1000);
    }
    sim_post(sim, SIM_REPLY, delay, context->worker, context->packed, 0, buf->data, buf->len);
    if (faults && sim_chance(sim, 1, 25)) {
        sim_count(sim, FAULT_REPLY_DOUBLED);
        sim_post(sim, SIM_REPLY, sim_between(sim, 0, 1000), context->worker, context->packed, 0,
                 buf->data, buf->len);
    }
}

static void send_all(struct sim *sim)
{
    const struct reply_source source = {.definition = no_text,
                                        .run = no_run,
                                        .outputs = no_outputs,
                                        .item = some_item,
                                        .url = "",
                                        .home = "sim",
                                        .lease_ttl_ms = core_lease_ttl_ms(sim->core, false),
                                        .lease_ttl_elsewhere_ms =
                                            core_lease_ttl_ms(sim->core, true),
                                        .grace_ms = NX_GRACE_MS};
    for (size_t i = 0; i < sim->update.sends.n; i++) {
        const struct core_send *send = &sim->update.sends.at[i];
        const struct sim_context *context = &sim->contexts.at[send->context - 1];
        struct wire_reply reply;
        struct nx_err err;
        struct buf buf;
        buf_init(&buf);
        reply_encode(sim->core, sim->store.epoch, send, !sim->workers[context->worker].ipc, &source,
                     &buf);
        if (send->refused)
            sim_count(sim, SEEN_FORMER_REFUSED);
        if (wire_decode_reply(buf.data, buf.len, &sim->arena, &reply, &err))
            oracle_sent(sim, &reply);
        else
            sim_fail(sim, "a reply can be decoded", "%s", err.text);
        post_reply(sim, context, &buf);
        buf_fini(&buf);
    }
}

/* ---- The turn ---- */

/* -1: no crash at this commit. */
static int crash_point(struct sim *sim)
{
    const struct sim_config *config = &sim->config;
    if (config->crash_commit)
        return config->crash_commit == sim->n_commits ? config->crash_point : -1;
    if (!config->faults || sim_healed(sim) || !sim_chance(sim, 1, 60))
        return -1;
    return (int)rng_below(&sim->rng, 3);
}

static bool crash_if(struct sim *sim, int point, int here, enum sim_fault fault)
{
    if (point != here)
        return false;
    sim_count(sim, fault);
    sim_scheduler_crash(sim);
    return true;
}

static void plan_turn(struct sim *sim)
{
    int64_t at = core_deadline(sim->core);
    if (sim->slow.n && at > sim->now + 20)
        at = sim->now + 20;
    if (at < sim->now + 1)
        at = sim->now + 1;
    sim->turn_at = at;
    if (at != INT64_MAX)
        sim_post(sim, SIM_TURN, at - sim->now, 0, 0, 0, NULL, 0);
}

static void drain_inbox(struct sim *sim)
{
    struct core_event turn = sim_scheduler_event(sim, EV_TURN);
    sim->edited.n = sim->started.n = 0;
    for (size_t i = 0; i < sim->inbox.n; i++)
        take_event(sim, &sim->inbox.at[i]);
    if (sim->slow.n && sim_chance(sim, 1, 4)) {
        struct core_ask *any = &sim->slow.at[rng_below(&sim->rng, sim->slow.n)], ask = *any;
        *any = vec_pop(&sim->slow);
        answer(sim, &ask);
    }
    sim_scheduler_step(sim, &turn);
    answer_asks(sim);
}

void sim_scheduler_turn(struct sim *sim)
{
    if (!sim->core)
        return;
    arena_reset(&sim->arena);
    drain_inbox(sim);
    bool rows = core_update_has_rows(&sim->update) || sim->pause_changed;
    sim->pause_changed = false;
    sim->n_commits += rows;
    int point = rows ? crash_point(sim) : -1;
    if (crash_if(sim, point, 0, FAULT_CRASH_BEFORE_COMMIT))
        return;
    oracle_overdue(sim);
    if (rows)
        commit(sim);
    forget_inbox(sim);
    if (point == 1) { /* the digest to compare with is of the core as it was committed */
        core_turn_done(sim->core, &sim->update);
        sim->digest = core_digest(sim->core);
        crash_if(sim, point, 1, FAULT_CRASH_AFTER_COMMIT);
        return;
    }
    send_all(sim);
    core_turn_done(sim->core, &sim->update);
    sim->digest = core_digest(sim->core);
    if (rows && sim_chance(sim, 1, 10)) {
        struct core_update update;
        core_update_init(&update);
        struct core *again = load(sim, sim->store.epoch + 1, &update);
        sim->stats->reloads++;
        if (core_digest(again) != sim->digest)
            sim_fail(sim, "a loaded core is the one that was committed", "digest differs");
        core_turn_done(again, &update);
        core_free(again);
        core_update_fini(&update);
    }
    if (crash_if(sim, point, 2, FAULT_CRASH_AFTER_SEND))
        return;
    plan_turn(sim);
}
