/* Pictures of a DAG: its runs as a grid of letters, and its tasks as a graph. */
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/dag/fold.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

#define GRID_RUNS 50
#define GRID_ROWS_MAX 200000 /* instances that one answer looks at: then it ends with a cursor */

/* By enum nx_task_state; and which of a mapped task's instances stands for them all: the first of
 * these letters that one has. */
static const char letters[] = "wdqlrztpsfukcx";
static const char worst_first[] = "fuptrlzqdwcksx";

/* ---- The grid ---- */

/* The tasks of the answer: those of the current version in an order in which they can run, then
 * those that older versions had. */
struct rows {
    struct arena *arena;
    VEC(const char *) ids;
    struct map index; /* id -> row + 1 */
};

struct grid {
    struct call *call;
    struct rows rows;
    VEC(struct query_run) runs;
    const struct dag_info *mapped; /* of which `row_of` is */
    uint32_t *row_of;
    char *cells; /* of the run at hand, one a row */
    size_t n_cells;
    size_t n_seen;
};

static uint32_t row_of(struct rows *rows, const char *id)
{
    uintptr_t found = (uintptr_t)map_get(&rows->index, id);
    if (found)
        return (uint32_t)found - 1;
    vec_push(&rows->ids, arena_strdup(rows->arena, id));
    map_set(&rows->index, rows->ids.at[rows->ids.n - 1], (void *)(uintptr_t)rows->ids.n);
    return (uint32_t)rows->ids.n - 1;
}

static void make_layout(struct arena *arena, const struct dag_info *info, struct layout *layout)
{
    struct layout_task *tasks = arena_array(arena, info->n_tasks + 1, sizeof *tasks);
    for (uint32_t i = 0; i < info->n_tasks; i++)
        tasks[i] = (struct layout_task){info->tasks[i].needs, info->tasks[i].n_needs};
    layout_make(tasks, info->n_tasks, false, arena, layout);
}

static bool keep_run(void *arg, const struct query_run *run)
{
    struct grid *grid = arg;
    vec_push(&grid->runs, *run); /* its texts are not used afterwards */
    return true;
}

static bool set_cell(void *arg, const struct query_task *task)
{
    struct grid *grid = arg;
    char *cell = &grid->cells[grid->row_of[task->id.task]];
    char letter = letters[task->state];
    if (*cell == ' ' || strchr(worst_first, letter) < strchr(worst_first, *cell))
        *cell = letter;
    grid->n_seen++;
    return true;
}

/* The run's letters in grid->cells; behind the last task that it has there is nothing. */
static bool find_cells(struct grid *grid, const struct query_run *run, struct nx_err *err)
{
    const struct dag_info *info;
    struct query *query = grid->call->query;
    if (!query_version(query, run->version, &info, err))
        return false;
    if (info != grid->mapped) {
        grid->mapped = info;
        grid->row_of = arena_array(grid->call->arena, info->n_tasks + 1, sizeof *grid->row_of);
        for (uint32_t i = 0; i < info->n_tasks; i++)
            grid->row_of[i] = row_of(&grid->rows, info->tasks[i].id);
        grid->n_cells = grid->rows.ids.n;
        grid->cells = arena_alloc(grid->call->arena, grid->n_cells + 1);
    }
    memset(grid->cells, ' ', grid->n_cells);
    grid->cells[grid->n_cells] = 0;
    const struct query_tasks which = {
        .run = run, .info = info, .from_map = NX_MAP_NONE, .state = -1};
    if (!query_tasks(query, &which, set_cell, grid, err))
        return false;
    for (size_t n = grid->n_cells; n && grid->cells[n - 1] == ' '; n--)
        grid->cells[n - 1] = 0;
    return true;
}

static bool put_grid_run(struct grid *grid, const struct query_run *run, struct nx_err *err)
{
    struct buf *body = &grid->call->body;
    if (!find_cells(grid, run, err))
        return false;
    put_open(body, NULL, '{');
    put_id(body, "id", run->id.v);
    put_id(body, "dag_version", (uint64_t)run->version_number);
    put_text(body, "state", nx_run_state_name(run->state));
    put_text(body, "cause", nx_cause_name(run->cause));
    put_time(body, "interval_start", run->interval_start_ms);
    put_time(body, "created_at", run->created_ms);
    put_time(body, "started_at", run->started_ms);
    put_time(body, "finished_at", run->finished_ms);
    put_text(body, "states", grid->cells);
    put_close(body, '}');
    return true;
}

static bool put_grid_runs(struct grid *grid, size_t limit, bool *more, uint64_t *last,
                          struct nx_err *err)
{
    *more = false;
    *last = 0;
    for (size_t i = 0; i < grid->runs.n; i++) {
        if (i == limit || grid->n_seen > GRID_ROWS_MAX || grid->call->body.len > CALL_BODY_MAX) {
            *more = true;
            return true;
        }
        if (!put_grid_run(grid, &grid->runs.at[i], err))
            return false;
        *last = grid->runs.at[i].id.v;
    }
    return true;
}

static bool keep_version(void *arg, const struct query_dag *dag)
{
    *(uint64_t *)arg = dag->version;
    return false;
}

/* The version that is asked for, or the current one. */
static bool find_version(struct call *call, int64_t number, const struct dag_info **info,
                         struct nx_err *err)
{
    uint64_t version = 0;
    const char *dag = call->params[0];
    if (!dag_must_exist(call, dag, err) ||
        !query_dag(call->query, dag, keep_version, &version, err))
        return false;
    if (number && !query_version_id(call->query, dag, number, &version, err))
        return false;
    return query_version(call->query, version, info, err);
}

static bool find_grid(struct grid *grid, struct query_runs *which, struct nx_err *err)
{
    const struct dag_info *info;
    struct layout layout;
    if (!find_version(grid->call, 0, &info, err) ||
        !query_runs(grid->call->query, which, keep_run, grid, err))
        return false;
    make_layout(grid->call->arena, info, &layout);
    for (uint32_t i = 0; i < 2 * info->n_tasks; i++) { /* what comes at the very end is last */
        const struct info_task *task = &info->tasks[layout.order[i % info->n_tasks]];
        if (task->finally == (i >= info->n_tasks))
            row_of(&grid->rows, task->id);
    }
    return true;
}

bool handle_grid(struct call *call, struct nx_err *err)
{
    struct grid grid = {.call = call, .rows = {.arena = call->arena}};
    struct query_runs which = {.dag = call->params[0], .state = -1};
    int64_t cursor;
    size_t limit;
    uint64_t last;
    bool more;
    if (!call_limit(call, GRID_RUNS, &limit, err) || !call_cursor(call, &cursor, err))
        return false;
    which.before = (uint64_t)cursor;
    which.limit = limit + 1;
    bool ok = find_grid(&grid, &which, err);
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    ok = ok && put_grid_runs(&grid, limit, &more, &last, err);
    put_close(&call->body, ']');
    put_open(&call->body, "tasks", '[');
    for (size_t i = 0; i < grid.rows.ids.n; i++)
        put_text(&call->body, NULL, grid.rows.ids.at[i]);
    put_close(&call->body, ']');
    if (ok)
        put_page_end(&call->body, more, last);
    vec_fini(&grid.rows.ids);
    map_fini(&grid.rows.index);
    vec_fini(&grid.runs);
    return ok;
}

/* ---- The graph ---- */

void graph_head(struct buf *body, const struct layout *layout)
{
    put_int(body, "width", layout->width);
    put_int(body, "height", layout->height);
    put_int(body, "node_width", LAYOUT_NODE_WIDTH);
    put_int(body, "node_height", LAYOUT_NODE_HEIGHT);
}

void graph_node(struct buf *body, const struct drawn_task *task, struct layout_point at)
{
    put_open(body, NULL, '{');
    put_text(body, "task", task->id);
    put_text(body, "uses", task->uses);
    put_text(body, "group", task->group);
    put_text(body, "trigger_rule", nx_rule_name(task->rule));
    put_bool(body, "mapped", task->mapped);
    put_bool(body, "finally", task->finally);
    if (task->members) {
        put_open(body, "tasks", '[');
        for (uint32_t i = 0; i < task->n_members; i++)
            put_text(body, NULL, task->members[i]);
        put_close(body, ']');
    }
    put_int(body, "x", at.x);
    put_int(body, "y", at.y);
    put_close(body, '}');
}

void graph_edge(struct buf *body, const char *from, const char *to, const struct layout_edge *edge)
{
    put_open(body, NULL, '{');
    put_text(body, "from", from);
    put_text(body, "to", to);
    put_open(body, "bends", '[');
    for (uint32_t i = 0; i < edge->n_bends; i++) {
        put_int(body, NULL, edge->bends[i].x);
        put_int(body, NULL, edge->bends[i].y);
    }
    put_close(body, ']');
    put_close(body, '}');
}

/* What is asked for, and what is made of it. */
struct picture {
    const struct dag_info *info;
    struct folded folded;
    struct layout layout;
    bool down;
};

/* Whether "a,b" has the name. */
static bool is_named(const char *list, const char *name)
{
    size_t n = strlen(name);
    while (*list) {
        size_t k = strcspn(list, ",");
        if (k == n && memcmp(list, name, n) == 0)
            return true;
        list += k + (list[k] == ',');
    }
    return false;
}

static void make_picture(struct arena *arena, const char *list, struct picture *picture)
{
    const struct dag_info *info = picture->info;
    struct layout_task *tasks = arena_array(arena, info->n_tasks + 1, sizeof *tasks);
    uint32_t *group_of = arena_array(arena, info->n_tasks + 1, sizeof *group_of), n_groups = 0;
    bool *wanted = arena_array(arena, info->n_tasks + 1, sizeof *wanted);
    struct map groups; /* name -> its number + 1 */
    map_init(&groups);
    for (uint32_t i = 0; i < info->n_tasks; i++) {
        const char *group = info->tasks[i].group;
        tasks[i] = (struct layout_task){info->tasks[i].needs, info->tasks[i].n_needs};
        group_of[i] = FOLD_NONE;
        if (!group)
            continue;
        uintptr_t number = (uintptr_t)map_get(&groups, group);
        if (!number) {
            wanted[n_groups] = is_named(list, group);
            number = ++n_groups;
            map_set(&groups, group, (void *)number);
        }
        group_of[i] = (uint32_t)number - 1;
    }
    fold_groups(tasks, info->n_tasks, group_of, wanted, n_groups, arena, &picture->folded);
    layout_make(picture->folded.tasks, picture->folded.n, picture->down, arena, &picture->layout);
    map_fini(&groups);
}

/* A task's id; of a folded group "@" and its name. */
static const char *node_name(struct arena *arena, const struct picture *picture, uint32_t node)
{
    const struct info_task *task = &picture->info->tasks[picture->folded.task_of[node]];
    return picture->folded.is_group[node] ? arena_printf(arena, "@%s", task->group) : task->id;
}

static void list_members(struct arena *arena, const struct picture *picture, uint32_t node,
                         struct drawn_task *shown)
{
    const struct dag_info *info = picture->info;
    uint32_t n = 0;
    for (uint32_t i = 0; i < info->n_tasks; i++)
        n += picture->folded.node_of[i] == node;
    shown->members = arena_array(arena, n, sizeof *shown->members);
    for (uint32_t i = 0; i < info->n_tasks; i++) {
        if (picture->folded.node_of[i] == node)
            shown->members[shown->n_members++] = info->tasks[i].id;
    }
}

static void put_picture(struct call *call, const struct picture *picture)
{
    struct buf *body = &call->body;
    put_open(body, NULL, '{');
    put_id(body, "version", (uint64_t)picture->info->number);
    graph_head(body, &picture->layout);
    put_open(body, "nodes", '[');
    for (uint32_t i = 0; i < picture->folded.n; i++) {
        const struct info_task *task = &picture->info->tasks[picture->folded.task_of[i]];
        bool group = picture->folded.is_group[i];
        struct drawn_task shown = {
            .id = node_name(call->arena, picture, i),
            .uses = group ? NULL : task->uses,
            .group = task->group,
            .rule = group ? NX_TR_ALL_SUCCESS : task->rule,
            .mapped = !group && task->map != 0,
            .finally = task->finally,
        };
        if (group)
            list_members(call->arena, picture, i, &shown);
        graph_node(body, &shown, picture->layout.nodes[i]);
    }
    put_close(body, ']');
    put_open(body, "edges", '[');
    for (size_t i = 0; i < picture->layout.n_edges; i++) {
        const struct layout_edge *edge = &picture->layout.edges[i];
        graph_edge(body, node_name(call->arena, picture, edge->from),
                   node_name(call->arena, picture, edge->to), edge);
    }
    put_close(body, ']');
    put_close(body, '}');
}

bool handle_graph(struct call *call, struct nx_err *err)
{
    const char *text = http_query(call->request, "version");
    const char *direction = http_query(call->request, "direction");
    const char *list = http_query(call->request, "folded");
    struct picture picture = {.down = direction && str_eq(direction, "down")};
    int64_t number = 0;
    if (direction && !picture.down && !str_eq(direction, "right"))
        return nx_fail(err, NX_E_INVALID, "direction is right or down, not '%.32s'", direction);
    if (text && (!str_parse_int(text, &number) || number < 1))
        return nx_fail(err, NX_E_INVALID, "'%.32s' is no version of a DAG: they are 1, 2, ...",
                       text);
    if (!find_version(call, number, &picture.info, err))
        return false;
    make_picture(call->arena, list ? list : "", &picture);
    put_picture(call, &picture);
    return true;
}
