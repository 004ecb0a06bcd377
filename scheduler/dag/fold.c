#include "scheduler/dag/fold.h"

struct folding {
    const struct layout_task *tasks;
    uint32_t n;
    const uint32_t *group_of;
    bool *folds;               /* groups that are one node so far */
    uint32_t *first, *next;    /* members of each group, a chain */
    uint32_t *down, *down_end; /* tasks that need task i: all[down[i]] to all[down_end[i]] */
    uint32_t *all;
    bool *seen;
    uint32_t *stack, n_stack;
};

static void link_members(struct folding *f, uint32_t n_groups, struct arena *arena)
{
    f->first = arena_array(arena, n_groups + 1, sizeof *f->first);
    f->next = arena_array(arena, f->n + 1, sizeof *f->next);
    for (uint32_t g = 0; g < n_groups; g++)
        f->first[g] = FOLD_NONE;
    for (uint32_t i = f->n; i-- > 0;) {
        if (f->group_of[i] == FOLD_NONE)
            continue;
        f->next[i] = f->first[f->group_of[i]];
        f->first[f->group_of[i]] = i;
    }
}

static void link_down(struct folding *f, struct arena *arena)
{
    size_t n_edges = 0;
    f->down = arena_array(arena, f->n + 1, sizeof *f->down);
    f->down_end = arena_array(arena, f->n + 1, sizeof *f->down_end);
    for (uint32_t i = 0; i < f->n; i++) {
        n_edges += f->tasks[i].n_needs;
        for (uint32_t k = 0; k < f->tasks[i].n_needs; k++)
            f->down_end[f->tasks[i].needs[k]]++;
    }
    f->all = arena_array(arena, n_edges + 1, sizeof *f->all);
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        f->down[i] = at;
        at += f->down_end[i];
        f->down_end[i] = f->down[i];
    }
    for (uint32_t i = 0; i < f->n; i++) {
        for (uint32_t k = 0; k < f->tasks[i].n_needs; k++)
            f->all[f->down_end[f->tasks[i].needs[k]]++] = i;
    }
}

static void push(struct folding *f, uint32_t task)
{
    if (f->seen[task])
        return;
    f->seen[task] = true;
    f->stack[f->n_stack++] = task;
}

/* What needs the task; of one in a folded group, all members are one with it. */
static void push_down(struct folding *f, uint32_t task, uint32_t but_group)
{
    for (uint32_t k = f->down[task]; k < f->down_end[task]; k++) {
        if (but_group == FOLD_NONE || f->group_of[f->all[k]] != but_group)
            push(f, f->all[k]);
    }
    uint32_t group = f->group_of[task];
    if (group == FOLD_NONE || !f->folds[group])
        return;
    for (uint32_t i = f->first[group]; i != FOLD_NONE; i = f->next[i])
        push(f, i);
}

/* Whether a way leaves the group and comes back to it. */
static bool comes_back(struct folding *f, uint32_t group)
{
    for (uint32_t i = 0; i < f->n; i++)
        f->seen[i] = false;
    f->n_stack = 0;
    for (uint32_t i = f->first[group]; i != FOLD_NONE; i = f->next[i])
        push_down(f, i, group);
    while (f->n_stack) {
        uint32_t task = f->stack[--f->n_stack];
        if (f->group_of[task] == group)
            return true;
        push_down(f, task, FOLD_NONE);
    }
    return false;
}

static void number_nodes(const struct folding *f, uint32_t n_groups, struct arena *arena,
                         struct folded *folded)
{
    uint32_t *node_of_group = arena_array(arena, n_groups + 1, sizeof *node_of_group);
    for (uint32_t g = 0; g < n_groups; g++)
        node_of_group[g] = FOLD_NONE;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t group = f->group_of[i];
        bool folds = group != FOLD_NONE && f->folds[group];
        if (!folds || node_of_group[group] == FOLD_NONE) {
            folded->task_of[folded->n] = i;
            folded->is_group[folded->n] = folds;
            if (folds)
                node_of_group[group] = folded->n;
            folded->node_of[i] = folded->n++;
        } else {
            folded->node_of[i] = node_of_group[group];
        }
    }
}

/* The needs of a node, each once. */
static void join_needs(const struct folding *f, struct arena *arena, struct folded *folded)
{
    uint32_t *marks = arena_array(arena, folded->n + 1, sizeof *marks);
    for (uint32_t node = 0; node < folded->n; node++) {
        uint32_t task = folded->task_of[node], n = 0, n_needs = 0;
        bool group = folded->is_group[node];
        for (uint32_t i = task; i != FOLD_NONE; i = group ? f->next[i] : FOLD_NONE)
            n += f->tasks[i].n_needs;
        uint32_t *needs = arena_array(arena, n + 1, sizeof *needs);
        marks[node] = node + 1; /* not itself */
        for (uint32_t i = task; i != FOLD_NONE; i = group ? f->next[i] : FOLD_NONE) {
            for (uint32_t k = 0; k < f->tasks[i].n_needs; k++) {
                uint32_t other = folded->node_of[f->tasks[i].needs[k]];
                if (marks[other] == node + 1)
                    continue;
                marks[other] = node + 1;
                needs[n_needs++] = other;
            }
        }
        folded->tasks[node] = (struct layout_task){needs, n_needs};
    }
}

void fold_groups(const struct layout_task *tasks, uint32_t n, const uint32_t *group_of,
                 const bool *wanted, uint32_t n_groups, struct arena *arena, struct folded *folded)
{
    struct folding f = {.tasks = tasks, .n = n, .group_of = group_of};
    f.folds = arena_array(arena, n_groups + 1, sizeof *f.folds);
    f.seen = arena_array(arena, n + 1, sizeof *f.seen);
    f.stack = arena_array(arena, n + 1, sizeof *f.stack);
    link_members(&f, n_groups, arena);
    link_down(&f, arena);
    for (uint32_t g = 0; g < n_groups; g++)
        f.folds[g] = wanted[g] && f.first[g] != FOLD_NONE && !comes_back(&f, g);
    *folded = (struct folded){
        .tasks = arena_array(arena, n + 1, sizeof *folded->tasks),
        .node_of = arena_array(arena, n + 1, sizeof *folded->node_of),
        .task_of = arena_array(arena, n + 1, sizeof *folded->task_of),
        .is_group = arena_array(arena, n + 1, sizeof *folded->is_group),
    };
    number_nodes(&f, n_groups, arena, folded);
    join_needs(&f, arena, folded);
}
