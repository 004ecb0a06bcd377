/* Reads of task instances: of one run, and over all runs. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/store/search.h"

/* A search looks for so long at most, whatever it finds: then the page ends with a cursor. */
#define LOOK_MS 20
#define WINDOW_RUNS 250 /* looked at by one statement */

/* The run and its version that the path names. */
bool call_run(struct call *call, struct query_run **run, const struct dag_info **info,
              struct nx_err *err)
{
    return call_query(call, err) && find_run(call->query, call->arena, call->params[0], run, err) &&
           query_version(call->query, (*run)->version, info, err);
}

static bool read_search(struct call *call, struct search *search, struct nx_err *err)
{
    const char *text = http_query(call->request, "q");
    return search_read(call->arena, SEARCH_TASKS, text ? text : "", clock_wall_ms(), search, err);
}

/* ---- Of one run ---- */

struct task_list {
    struct call *call;
    const struct search *search; /* NULL: all are wanted */
    const char *dag;             /* of the run at hand */
    bool over_runs;              /* each is told with its DAG */
    uint32_t last;               /* tasks behind this one are left out */
    int32_t last_map;            /* and all its instances but this; NX_MAP_NONE: none */
    size_t n, limit;
    int64_t until_ms; /* of a search */
    bool begun;       /* it has looked at something: a page gets on, however slow it is */
    uint64_t next;    /* see task_cursor: where the next page begins */
    bool more;
};

static bool fits(const struct task_list *list, const struct query_task *task)
{
    const struct search_task looked = {.dag = list->dag,
                                       .id = task->task->id,
                                       .uses = task->task->uses,
                                       .pool = task->task->pool,
                                       .worker = task->worker,
                                       .error = task->error,
                                       .state = task->state};
    return !list->search || search_fits(list->search, &looked);
}

static bool put_task(void *arg, const struct query_task *task)
{
    struct task_list *list = arg;
    bool only = list->last_map >= 0 && task->id.task == list->last;
    if (task->id.task > list->last || (only && task->id.map > list->last_map))
        return false;
    bool wanted = (!only || task->id.map == list->last_map) && fits(list, task);
    bool full = list->n >= list->limit || list->call->body.len > CALL_BODY_MAX;
    bool tired = list->search && list->begun && clock_mono_ms() > list->until_ms;
    list->begun = true;
    if ((full && wanted) || tired) {
        list->more = true;
        list->next = task_cursor(task->id.task, task->id.map);
        return false;
    }
    if (!wanted)
        return true;
    list->n++;
    if (list->over_runs)
        shape_task_of(list->call, task, list->dag);
    else
        shape_task(list->call, task, false);
    return true;
}

bool handle_run(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct task_list list = {.call = call, .limit = NX_PAGE_MAX, .last = UINT32_MAX};
    if (!call_run(call, &run, &info, err) || !call_revision(call, "run.*", call->params[0], err))
        return false;
    const struct query_tasks which = {
        .run = run, .info = info, .from_map = NX_MAP_NONE, .state = -1, .outputs = true};
    put_open(&call->body, NULL, '{');
    shape_run(&call->body, run);
    put_open(&call->body, "tasks", '[');
    bool ok = query_tasks(call->query, &which, put_task, &list, err);
    put_close(&call->body, ']');
    put_close(&call->body, '}');
    return ok;
}

bool handle_tasks(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    struct search search;
    struct task_list list = {.call = call, .last = UINT32_MAX};
    struct query_tasks which = {.outputs = true};
    const char *only = http_query(call->request, "task");
    int32_t map = NX_MAP_NONE;
    int64_t cursor;
    if (!call_limit(call, NX_PAGE_MAX, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !shape_read_task_state(http_query(call->request, "state"), &which.state, err) ||
        !read_search(call, &search, err) || !call_run(call, &run, &which.info, err) ||
        (only && !find_task(which.info, only, &list.last, &map, err)))
        return false;
    which.run = run;
    list.dag = run->dag;
    list.search = search.n ? &search : NULL;
    list.until_ms = clock_mono_ms() + LOOK_MS;
    from_task_cursor(cursor, which.info->n_tasks, &which.from, &which.from_map);
    list.last_map = map;
    if (only && which.from < list.last) {
        which.from = list.last;
        which.from_map = map;
    }
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_tasks(call->query, &which, put_task, &list, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, list.next);
    return ok;
}

struct task_counts {
    struct buf *body;
    const char *task; /* that is counted; NULL: none yet */
    int64_t n[NX_TASK_STATES];
};

static void put_counts(struct task_counts *counts)
{
    if (!counts->task)
        return;
    put_open(counts->body, NULL, '{');
    put_text(counts->body, "task", counts->task);
    put_open(counts->body, "counts", '{');
    for (int i = 0; i < NX_TASK_STATES; i++) {
        if (counts->n[i])
            put_int(counts->body, nx_task_state_name((enum nx_task_state)i), counts->n[i]);
    }
    put_close(counts->body, '}');
    put_close(counts->body, '}');
    memset(counts->n, 0, sizeof counts->n);
}

static bool count_task(void *arg, const struct query_task *task)
{
    struct task_counts *counts = arg;
    if (counts->task != task->task->id) { /* texts of the version */
        put_counts(counts);
        counts->task = task->task->id;
    }
    counts->n[task->state]++;
    return true;
}

bool handle_task_counts(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct task_counts counts = {.body = &call->body};
    if (!call_run(call, &run, &info, err))
        return false;
    const struct query_tasks which = {
        .run = run, .info = info, .from_map = NX_MAP_NONE, .state = -1};
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_tasks(call->query, &which, count_task, &counts, err);
    put_counts(&counts);
    put_close(&call->body, ']');
    put_page_end(&call->body, false, 0);
    return ok;
}

static bool put_one_task(void *arg, const struct query_task *task)
{
    shape_task(arg, task, true);
    return false;
}

bool handle_task(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    uint32_t task;
    int32_t map;
    bool found;
    if (!call_run(call, &run, &info, err) || !find_task(info, call->params[1], &task, &map, err) ||
        !query_task(call->query, run, info, task, map, put_one_task, call, &found, err))
        return false;
    return found || nx_fail(err, NX_E_NOT_FOUND, "task '%s' of run %s has no index %d",
                            info->tasks[task].id, call->params[0], map);
}

/* ---- Over all runs ---- */

struct look {
    struct task_list list;
    struct search search;
    bool wanted[NX_TASK_STATES];
    uint64_t run; /* where the page begins: from this task of this run on */
    int64_t cursor;
    uint64_t last; /* the run at hand */
    bool failed;
    struct nx_err *err;
};

/* Whether tasks of it may fit, by what its row says. */
static bool may_fit(const struct look *look, const struct query_run *run)
{
    for (int i = 0; i < NX_TASK_STATES; i++) {
        if (look->wanted[i] && run->counts[i])
            return true;
    }
    return false;
}

static bool look_at_run(void *arg, const struct query_run *run)
{
    struct look *look = arg;
    struct query_tasks which = {.run = run, .from_map = NX_MAP_NONE, .state = -1, .outputs = true};
    look->last = run->id.v;
    if (!may_fit(look, run))
        return true;
    look->list.dag = run->dag;
    if (!query_version(look->list.call->query, run->version, &which.info, look->err)) {
        look->failed = true;
        return false;
    }
    if (run->id.v == look->run)
        from_task_cursor(look->cursor, which.info->n_tasks, &which.from, &which.from_map);
    look->failed = !query_tasks(look->list.call->query, &which, put_task, &look->list, look->err);
    return !look->failed && !look->list.more;
}

/* "RUN" or "RUN.TASK": `next` of the page before. */
static bool read_cursor(struct call *call, struct look *look, struct nx_err *err)
{
    const char *text = http_query(call->request, "cursor");
    const char *dot = text ? strchr(text, '.') : NULL;
    int64_t run = 0;
    bool ok =
        !text ||
        (str_parse_int(dot ? arena_strndup(call->arena, text, (size_t)(dot - text)) : text, &run) &&
         run > 0 && run < INT64_MAX && (!dot || str_parse_int(dot + 1, &look->cursor)) &&
         look->cursor >= 0);
    look->run = (uint64_t)run;
    return ok || nx_fail(err, NX_E_INVALID, "'%.32s' is no cursor of this list", text);
}

/* What the search says plainly bounds the window. */
static void read_window(struct look *look, struct query_window *window)
{
    bool unfinished = true, failed = true;
    for (int i = 0; i < NX_TASK_STATES; i++) {
        look->wanted[i] = search_fits_state(&look->search, (enum nx_task_state)i);
        unfinished = unfinished && !(look->wanted[i] && i >= NX_TS_SUCCESS);
        failed = failed && !(look->wanted[i] && i != NX_TS_FAILED);
    }
    window->search = &look->search;
    window->limit = WINDOW_RUNS;
    window->unfinished = unfinished;
    window->with_failed = failed && !unfinished;
    window->before = look->run ? look->run + 1 : 0;
    for (size_t i = 0; i < look->search.n; i++) {
        const struct search_term *term = &look->search.terms[i];
        if (term->not || term->n != 1)
            continue;
        if (term->key == SEARCH_DAG && !strpbrk(term->values[0].text, "*?["))
            window->dag = term->values[0].text;
        if (term->key == SEARCH_SINCE && term->values[0].number > window->since_ms)
            window->since_ms = term->values[0].number;
    }
}

/* One window after the other while there is time and room; *end: the oldest run of the last one, 0:
 * none is beyond it. */
static bool look_at_windows(struct look *look, struct query_window *window, uint64_t *end)
{
    struct query *query = look->list.call->query;
    for (;;) {
        if (!query_run_window(query, window, look_at_run, look, end, look->err) || look->failed)
            return false;
        if (look->list.more || !*end || clock_mono_ms() > look->list.until_ms)
            return true;
        window->before = *end;
    }
}

bool handle_all_tasks(struct call *call, struct nx_err *err)
{
    struct look look = {.err = err, .list = {.call = call, .last = UINT32_MAX, .over_runs = true}};
    struct query_window window = {0};
    uint64_t end;
    if (!call_limit(call, 100, &look.list.limit, err) || !read_cursor(call, &look, err) ||
        !read_search(call, &look.search, err) || !call_query(call, err))
        return false;
    look.list.search = &look.search;
    look.list.until_ms = clock_mono_ms() + LOOK_MS;
    read_window(&look, &window);
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = look_at_windows(&look, &window, &end);
    put_close(&call->body, ']');
    const char *next = NULL;
    if (look.list.more)
        next = arena_printf(call->arena, "%llu.%llu", (unsigned long long)look.last,
                            (unsigned long long)look.list.next);
    else if (end > 1)
        next = arena_printf(call->arena, "%llu", (unsigned long long)end - 1);
    put_text(&call->body, "next", next);
    put_close(&call->body, '}');
    return ok;
}
