/* Mapped tasks: one instance an item of a list.
 *
 * A mapped task begins with one instance, its own. When its trigger rule says run, the list is
 * asked for; then its own instance stands aside (removed, not counted) and one an index takes its
 * place. Tasks of a group share the list: all that are not final are expanded at once, and index i
 * of one needs only index i of the other, so that each index goes its way alone. For everybody else
 * a mapped upstream is as many upstream as it has instances. */
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "scheduler/core/state.h"

struct mapping *mapping_of(const struct run *run, uint32_t task)
{
    uint32_t map = run->version->graph->tasks[task].map;
    return map ? &run->mappings[map - 1] : NULL;
}

static struct member *member_of(const struct run *run, uint32_t task)
{
    return &run->members[run->version->graph->tasks[task].member];
}

uint32_t mapped_find(const struct run *run, uint32_t task, int32_t map)
{
    if (map == NX_MAP_NONE)
        return task;
    if (map < 0 || !run->version->graph->tasks[task].map)
        return NO_INST;
    const struct member *member = member_of(run, task);
    return (size_t)map < member->at.n ? member->at.at[map] : NO_INST;
}

static void reserve(struct run *run, uint32_t n)
{
    if (n <= run->cap_insts)
        return;
    uint32_t cap = run->cap_insts + run->cap_insts / 2;
    cap = cap < n ? n : cap;
    run->insts = mem_realloc(run->insts, cap * sizeof *run->insts);
    run->cap_insts = cap;
}

uint32_t mapped_make(struct run *run, uint32_t task, int32_t map)
{
    struct member *member = member_of(run, task);
    while (member->at.n <= (size_t)map) {
        reserve(run, run->n_insts + 1);
        run->insts[run->n_insts] = (struct inst){.state = NX_TS_REMOVED, .reason = NX_WHY_SHORTER};
        vec_push(&run->places, ((struct place){task, (int32_t)member->at.n}));
        vec_push(&member->at, run->n_insts++);
        run->counts[NX_TS_REMOVED]++;
    }
    return member->at.at[map];
}

void mapped_free(struct run *run)
{
    const struct graph *graph = run->version->graph;
    for (uint32_t i = 0; i < graph->n_map_tasks; i++)
        vec_fini(&run->members[i].at);
    for (uint32_t i = 0; i < graph->n_maps; i++) {
        vec_fini(&run->mappings[i].open);
        vec_fini(&run->mappings[i].admitted);
    }
    vec_fini(&run->places);
    mem_free(run->members);
    mem_free(run->mappings);
}

bool mapped_own(const struct run *run, uint32_t at)
{
    return at < run->version->graph->n_tasks && run->version->graph->tasks[at].map;
}

bool mapped_is_out(const struct run *run, uint32_t at)
{
    int32_t map = map_at(run, at);
    uint32_t task = task_at(run, at);
    return map != NX_MAP_NONE &&
           (!stands_aside(run, task) || (uint32_t)map >= mapping_of(run, task)->n);
}

/* ---- Upstream ---- */

/* Whether the upstream counts for the instance by index, not as a whole. */
static bool goes_along(const struct run *run, uint32_t at, uint32_t up)
{
    return map_at(run, at) != NX_MAP_NONE && stands_aside(run, up) &&
           graph_mapped_together(run->version->graph, task_at(run, at), up);
}

uint32_t mapped_along(const struct run *run, uint32_t at, uint32_t up)
{
    return goes_along(run, at, up) ? mapped_find(run, up, map_at(run, at)) : up;
}

uint32_t mapped_n_up(const struct run *run, uint32_t at)
{
    const struct graph_task *spec = task_of(run, at);
    uint32_t n = spec->n_up;
    if (!(spec->flags & GRAPH_UP_MAPPED))
        return n;
    const uint32_t *up = graph_up(run->version->graph, task_at(run, at));
    for (uint32_t j = 0; j < spec->n_up; j++) {
        if (stands_aside(run, up[j]) && !goes_along(run, at, up[j]))
            n += mapping_of(run, up[j])->n - 1;
    }
    return n;
}

static void add_final(const struct run *run, uint32_t at, uint32_t up)
{
    if (nx_task_state_final(run->insts[up].state))
        inst_add_up(&run->insts[at], choice_seen(run, up, task_at(run, at)));
}

void mapped_count_up(struct run *run, uint32_t at)
{
    struct inst *inst = &run->insts[at];
    const struct graph_task *spec = task_of(run, at);
    const uint32_t *up = graph_up(run->version->graph, task_at(run, at));
    inst->up_success = inst->up_failed = inst->up_skipped = 0;
    inst->flags &= (uint8_t)~INST_UP_SELF;
    for (uint32_t j = 0; j < spec->n_up; j++) {
        if (!stands_aside(run, up[j])) {
            add_final(run, at, up[j]);
        } else if (goes_along(run, at, up[j])) {
            add_final(run, at, mapped_find(run, up[j], map_at(run, at)));
        } else {
            const struct member *member = member_of(run, up[j]);
            for (uint32_t i = 0; i < mapping_of(run, up[j])->n; i++)
                add_final(run, at, member->at.at[i]);
        }
    }
}

struct needing mapped_needing(const struct run *run, uint32_t at, uint32_t down)
{
    struct needing all = {run, down, 0, 1};
    if (!stands_aside(run, down))
        return all;
    all.end = mapping_of(run, down)->n + 1;
    if (map_at(run, at) != NX_MAP_NONE &&
        graph_mapped_together(run->version->graph, task_at(run, at), down)) {
        all.next = (uint32_t)map_at(run, at) + 1;
        all.end = all.next < all.end ? all.next + 1 : all.next;
    }
    return all;
}

bool mapped_next(struct needing *all, uint32_t *at)
{
    if (all->next >= all->end)
        return false;
    *at = mapped_find(all->run, all->task, (int32_t)all->next++ - 1);
    return true;
}

/* ---- max_parallel ---- */

static uint32_t limit_of(const struct run *run, uint32_t task)
{
    const struct graph *graph = run->version->graph;
    return graph->maps[graph->tasks[task].map - 1].max_parallel;
}

bool mapped_admitted(const struct run *run, uint32_t at)
{
    int32_t map = map_at(run, at);
    if (map == NX_MAP_NONE || !limit_of(run, task_at(run, at)))
        return true;
    const struct mapping *mapping = mapping_of(run, task_at(run, at));
    return (size_t)map < mapping->admitted.n && mapping->admitted.at[map];
}

bool mapped_succeeded(const struct run *run, uint32_t task)
{
    const struct member *member = member_of(run, task);
    if (member->n_open || !stands_aside(run, task))
        return false;
    for (uint32_t i = 0; i < mapping_of(run, task)->n; i++) {
        enum nx_task_state state = run->insts[member->at.at[i]].state;
        if (state != NX_TS_SUCCESS && state != NX_TS_SKIPPED)
            return false;
    }
    return true;
}

enum nx_task_state mapped_state(const struct run *run, uint32_t task)
{
    static const enum nx_task_state order[] = {NX_TS_FAILED, NX_TS_UPSTREAM_FAILED, NX_TS_CANCELLED,
                                               NX_TS_SUCCESS};
    unsigned seen = 0;
    if (!stands_aside(run, task))
        return run->insts[task].state;
    const struct member *member = member_of(run, task);
    if (member->n_open)
        return NX_TS_RUNNING;
    for (uint32_t i = 0; i < mapping_of(run, task)->n; i++)
        seen |= 1u << run->insts[member->at.at[i]].state;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (seen & 1u << order[i])
            return order[i];
    }
    return NX_TS_SKIPPED;
}

/* Room for the counters of index i. */
static void cover(struct mapping *mapping, uint32_t i)
{
    while (mapping->open.n <= i) {
        vec_push(&mapping->open, 0);
        vec_push(&mapping->admitted, false);
    }
}

static void admit(struct run *run, uint32_t map, uint32_t i)
{
    struct mapping *mapping = &run->mappings[map];
    must(!mapping->admitted.at[i]);
    mapping->admitted.at[i] = true;
    mapping->n_admitted++;
}

/* It was queued before its turn had come: queue_timeout counts from now, also after a restart. */
static void let_in(struct core *core, struct run *run, uint32_t at)
{
    if (task_of(run, at)->queue_timeout_ms) {
        run->insts[at].ready_ms = core->wall_ms;
        inst_dirty(core, run, at);
    }
    inst_ready(core, run, at);
}

/* The next indexes, as far as max_parallel allows. */
static void admit_next(struct core *core, struct run *run, uint32_t map)
{
    const struct graph *graph = run->version->graph;
    const struct graph_map *of = &graph->maps[map];
    struct mapping *mapping = &run->mappings[map];
    for (; mapping->n_admitted < of->max_parallel && mapping->next < mapping->open.n;
         mapping->next++) {
        uint32_t i = mapping->next;
        if (!mapping->open.at[i] || mapping->admitted.at[i])
            continue;
        admit(run, map, i);
        for (uint32_t k = 0; k < of->n; k++) {
            uint32_t at = mapped_find(run, graph->map_tasks[of->first + k], (int32_t)i);
            if (at != NO_INST && run->insts[at].state == NX_TS_QUEUED)
                let_in(core, run, at);
        }
    }
}

void mapped_count(struct core *core, struct run *run, uint32_t at, bool final)
{
    int32_t i = map_at(run, at);
    if (i == NX_MAP_NONE)
        return;
    struct member *member = member_of(run, task_at(run, at));
    must(!final || member->n_open > 0);
    member->n_open = final ? member->n_open - 1 : member->n_open + 1;
    if (!limit_of(run, task_at(run, at)))
        return;
    uint32_t map = task_of(run, at)->map - 1;
    struct mapping *mapping = &run->mappings[map];
    cover(mapping, (uint32_t)i);
    must(!final || mapping->open.at[i] > 0);
    mapping->open.at[i] = final ? mapping->open.at[i] - 1 : mapping->open.at[i] + 1;
    if (!final && (uint32_t)i < mapping->next)
        mapping->next = (uint32_t)i;
    if (!mapping->open.at[i] && mapping->admitted.at[i]) {
        mapping->admitted.at[i] = false;
        mapping->n_admitted--;
    }
    admit_next(core, run, map);
}

/* ---- Expanding and folding ---- */

static void revive(struct core *core, struct run *run, uint32_t at)
{
    if (run->insts[at].state == NX_TS_REMOVED)
        inst_set(core, run, at, NX_TS_WAITING, NX_WHY_NONE);
}

void mapped_expand(struct core *core, struct run *run, uint32_t map, uint32_t n)
{
    const struct graph *graph = run->version->graph;
    const struct graph_map *of = &graph->maps[map];
    const uint32_t *tasks = graph->map_tasks + of->first;
    must(n > 0 && n <= NX_MAP_MAX);
    must(!run->mappings[map].n || run->mappings[map].n == n);
    run->mappings[map].n = n;
    reserve(run, run->n_insts + of->n * n);
    VEC(uint32_t) fresh = {0};
    for (uint32_t k = 0; k < of->n; k++) {
        if (nx_task_state_final(run->insts[tasks[k]].state))
            continue;
        inst_set(core, run, tasks[k], NX_TS_REMOVED, NX_WHY_MAPPED);
        vec_push(&fresh, tasks[k]);
        mapped_make(run, tasks[k], (int32_t)n - 1);
    }
    for (size_t k = 0; k < fresh.n; k++) {
        for (uint32_t i = 0; i < n; i++)
            revive(core, run, mapped_find(run, fresh.at[k], (int32_t)i));
    }
    for (size_t k = 0; k < fresh.n; k++) {
        for (uint32_t i = 0; i < n; i++)
            mapped_count_up(run, mapped_find(run, fresh.at[k], (int32_t)i));
    }
    vec_fini(&fresh);
}

void mapped_decide(struct core *core, struct run *run, uint32_t map)
{
    const struct graph *graph = run->version->graph;
    const struct graph_map *of = &graph->maps[map];
    for (uint32_t k = 0; k < of->n; k++) {
        uint32_t task = graph->map_tasks[of->first + k], at;
        struct needing all = mapped_needing(run, task, task);
        while (mapped_next(&all, &at))
            inst_decide(core, run, at);
    }
}

void mapped_admit(struct core *core, struct run *run)
{
    const struct graph *graph = run->version->graph;
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        if (graph->maps[m].max_parallel)
            admit_next(core, run, m);
    }
}

void mapped_fold(struct core *core, struct run *run, uint32_t map)
{
    const struct graph *graph = run->version->graph;
    const struct graph_map *of = &graph->maps[map];
    run->mappings[map].n = 0;
    for (uint32_t k = 0; k < of->n; k++) {
        uint32_t task = graph->map_tasks[of->first + k];
        const struct member *member = member_of(run, task);
        for (size_t i = 0; i < member->at.n; i++) {
            if (run->insts[member->at.at[i]].state == NX_TS_WAITING)
                inst_set(core, run, member->at.at[i], NX_TS_REMOVED, NX_WHY_SHORTER);
        }
        if (stands_aside(run, task))
            inst_clear(core, run, task);
    }
}

/* ---- Loading ---- */

/* How sure it is that index i was in progress before the restart. What failed, or is tried again,
 * may never have got beyond its questions: those are asked of all indexes. */
enum progress { NOT_SEEN, SOMETHING_ENDED, TRIED_AGAIN, IN_HAND };

static enum progress progress_of(const struct run *run, const struct graph_map *of, uint32_t i)
{
    enum progress most = NOT_SEEN;
    for (uint32_t k = 0; k < of->n; k++) {
        uint32_t at = mapped_find(run, run->version->graph->map_tasks[of->first + k], (int32_t)i);
        enum nx_task_state state = at == NO_INST ? NX_TS_REMOVED : run->insts[at].state;
        bool in_hand = state == NX_TS_LEASED || state == NX_TS_RUNNING || state == NX_TS_STOPPING;
        bool ended = nx_task_state_final(state) && state != NX_TS_REMOVED;
        enum progress seen = in_hand                                           ? IN_HAND
                             : state == NX_TS_RETRYING && run->insts[at].lease ? TRIED_AGAIN
                             : ended                                           ? SOMETHING_ENDED
                                                                               : NOT_SEEN;
        most = seen > most ? seen : most;
    }
    return most;
}

static void load_admitted(struct run *run, uint32_t map)
{
    const struct graph_map *of = &run->version->graph->maps[map];
    struct mapping *mapping = &run->mappings[map];
    for (uint32_t at = run->version->graph->n_tasks; at < run->n_insts; at++) {
        if (task_of(run, at)->map != map + 1 || nx_task_state_final(run->insts[at].state))
            continue;
        cover(mapping, (uint32_t)map_at(run, at));
        mapping->open.at[map_at(run, at)]++;
    }
    for (enum progress least = IN_HAND; least > NOT_SEEN; least--) {
        for (uint32_t i = 0; i < mapping->open.n; i++) {
            bool room = least == IN_HAND || mapping->n_admitted < of->max_parallel;
            if (room && mapping->open.at[i] && !mapping->admitted.at[i] &&
                progress_of(run, of, i) == least)
                admit(run, map, i);
        }
    }
    for (; mapping->next < mapping->open.n && mapping->n_admitted < of->max_parallel;
         mapping->next++) {
        if (mapping->open.at[mapping->next] && !mapping->admitted.at[mapping->next])
            admit(run, map, mapping->next);
    }
}

/* Without a row it waits; and when the last of them ended. */
static void load_member(struct run *run, uint32_t task, uint32_t n)
{
    const struct member *member = member_of(run, task);
    for (uint32_t i = 0; i < n; i++) {
        struct inst *inst = &run->insts[member->at.at[i]];
        if (!(inst->flags & INST_ROW))
            inst->state = NX_TS_WAITING;
        if (inst->finished_ms > run->insts[task].finished_ms)
            run->insts[task].finished_ms = inst->finished_ms;
    }
}

void mapped_load_done(struct run *run)
{
    const struct graph *graph = run->version->graph;
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        const struct graph_map *of = &graph->maps[m];
        bool expanded = false;
        for (uint32_t k = 0; k < of->n; k++) {
            uint32_t task = graph->map_tasks[of->first + k];
            if (!stands_aside(run, task))
                continue;
            expanded = true;
            must(run->mappings[m].n > 0);
            mapped_make(run, task, (int32_t)run->mappings[m].n - 1);
            load_member(run, task, run->mappings[m].n);
        }
        if (!expanded)
            run->mappings[m].n = 0; /* what is stored is of a former time */
    }
}

void mapped_load_admitted(struct run *run)
{
    const struct graph *graph = run->version->graph;
    for (uint32_t at = graph->n_tasks; at < run->n_insts; at++)
        member_of(run, task_at(run, at))->n_open += !nx_task_state_final(run->insts[at].state);
    for (uint32_t m = 0; m < graph->n_maps; m++) {
        if (graph->maps[m].max_parallel)
            load_admitted(run, m);
    }
}
