/* Datasets: a list, one, its events, and events from outside. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

#define NEAREST_MAX 5000 /* names among which a nearest one is looked for */

/* ---- Names ---- */

struct naming {
    struct arena *arena;
    VEC(const char *) list;
};

static bool add_name(void *arg, const char *name)
{
    struct naming *naming = arg;
    vec_push(&naming->list, arena_strdup(naming->arena, name));
    return true;
}

bool dataset_must_exist(struct call *call, const char *name, struct nx_err *err)
{
    struct naming naming = {.arena = call->arena};
    struct nx_err ignored;
    bool known;
    if (!call_query(call, err) || !query_dataset_known(call->query, name, &known, err))
        return false;
    if (known)
        return true;
    query_datasets(call->query, "", NEAREST_MAX, add_name, &naming, &ignored);
    const char *nearest = str_nearest(name, naming.list.at, naming.list.n);
    nx_fail(err, NX_E_NOT_FOUND, "there is no dataset '%.64s'%s%s%s", name,
            nearest         ? "; did you mean '"
            : naming.list.n ? "; `nexus dataset list` has them"
                            : ": no DAG names one in produces, consumes or schedule",
            nearest ? nearest : "", nearest ? "'?" : "");
    vec_fini(&naming.list);
    return false;
}

/* ---- Shapes ---- */

static void put_event_members(struct buf *buf, const struct query_dataset_event *event)
{
    put_text(buf, "dataset", event->dataset);
    put_int(buf, "version", event->version);
    put_time(buf, "created_at", event->at_ms);
    if (event->rows < 0)
        put_null(buf, "rows");
    else
        put_int(buf, "rows", event->rows);
    put_text(buf, "hash", event->hash);
    put_text(buf, "note", event->note);
    put_open(buf, "producer", '{');
    put_text(buf, "dag", event->dag);
    if (event->run.v)
        put_id(buf, "run", event->run.v);
    else
        put_null(buf, "run");
    put_text(buf, "task", event->task);
    if (event->map == NX_MAP_NONE)
        put_null(buf, "map_index");
    else
        put_int(buf, "map_index", event->map);
    if (event->run.v)
        put_int(buf, "attempt", event->attempt);
    else
        put_null(buf, "attempt");
    put_text(buf, "who", event->who);
    put_close(buf, '}');
}

void shape_dataset_event(struct buf *buf, const char *key, const struct query_dataset_event *event)
{
    put_open(buf, key, '{');
    put_event_members(buf, event);
    put_close(buf, '}');
}

static bool put_last(void *arg, const struct query_dataset_event *event)
{
    shape_dataset_event(arg, "last_event", event);
    return false;
}

struct link_lists {
    struct buf produced, consumed, starts;
};

static bool add_link(void *arg, const struct query_dataset_link *link)
{
    struct link_lists *lists = arg;
    if (link->kind == DATASET_STARTS) {
        put_text(&lists->starts, NULL, link->dag);
        return true;
    }
    struct buf *buf = link->kind == DATASET_PRODUCED ? &lists->produced : &lists->consumed;
    put_open(buf, NULL, '{');
    put_text(buf, "dag", link->dag);
    put_text(buf, "task", link->task);
    put_close(buf, '}');
    return true;
}

static void put_list(struct buf *buf, const char *key, struct buf *list)
{
    put_close(list, ']');
    put_raw(buf, key, buf_text(list));
    buf_fini(list);
}

/* The members of a dataset, inside its braces. */
static bool put_dataset(struct call *call, const char *name, struct nx_err *err)
{
    struct buf *buf = &call->body;
    struct link_lists lists;
    struct buf *three[] = {&lists.produced, &lists.consumed, &lists.starts};
    for (int i = 0; i < 3; i++) {
        buf_init(three[i]);
        put_open(three[i], NULL, '[');
    }
    put_text(buf, "name", name);
    size_t before = buf->len;
    bool ok = query_dataset_events(call->query, name, 0, 1, put_last, buf, err) &&
              query_dataset_links(call->query, name, NULL, add_link, &lists, err);
    if (buf->len == before)
        put_null(buf, "last_event");
    put_list(buf, "produced_by", &lists.produced);
    put_list(buf, "consumed_by", &lists.consumed);
    put_list(buf, "starts", &lists.starts);
    return ok;
}

/* ---- Reads ---- */

bool handle_datasets(struct call *call, struct nx_err *err)
{
    struct naming naming = {.arena = call->arena};
    const char *cursor = http_query(call->request, "cursor");
    size_t limit, n = 0;
    if (!call_limit(call, 100, &limit, err) || !call_query(call, err))
        return false;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_datasets(call->query, cursor ? cursor : "", limit + 1, add_name, &naming, err);
    for (; ok && n < naming.list.n && n < limit && call->body.len < CALL_BODY_MAX; n++) {
        put_open(&call->body, NULL, '{');
        ok = put_dataset(call, naming.list.at[n], err);
        put_close(&call->body, '}');
    }
    put_close(&call->body, ']');
    put_text(&call->body, "next", n && n < naming.list.n ? naming.list.at[n - 1] : NULL);
    put_close(&call->body, '}');
    vec_fini(&naming.list);
    return ok;
}

bool handle_dataset(struct call *call, struct nx_err *err)
{
    const char *name = call->params[0];
    if (!dataset_must_exist(call, name, err))
        return false;
    put_open(&call->body, NULL, '{');
    bool ok = put_dataset(call, name, err) && put_cycle(call, "cycle", name, err);
    put_close(&call->body, '}');
    return ok;
}

struct event_list {
    struct buf *body;
    size_t n, limit;
    int64_t last;
    bool more;
};

static bool put_listed(void *arg, const struct query_dataset_event *event)
{
    struct event_list *list = arg;
    if (list->n++ == list->limit || list->body->len > CALL_BODY_MAX) {
        list->more = true;
        return false;
    }
    list->last = event->version;
    shape_dataset_event(list->body, NULL, event);
    return true;
}

bool handle_dataset_events(struct call *call, struct nx_err *err)
{
    struct event_list list = {.body = &call->body};
    int64_t cursor;
    if (!call_limit(call, 100, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !dataset_must_exist(call, call->params[0], err))
        return false;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_dataset_events(call->query, call->params[0], cursor, list.limit + 1, put_listed,
                                   &list, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, (uint64_t)list.last);
    return ok;
}

/* ---- One event ---- */

struct one_event {
    struct query *query;
    struct buf *body;
    bool found, failed;
    struct nx_err *err;
};

static bool put_input(void *arg, const struct query_dataset_input *input)
{
    struct buf *buf = arg;
    put_open(buf, NULL, '{');
    put_text(buf, "dataset", input->dataset);
    put_int(buf, "version", input->version);
    put_text(buf, "task", input->task);
    put_close(buf, '}');
    return true;
}

static bool put_one(void *arg, const struct query_dataset_event *event)
{
    struct one_event *one = arg;
    one->found = true;
    put_open(one->body, NULL, '{');
    put_event_members(one->body, event);
    put_open(one->body, "inputs", '[');
    one->failed = !query_dataset_inputs(one->query, event, put_input, one->body, one->err);
    put_close(one->body, ']');
    put_close(one->body, '}');
    return false;
}

static bool event_to_body(struct query *query, struct buf *body, const char *dataset,
                          int64_t version, struct nx_err *err)
{
    struct one_event one = {.query = query, .body = body, .err = err};
    if (!query_dataset_event(query, dataset, version, put_one, &one, err) || one.failed)
        return false;
    return one.found ||
           nx_fail(err, NX_E_NOT_FOUND, "dataset '%s' has no version %lld, or none any more",
                   dataset, (long long)version);
}

bool handle_dataset_event(struct call *call, struct nx_err *err)
{
    int64_t version;
    if (!str_parse_int(call->params[1], &version) || version < 1)
        return nx_fail(err, NX_E_NOT_FOUND,
                       "'%.32s' is no version of a dataset: they are 1, 2, ...", call->params[1]);
    return dataset_must_exist(call, call->params[0], err) &&
           event_to_body(call->query, &call->body, call->params[0], version, err);
}

/* ---- An event from outside ---- */

static bool finish_emit(struct job *job, struct query *query, struct nx_err *err)
{
    const char *name = job->data;
    int64_t version = (int64_t)job->result.version;
    job->status = 201;
    job->location =
        arena_printf(&job->arena, "/api/v1/datasets/%s/events/%lld", name, (long long)version);
    return event_to_body(query, &job->body, name, version, err);
}

static bool check_emit(const json_t *body, struct nx_err *err)
{
    const json_t *rows = json_object_get(body, "rows");
    const char *hash = js_get_text(body, "hash", ""), *note = js_get_text(body, "note", "");
    if (json_is_integer(rows) && json_integer_value(rows) < 0)
        return nx_fail(err, NX_E_INVALID, "rows must be at least 0, not %lld",
                       (long long)json_integer_value(rows));
    if (strlen(hash) > NX_NAME_MAX)
        return nx_fail(err, NX_E_LIMIT, "hash has at most %d bytes", NX_NAME_MAX);
    return call_note(note, err);
}

static const char *text_of(struct message *message, const json_t *body, const char *key)
{
    const char *text = js_get_text(body, key, NULL);
    return text && *text ? arena_strdup(&message->arena, text) : NULL;
}

static bool emit(struct call *call, const json_t *body, struct nx_err *err)
{
    const char *name = call->params[0];
    if (!check_emit(body, err) || !dataset_must_exist(call, name, err))
        return false;
    struct message *message = call_write(call, WRITE_EMIT, "dataset.emit", name, body);
    message->name = arena_strdup(&message->arena, name);
    message->rows = js_get_int(body, "rows", -1);
    message->hash = text_of(message, body, "hash");
    message->note = text_of(message, body, "note");
    struct job *job = job_new(call);
    job->data = arena_strdup(&job->arena, name);
    job->finish = finish_emit;
    return job_write(call, job, message, err);
}

bool handle_emit(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = emit(call, body, err);
    json_decref(body);
    return ok;
}

/* ---- What a DAG waits for ---- */

struct waits {
    const struct timetable *timetable;
    const struct query_dag *dag;
    struct arena *arena;
    VEC(struct query_dataset_use) uses;
};

static bool add_use(void *arg, const struct query_dataset_use *use)
{
    struct waits *waits = arg;
    struct query_dataset_use copy = *use;
    copy.key = arena_strdup(waits->arena, use->key);
    copy.dataset = arena_strdup(waits->arena, use->dataset);
    vec_push(&waits->uses, copy);
    return true;
}

static void add_word(struct buf *to, const char *word)
{
    if (to->len)
        buf_str(to, ", ");
    buf_str(to, word);
}

/* "has a; waits for b since ...": the words for people. */
static void put_words(struct buf *buf, const struct waits *waits,
                      const struct timetable_entry *entry, const char *has, const char *missing,
                      int64_t since_ms)
{
    char since[TIME_TEXT_MAX];
    struct buf text;
    bool due = *has && (!*missing || !entry->all);
    buf_init(&text);
    if (*has)
        buf_printf(&text, "has %s", has);
    if (due)
        buf_str(&text, waits->dag->paused ? "; waits until the DAG is unpaused"
                                          : "; waits until there is room for a run");
    else
        buf_printf(&text, "%swaits for %s%s", *has ? "; " : "",
                   entry->n_datasets > 1 && !entry->all ? "any of " : "", missing);
    if (since_ms && !due)
        buf_printf(&text, " since %s", time_format(since, since_ms));
    if (waits->dag->paused && !due)
        buf_str(&text, "; the DAG is paused");
    put_text(buf, "text", buf_text(&text));
    buf_fini(&text);
}

static void put_wait(struct buf *buf, const struct waits *waits,
                     const struct timetable_entry *entry)
{
    struct buf has, missing;
    int64_t since_ms = 0;
    buf_init(&has);
    buf_init(&missing);
    put_open(buf, NULL, '{');
    put_bool(buf, "all", entry->all);
    put_open(buf, "has", '[');
    for (size_t i = 0; i < waits->uses.n; i++) {
        const struct query_dataset_use *use = &waits->uses.at[i];
        if (!str_eq(use->key, entry->key))
            continue;
        since_ms = use->since_ms;
        add_word(use->version > use->used ? &has : &missing, use->dataset);
        if (use->version <= use->used)
            continue;
        put_open(buf, NULL, '{');
        put_text(buf, "dataset", use->dataset);
        put_int(buf, "version", use->version);
        put_int(buf, "events", use->version - use->used);
        put_close(buf, '}');
    }
    put_close(buf, ']');
    put_open(buf, "missing", '[');
    for (size_t i = 0; i < waits->uses.n; i++) {
        const struct query_dataset_use *use = &waits->uses.at[i];
        if (str_eq(use->key, entry->key) && use->version <= use->used)
            put_text(buf, NULL, use->dataset);
    }
    put_close(buf, ']');
    put_time(buf, "since", since_ms);
    put_words(buf, waits, entry, buf_text(&has), buf_text(&missing), since_ms);
    put_close(buf, '}');
    buf_fini(&has);
    buf_fini(&missing);
}

bool put_dataset_waits(struct call *call, const char *key, const struct query_dag *dag,
                       const struct query_shown *shown, struct nx_err *err)
{
    struct timetable *timetable = NULL;
    struct waits waits = {.dag = dag, .arena = call->arena};
    bool ok = true;
    put_open(&call->body, key, '[');
    if (shown->timetable && dag->present && strstr(shown->timetable, "\"dataset\""))
        ok = timetable_read(shown->timetable, dag->id, call->api->zones, &timetable, err) &&
             query_dataset_uses(call->query, dag->id, add_use, &waits, err);
    for (uint32_t i = 0; ok && timetable && i < timetable->n; i++) {
        if (timetable->entries[i].kind == TIMETABLE_DATASET)
            put_wait(&call->body, &waits, &timetable->entries[i]);
    }
    put_close(&call->body, ']');
    vec_fini(&waits.uses);
    timetable_release(timetable);
    return ok;
}
