/* Datasets: names of what tasks write. Each event (a task that produces it has succeeded, or
 * somebody outside said so) is a new version: 1, 2, ...
 *
 * An entry of a schedule that datasets start has a mark as every entry, and in it, for each dataset
 * that it names, the version up to which it has used its events. It is due when there is a newer
 * version of each of them (`all`), or of one. The run that is made takes everything that is new:
 * events that come while others are waited for, while the DAG is paused or its file is gone, or
 * while `overlap: skip` leaves no room, start one run together. Event, use and run are rows of
 * commits of their own turn, so none is lost or used twice. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/core/state.h"

struct dataset *dataset_get(struct core *core, const char *name)
{
    struct dataset *dataset = map_get(&core->datasets, name);
    if (!dataset) {
        dataset = mem_alloc(sizeof *dataset);
        must(str_copy(dataset->name, sizeof dataset->name, name));
        map_set(&core->datasets, name, dataset);
    }
    return dataset;
}

void dataset_fini(struct core *core)
{
    for (size_t i = 0; i < core->datasets.n; i++) {
        struct dataset *dataset = core->datasets.at[i].value;
        vec_fini(&dataset->starts);
        vec_fini(&dataset->waits);
        mem_free(dataset);
    }
    map_fini(&core->datasets);
    vec_fini(&core->checks);
    vec_fini(&core->heard);
}

void core_load_dataset(struct core *core, const struct core_dataset_row *row)
{
    struct dataset *dataset = dataset_get(core, row->name);
    dataset->version = row->version;
    dataset->event_ms = row->event_ms;
}

bool core_get_dataset(const struct core *core, const char *name, struct core_dataset_row *row)
{
    const struct dataset *dataset = map_get(&core->datasets, name);
    if (!dataset)
        return false;
    *row = (struct core_dataset_row){dataset->name, dataset->version, dataset->event_ms};
    return true;
}

/* ---- Events ---- */

void dataset_check(struct core *core, struct dag *dag)
{
    if (dag->in_checks)
        return;
    dag->in_checks = true;
    vec_push(&core->checks, dag);
}

/* Everybody who waits for the dataset's next version. Tasks are told when the step ends. */
static void tell_waiters(struct core *core, struct dataset *dataset)
{
    if (dataset->waits.n && !dataset->heard) {
        dataset->heard = true;
        vec_push(&core->heard, dataset);
    }
    for (size_t i = 0; i < dataset->starts.n; i++)
        dataset_check(core, dataset->starts.at[i]);
}

static void make_event(struct core *core, struct dataset *dataset, struct nx_inst_id inst,
                       uint32_t attempt)
{
    dataset->version++;
    dataset->event_ms = core->wall_ms;
    struct core_dataset_event event = {dataset->name, dataset->version, core->wall_ms, inst,
                                       attempt};
    vec_push(&core->update->dataset_events, event);
    tell_waiters(core, dataset);
}

void dataset_produced(struct core *core, const struct run *run, uint32_t at)
{
    const struct graph_task *spec = task_of(run, at);
    struct nx_inst_id inst = inst_id(run, at);
    uint32_t attempt = run->insts[at].attempt;
    if (!spec->n_produces)
        return;
    if (inst.map != NX_MAP_NONE) { /* of all instances together: no attempt's rows and hash */
        if (!mapped_succeeded(run, inst.task))
            return;
        inst.map = NX_MAP_NONE;
        attempt = 0;
    }
    for (uint32_t i = 0; i < spec->n_produces; i++)
        make_event(core, dataset_get(core, spec->produces[i]), inst, attempt);
}

void dataset_emit(struct core *core, const struct core_event *event)
{
    struct nx_run_id none = {0};
    struct nx_inst_id outside = {none, 0, NX_MAP_NONE};
    bool known = map_get(&core->datasets, event->dataset) != NULL;
    if (!known && core->datasets.n >= NX_DATASETS_MAX) {
        core_answer_to(core, event->token, none, NX_E_LIMIT,
                       "there are %d datasets, which is the limit", NX_DATASETS_MAX);
        return;
    }
    make_event(core, dataset_get(core, event->dataset), outside, 0);
    core_answer_to(core, event->token, none, NX_OK, "%s", "");
}

/* ---- What an entry has used ---- */

static const struct core_use *find_use(const struct mark *mark, const char *dataset)
{
    for (size_t i = 0; mark && i < mark->n_uses; i++) {
        if (str_eq(mark->uses[i].dataset, dataset))
            return &mark->uses[i];
    }
    return NULL;
}

void dataset_carry(struct core *core, struct mark *mark, const struct mark *former,
                   const struct timetable_entry *entry)
{
    must(!mark->uses);
    mark->n_uses = entry->n_datasets;
    mark->uses = mem_alloc_array(mark->n_uses, sizeof *mark->uses);
    for (uint32_t i = 0; i < entry->n_datasets; i++) {
        const struct dataset *dataset = dataset_get(core, entry->datasets[i]);
        const struct core_use *use = find_use(former, dataset->name);
        mark->uses[i] = (struct core_use){dataset->name, use ? use->version : dataset->version};
    }
}

static void unfollow(struct dataset *dataset, const struct dag *dag)
{
    size_t n = 0;
    for (size_t i = 0; i < dataset->starts.n; i++) {
        if (dataset->starts.at[i] != dag)
            dataset->starts.at[n++] = dataset->starts.at[i];
    }
    dataset->starts.n = n;
}

static void follow(struct core *core, struct dag *dag, const struct timetable *timetable, bool on)
{
    for (uint32_t i = 0; timetable && i < timetable->n; i++) {
        const struct timetable_entry *entry = &timetable->entries[i];
        for (uint32_t k = 0; k < entry->n_datasets; k++) {
            struct dataset *dataset = dataset_get(core, entry->datasets[k]);
            size_t n = dataset->starts.n;
            if (!on)
                unfollow(dataset, dag);
            else if (n == 0 || dataset->starts.at[n - 1] != dag) /* two entries may name it */
                vec_push(&dataset->starts, dag);
        }
    }
}

void dataset_follow(struct core *core, struct dag *dag, const struct timetable *former)
{
    follow(core, dag, former, false);
    follow(core, dag, dag->timetable, true);
}

/* ---- Runs ---- */

static bool is_new(const struct core *core, const struct core_use *use)
{
    const struct dataset *dataset = map_get(&core->datasets, use->dataset);
    must(dataset && use->version <= dataset->version);
    return use->version < dataset->version;
}

bool dataset_is_due(const struct core *core, const struct dag *dag, uint32_t entry)
{
    const struct timetable *timetable = dag->timetable;
    size_t n = 0;
    if (!timetable || dag->paused || entry >= timetable->n ||
        timetable->entries[entry].kind != TIMETABLE_DATASET ||
        core->wall_ms < timetable->start_ms || core->wall_ms > timetable->end_ms)
        return false;
    const struct mark *mark = &dag->marks.at[entry];
    for (size_t i = 0; i < mark->n_uses; i++)
        n += is_new(core, &mark->uses[i]);
    return n > 0 && (n == mark->n_uses || !timetable->entries[entry].all);
}

/* Its data interval: from the end of the one before to its newest event. */
static void make_due(struct core *core, struct dag *dag, uint32_t entry)
{
    const struct mark *mark = &dag->marks.at[entry];
    int64_t start = mark->from_ms ? mark->from_ms : mark->watermark_ms;
    int64_t finish = start; /* a clock that was set back moves nothing back */
    for (size_t i = 0; i < mark->n_uses; i++) {
        const struct dataset *dataset = map_get(&core->datasets, mark->uses[i].dataset);
        if (is_new(core, &mark->uses[i]) && dataset->event_ms > finish)
            finish = dataset->event_ms;
    }
    struct core_due due = {.dag = dag->id,
                           .start_ms = start == TIMETABLE_NEVER ? finish : start,
                           .finish_ms = finish,
                           .by_dataset = true,
                           .entry = entry};
    vec_push(&core->update->dues, due);
}

/* Only DAGs for which something has changed are looked at: one that is due and is refused (overlap:
 * skip) is not due again at once. */
void dataset_turn(struct core *core)
{
    for (size_t i = 0; i < core->checks.n; i++) {
        struct dag *dag = core->checks.at[i];
        dag->in_checks = false;
        for (uint32_t k = 0; dag->timetable && k < dag->timetable->n; k++) {
            if (dataset_is_due(core, dag, k))
                make_due(core, dag, k);
        }
    }
    core->checks.n = 0;
}

void dataset_take(struct core *core, struct run *run, uint32_t entry)
{
    struct mark *mark = &run->dag->marks.at[entry];
    for (size_t i = 0; i < mark->n_uses; i++) {
        struct core_use *use = &mark->uses[i];
        const struct dataset *dataset = map_get(&core->datasets, use->dataset);
        if (!is_new(core, use))
            continue;
        struct core_trigger trigger = {run->id, dataset->name, use->version + 1, dataset->version};
        vec_push(&core->update->triggers, trigger);
        use->version = dataset->version;
    }
    mark->watermark_ms = run->interval_finish_ms;
    mark->from_ms = 0;
    schedule_dirty(core, run->dag);
}
