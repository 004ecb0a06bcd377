/* The log of a run: the lines of all its attempts in the order of their times. A page is made by
 * one look at each attempt that may have lines of it, one after the other, so that two files are
 * open however many tasks there are; the earliest lines found so far are kept.
 *
 * A cursor is the place of a line: its time, and what tells lines of one time apart. So it stays
 * good while logs grow; what a worker brings later than FRESH_MS after its time (it was cut off, or
 * the rest of a line without an end) is not seen by who has read on, but by who reads again. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "scheduler/port/api_log.h"
#include "scheduler/port/api_shape.h"

#define FRESH_MS 500 /* of a run that goes on: lines of the last moment may not be complete */
#define KEPT_TIMES 2 /* the lines of a page: then the latest of them go */
#define TEXT_MAX ((size_t)CALL_BODY_MAX / 2) /* bytes of the texts of a page */

/* The place of a line. */
struct place {
    int64_t at_ms;
    uint32_t task;
    int32_t map;
    uint32_t attempt;
    uint64_t offset;
};

struct source {
    uint32_t task;
    int32_t map;
    uint32_t attempt;
    int64_t started_ms, finished_ms; /* 0: unknown, not yet */
};

struct kept {
    struct place place;
    struct log_line line; /* its text is its own */
};

struct merging {
    uint64_t run;
    bool run_ended;
    VEC(struct source) sources; /* by the time of their start */
    const char **names;         /* of tasks */
    struct place after;         /* lines behind this one */
    int64_t until_ms;           /* and of this time at the latest */
    size_t limit;
    VEC(struct kept) kept;
    size_t n_text;
    bool full;          /* there are more than those kept */
    struct place bound; /* when full: lines behind it are of no interest */
    int error;
};

static int compare(const struct place *a, const struct place *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    if (a->task != b->task)
        return a->task < b->task ? -1 : 1;
    if (a->map != b->map)
        return a->map < b->map ? -1 : 1;
    if (a->attempt != b->attempt)
        return a->attempt < b->attempt ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int by_place(const void *a, const void *b)
{
    return compare(&((const struct kept *)a)->place, &((const struct kept *)b)->place);
}

/* ---- Reading ---- */

/* Sorts, and drops what is beyond a page. */
static void trim(struct merging *m)
{
    size_t n = 0, n_text = 0;
    if (m->kept.n)
        qsort(m->kept.at, m->kept.n, sizeof *m->kept.at, by_place);
    while (n < m->kept.n && n < m->limit && (n == 0 || n_text < TEXT_MAX))
        n_text += m->kept.at[n++].line.n_text;
    if (n < m->kept.n || n == m->limit) {
        m->full = true;
        m->bound = m->kept.at[n - 1].place;
    }
    for (size_t i = n; i < m->kept.n; i++)
        mem_free((void *)(uintptr_t)m->kept.at[i].line.text);
    m->kept.n = n;
    m->n_text = n_text;
}

static void keep(struct merging *m, const struct place *place, const struct log_line *line)
{
    struct kept kept = {*place, *line};
    kept.line.text = mem_strndup(line->text, line->n_text);
    vec_push(&m->kept, kept);
    m->n_text += line->n_text;
    if (m->kept.n >= m->limit * KEPT_TIMES || m->n_text > TEXT_MAX * KEPT_TIMES)
        trim(m);
}

static int open_kind(const struct job *job, const struct source *source, enum path_kind kind)
{
    const struct merging *m = job->data;
    char path[PATH_MAX_BYTES];
    if (!attempt_path(path, sizeof path, job->api->home, kind, m->run, m->names[source->task],
                      source->map, source->attempt))
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Whether it has lines of this page, as far as is known without a look. */
static bool may_have(const struct merging *m, const struct source *source)
{
    /* The last lines come a moment after a task has ended; another machine's clock goes as it
     * likes, within reason. */
    const int64_t slack_ms = 60000;
    if (source->finished_ms && source->finished_ms + slack_ms < m->after.at_ms)
        return false;
    return !m->full || source->started_ms - slack_ms <= m->bound.at_ms;
}

/* Behind what was shown: the line itself if it is of this log, else those of its time or later. */
static void go_to(struct log_reader *reader, const struct source *source, const struct place *after)
{
    struct log_line line;
    if (!after->at_ms)
        return;
    if (source->task == after->task && source->map == after->map &&
        source->attempt == after->attempt) {
        log_reader_seek(reader, after->offset);
        log_reader_next(reader, &line);
    } else {
        log_reader_seek_time(reader, after->at_ms);
    }
}

static void look(struct job *job, const struct source *source)
{
    struct merging *m = job->data;
    struct place place = {0, source->task, source->map, source->attempt, 0};
    struct log_reader reader;
    struct log_line line;
    int fd = open_kind(job, source, PATH_LOG);
    if (fd < 0)
        return;
    log_reader_begin(&reader, fd, open_kind(job, source, PATH_STAMPS));
    go_to(&reader, source, &m->after);
    while (log_reader_next(&reader, &line)) {
        if (!line.at_ms)
            line.at_ms = source->started_ms;
        place.at_ms = line.at_ms;
        place.offset = line.offset;
        if (place.at_ms > m->until_ms || (m->full && compare(&place, &m->bound) > 0))
            break;
        if (compare(&place, &m->after) > 0)
            keep(m, &place, &line);
    }
    if (reader.error)
        m->error = reader.error;
    log_reader_end(&reader);
}

/* ---- The answer ---- */

static void put_cursor(struct buf *body, const struct place *place)
{
    char text[100];
    snprintf(text, sizeof text, "%lld_%u_%d_%u_%llu", (long long)place->at_ms, place->task,
             place->map, place->attempt, (unsigned long long)place->offset);
    put_text(body, "next", text);
}

static bool read_cursor(const char *text, struct place *place, struct nx_err *err)
{
    long long at;
    unsigned long long offset;
    int n = 0;
    if (!text)
        return true;
    return (sscanf(text, "%18lld_%9u_%9d_%9u_%18llu%n", &at, &place->task, &place->map,
                   &place->attempt, &offset, &n) == 5 &&
            !text[n] && at >= 0 && (place->at_ms = at, place->offset = offset, true)) ||
           nx_fail(err, NX_E_INVALID, "'%.64s' is no cursor of this list", text);
}

static void put_items(struct job *job)
{
    struct merging *m = job->data;
    put_open(&job->body, "items", '[');
    for (size_t i = 0; i < m->kept.n; i++) {
        const struct kept *kept = &m->kept.at[i];
        put_open(&job->body, NULL, '{');
        put_text(&job->body, "task", m->names[kept->place.task]);
        if (kept->place.map >= 0)
            put_int(&job->body, "map_index", kept->place.map);
        else
            put_null(&job->body, "map_index");
        put_int(&job->body, "attempt", kept->place.attempt);
        put_log_line(&job->body, &kept->line);
        put_close(&job->body, '}');
        mem_free((void *)(uintptr_t)kept->line.text);
    }
    put_close(&job->body, ']');
}

static void work(struct job *job)
{
    struct merging *m = job->data;
    for (size_t i = 0; i < m->sources.n && !atomic_load(&job->api->ending); i++) {
        if (may_have(m, &m->sources.at[i]))
            look(job, &m->sources.at[i]);
    }
    trim(m);
    put_open(&job->body, NULL, '{');
    put_items(job);
    if (m->kept.n)
        m->after = m->kept.at[m->kept.n - 1].place;
    if (m->run_ended && !m->full)
        put_null(&job->body, "next");
    else
        put_cursor(&job->body, &m->after);
    put_close(&job->body, '}');
    vec_fini(&m->kept);
    vec_fini(&m->sources);
}

static bool finish(struct job *job, struct query *query, struct nx_err *err)
{
    const struct merging *m = job->data;
    (void)query;
    return !m->error || nx_fail(err, NX_E_IO, "cannot read a log: %s", strerror(m->error));
}

/* ---- Which attempts ---- */

struct gathering {
    struct merging *m;
    const char *only; /* this task, or this instance of it; NULL: all */
    bool all;         /* attempts, not the latest alone */
    VEC(struct nx_inst_id) several;
};

static bool add_task(void *arg, const struct query_task *task)
{
    struct gathering *g = arg;
    char name[NX_ID_MAX + 16];
    if (g->only && !str_eq(g->only, task->task->id)) {
        snprintf(name, sizeof name, "%s[%d]", task->task->id, task->id.map);
        if (!str_eq(g->only, name))
            return true;
    }
    struct source source = {task->id.task, task->id.map, task->attempt, task->started_ms,
                            task->finished_ms};
    if (g->all && task->attempt > 1)
        vec_push(&g->several, task->id);
    else if (task->attempt > 0)
        vec_push(&g->m->sources, source);
    return true;
}

struct adding {
    struct gathering *g;
    struct nx_inst_id id;
};

static bool add_attempt(void *arg, const struct query_attempt *attempt)
{
    const struct adding *adding = arg;
    const struct source source = {adding->id.task, adding->id.map, attempt->number,
                                  attempt->started_ms, attempt->finished_ms};
    vec_push(&adding->g->m->sources, source);
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    return x->started_ms < y->started_ms ? -1 : x->started_ms > y->started_ms;
}

static bool gather(struct call *call, struct gathering *g, const struct query_tasks *which,
                   struct nx_err *err)
{
    bool ok = query_tasks(call->query, which, add_task, g, err);
    for (size_t i = 0; ok && i < g->several.n; i++) {
        struct adding adding = {g, g->several.at[i]};
        ok = query_attempts(call->query, adding.id, add_attempt, &adding, err);
    }
    vec_fini(&g->several);
    if (ok && g->m->sources.n)
        qsort(g->m->sources.at, g->m->sources.n, sizeof *g->m->sources.at, by_start);
    return ok;
}

static void take_names(struct job *job, const struct dag_info *info)
{
    struct merging *m = job->data;
    m->names = arena_array(&job->arena, info->n_tasks + 1u, sizeof *m->names);
    for (uint32_t i = 0; i < info->n_tasks; i++)
        m->names[i] = arena_strdup(&job->arena, info->tasks[i].id);
}

bool handle_run_log(struct call *call, struct nx_err *err)
{
    struct query_run *run;
    const struct dag_info *info;
    struct merging m = {.until_ms = INT64_MAX};
    struct gathering g = {.m = &m, .only = http_query(call->request, "task")};
    uint32_t task;
    int32_t map;
    bool now;
    if (!call_limit(call, 200, &m.limit, err) || !call_flag(call, "all", &g.all, err) ||
        !call_flag(call, "now", &now, err) ||
        !read_cursor(http_query(call->request, "cursor"), &m.after, err) ||
        !call_query(call, err) || !find_run(call->query, call->arena, call->params[0], &run, err) ||
        !query_version(call->query, run->version, &info, err) ||
        (g.only && !find_task(info, g.only, &task, &map, err)))
        return false;
    m.run = run->id.v;
    m.run_ended = nx_run_state_final(run->state);
    if (!m.run_ended && !now)
        m.until_ms = clock_wall_ms() - FRESH_MS;
    const struct query_tasks which = {
        .run = run, .info = info, .from_map = NX_MAP_NONE, .state = -1};
    if (!gather(call, &g, &which, err)) {
        vec_fini(&m.sources);
        return false;
    }
    struct job *job = job_new(call);
    job->data = arena_dup(&job->arena, &m, sizeof m);
    take_names(job, info);
    job->work = work;
    job->finish = finish;
    if (job_work(call, job, err))
        return true;
    vec_fini(&m.sources);
    return false;
}
