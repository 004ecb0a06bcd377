/* Pools, variables, secrets and connections: lists, one of them, and their changes. What is secret
 * comes in and never goes out. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/conn.h"
#include "lib/text/json.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"

/* Their changes on the audit list. */
static const char *const changes[] = {"pool.*", "variable.*", "secret.*", "connection.*"};

/* ---- What there is ---- */

struct item {
    const char *name, *text; /* a description, a variable's JSON; or NULL */
    const char *shown;       /* a connection's URI */
    const char *source;      /* NULL: it is named by tasks alone */
    int64_t slots, used, waiting, updated_ms;
};

struct items {
    const struct api *api;
    struct arena *arena;
    enum kept_kind kind;
    VEC(struct item) list; /* by name, after sort_items */
};

static int by_name(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void sort_items(struct items *items)
{
    if (items->list.n)
        qsort(items->list.at, items->list.n, sizeof *items->list.at, by_name);
}

static struct item *find_item(struct items *items, const char *name)
{
    const struct item key = {.name = name};
    return items->list.n
               ? bsearch(&key, items->list.at, items->list.n, sizeof *items->list.at, by_name)
               : NULL;
}

static void add_row(void *arg, const struct kept_row *row)
{
    struct items *items = arg;
    const struct item item = {.name = arena_strdup(items->arena, row->name),
                              .text = row->text ? arena_strdup(items->arena, row->text) : NULL,
                              .shown = row->shown ? arena_strdup(items->arena, row->shown) : NULL,
                              .source = "kept",
                              .slots = row->slots,
                              .updated_ms = row->updated_ms};
    if (!map_get(&items->api->fixed[items->kind], row->name))
        vec_push(&items->list, item);
}

static const char *shown_uri(const struct items *items, const char *uri)
{
    struct conn conn;
    return conn_read(uri, items->arena, &conn, NULL) ? conn_shown(&conn, items->arena) : NULL;
}

static bool collect(struct items *items, struct query *query, struct nx_err *err)
{
    const struct map *fixed = &items->api->fixed[items->kind];
    bool outside = items->kind == KEPT_SECRET || items->kind == KEPT_CONN;
    if (!query_each_kept(query, items->kind, add_row, items, err))
        return false;
    for (size_t i = 0; i < fixed->n; i++) {
        const struct item item = {
            .name = fixed->at[i].key,
            .text = items->kind == KEPT_VAR ? fixed->at[i].value : NULL,
            .shown = items->kind == KEPT_CONN ? shown_uri(items, fixed->at[i].value) : NULL,
            .source = outside ? "environment" : "nexus.yaml"};
        vec_push(&items->list, item);
    }
    sort_items(items);
    return true;
}

static bool fail_no_item(const struct items *items, const char *name, struct nx_err *err)
{
    const char **names = arena_array(items->arena, items->list.n, sizeof *names);
    for (size_t i = 0; i < items->list.n; i++)
        names[i] = items->list.at[i].name;
    const char *nearest = str_nearest(name, names, items->list.n);
    return nx_fail(err, NX_E_NOT_FOUND, "there is no %s '%.80s'%s%s%s", kept_name(items->kind),
                   name, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "");
}

/* ---- JSON ---- */

static void put_pool(struct buf *buf, const struct item *item)
{
    bool exists = item->slots >= 0;
    put_bool(buf, "exists", exists);
    if (exists)
        put_int(buf, "slots", item->slots);
    else
        put_null(buf, "slots");
    put_int(buf, "used", item->used);
    put_int(buf, "waiting", item->waiting);
    put_text(buf, "description", item->text);
}

static void put_conn(struct buf *buf, const struct items *items, const struct item *item)
{
    size_t n = item->shown ? strcspn(item->shown, ":") : 0;
    put_text(buf, "kind", n ? arena_strndup(items->arena, item->shown, n) : NULL);
    put_text(buf, "uri", item->shown);
    put_text(buf, "description", item->text);
}

static void put_item(struct buf *buf, const struct items *items, const struct item *item)
{
    bool kept = item->source && str_eq(item->source, "kept");
    put_open(buf, NULL, '{');
    put_text(buf, "name", item->name);
    if (items->kind == KEPT_POOL)
        put_pool(buf, item);
    else if (items->kind == KEPT_VAR)
        put_raw(buf, "value", item->text);
    else if (items->kind == KEPT_CONN)
        put_conn(buf, items, item);
    put_text(buf, "source", item->source);
    if (items->kind != KEPT_POOL)
        put_time(buf, "updated_at", item->updated_ms);
    bool sealed = items->kind == KEPT_SECRET || items->kind == KEPT_CONN;
    if (sealed && kept && !path_exists(items->api->key_path))
        put_text(buf, "error",
                 arena_printf(items->arena, "its key file %s is missing", items->api->key_path));
    else if (sealed)
        put_null(buf, "error");
    put_close(buf, '}');
}

static void put_list(struct buf *buf, const struct items *items, size_t from, size_t limit)
{
    size_t i = from;
    put_open(buf, NULL, '{');
    put_open(buf, "items", '[');
    for (; i < items->list.n && i - from < limit; i++)
        put_item(buf, items, &items->list.at[i]);
    put_close(buf, ']');
    if (i < items->list.n)
        put_id(buf, "next", i);
    else
        put_null(buf, "next");
    put_close(buf, '}');
}

/* ---- Variables and secrets ---- */

static bool list_kept(struct call *call, enum kept_kind kind, struct nx_err *err)
{
    struct items items = {.api = call->api, .arena = call->arena, .kind = kind};
    size_t limit;
    int64_t cursor;
    bool ok = call_limit(call, NX_PAGE_MAX, &limit, err) && call_cursor(call, &cursor, err) &&
              call_query(call, err) && collect(&items, call->query, err);
    if (ok)
        put_list(&call->body, &items, (size_t)cursor, limit);
    vec_fini(&items.list);
    return ok;
}

static bool put_one(struct buf *body, struct items *items, struct query *query, const char *name,
                    struct nx_err *err)
{
    bool ok = collect(items, query, err);
    const struct item *item = ok ? find_item(items, name) : NULL;
    if (item)
        put_item(body, items, item);
    else if (ok)
        ok = fail_no_item(items, name, err);
    vec_fini(&items->list);
    return ok;
}

static bool show_kept(struct call *call, enum kept_kind kind, struct nx_err *err)
{
    struct items items = {.api = call->api, .arena = call->arena, .kind = kind};
    return call_revision(call, changes[kind], call->params[0], err) &&
           put_one(&call->body, &items, call->query, call->params[0], err);
}

bool handle_variables(struct call *call, struct nx_err *err)
{
    return list_kept(call, KEPT_VAR, err);
}

bool handle_variable(struct call *call, struct nx_err *err)
{
    return show_kept(call, KEPT_VAR, err);
}

bool handle_secrets(struct call *call, struct nx_err *err)
{
    return list_kept(call, KEPT_SECRET, err);
}

bool handle_secret(struct call *call, struct nx_err *err)
{
    return show_kept(call, KEPT_SECRET, err);
}

/* ---- Pools ---- */

/* What a job about one or all of a kind knows. */
struct work {
    enum kept_kind kind;
    const char *name; /* NULL: all */
    size_t from, limit;
    struct item *seen; /* pools of the core */
    size_t n_seen;
};

static void look_pools(struct job *job, const struct core *core)
{
    struct work *work = job->data;
    struct core_pool_view view;
    size_t n = 0;
    while (core_view_pool(core, n, &view))
        n++;
    work->seen = arena_array(&job->arena, n, sizeof *work->seen);
    for (size_t i = 0; core_view_pool(core, i, &view); i++) {
        if (!core_pool_named(core, i) || (work->name && !str_eq(work->name, view.name)))
            continue;
        work->seen[work->n_seen++] = (struct item){.name = arena_strdup(&job->arena, view.name),
                                                   .slots = view.slots,
                                                   .used = view.used,
                                                   .waiting = core_pool_waiting(core, i)};
    }
}

/* The core's pools, with what the rows and nexus.yaml say of them. */
static bool merge_pools(struct items *items, struct work *work, struct query *query,
                        struct nx_err *err)
{
    bool ok = collect(items, query, err);
    for (size_t i = 0; ok && i < work->n_seen; i++) {
        struct item *seen = &work->seen[i];
        const struct item *row = seen->slots < 0 ? NULL : find_item(items, seen->name);
        if (row) {
            seen->text = row->text;
            seen->source = row->source;
        }
    }
    items->list.n = 0;
    for (size_t i = 0; i < work->n_seen; i++)
        vec_push(&items->list, work->seen[i]);
    sort_items(items);
    return ok;
}

static bool finish_pools(struct job *job, struct query *query, struct nx_err *err)
{
    struct work *work = job->data;
    struct items items = {.api = job->api, .arena = &job->arena, .kind = KEPT_POOL};
    bool ok = merge_pools(&items, work, query, err);
    if (ok && !work->name)
        put_list(&job->body, &items, work->from, work->limit);
    else if (ok && items.list.n)
        put_item(&job->body, &items, &items.list.at[0]);
    else if (ok)
        ok = fail_no_item(&items, work->name, err);
    vec_fini(&items.list);
    return ok;
}

bool handle_pools(struct call *call, struct nx_err *err)
{
    size_t limit;
    int64_t cursor;
    if (!call_limit(call, NX_PAGE_MAX, &limit, err) || !call_cursor(call, &cursor, err))
        return false;
    struct job *job = job_new(call);
    struct work *work = arena_alloc(&job->arena, sizeof *work);
    *work = (struct work){.from = (size_t)cursor, .limit = limit};
    job->data = work;
    job->look = look_pools;
    job->finish = finish_pools;
    return job_look(call, job, err);
}

/* Its revision is read before the core is looked at: what is shown is never older than its tag. */
bool handle_pool(struct call *call, struct nx_err *err)
{
    if (!call_revision(call, changes[KEPT_POOL], call->params[0], err))
        return false;
    struct job *job = job_new(call);
    job->revision = arena_strdup(&job->arena, call->revision);
    struct work *work = arena_alloc(&job->arena, sizeof *work);
    *work = (struct work){.name = arena_strdup(&job->arena, call->params[0])};
    job->data = work;
    job->look = look_pools;
    job->finish = finish_pools;
    return job_look(call, job, err);
}

/* ---- Changes ---- */

static bool finish_put(struct job *job, struct query *query, struct nx_err *err)
{
    static const char *const paths[] = {"pools", "variables", "secrets", "connections"};
    const struct work *work = job->data;
    struct items items = {.api = job->api, .arena = &job->arena, .kind = work->kind};
    if (!job->result.replaced) {
        job->status = 201;
        job->location = arena_printf(&job->arena, "/api/v1/%s/%s", paths[work->kind], work->name);
    }
    return work->kind == KEPT_POOL ? finish_pools(job, query, err)
                                   : put_one(&job->body, &items, query, work->name, err);
}

static bool finish_drop(struct job *job, struct query *query, struct nx_err *err)
{
    const struct work *work = job->data;
    (void)query;
    (void)err;
    put_open(&job->body, NULL, '{');
    put_text(&job->body, "deleted", work->name);
    if (work->kind == KEPT_POOL) {
        put_int(&job->body, "used", job->result.used);
        put_int(&job->body, "waiting", job->result.waiting);
    }
    put_close(&job->body, '}');
    return true;
}

static bool send_change(struct call *call, struct message *message, enum kept_kind kind,
                        const char *name, struct nx_err *err)
{
    bool drop = message->op == WRITE_DROP;
    struct job *job = job_new(call);
    struct work *work = arena_alloc(&job->arena, sizeof *work);
    *work = (struct work){.kind = kind, .name = arena_strdup(&job->arena, name)};
    message->kept = kind;
    message->name = arena_strdup(&message->arena, name);
    call_match(call, changes[kind], message, job);
    job->data = work;
    job->finish = drop ? finish_drop : finish_put;
    if (!drop && kind == KEPT_POOL)
        job->look = look_pools;
    return job_write(call, job, message, err);
}

static bool drop_kept(struct call *call, enum kept_kind kind, struct nx_err *err)
{
    static const char *const what[] = {"pool.delete", "variable.delete", "secret.delete",
                                       "connection.delete"};
    const char *name = call->params[0];
    return send_change(call, call_write(call, WRITE_DROP, what[kind], name, NULL), kind, name, err);
}

/* A description is at most this long. */
static bool read_description(struct message *message, const json_t *body, const char **to,
                             struct nx_err *err)
{
    const char *description = js_get_text(body, "description", NULL);
    if (description && strlen(description) > NX_REASON_TEXT_MAX)
        return nx_fail(err, NX_E_LIMIT, "a description has at most %d bytes", NX_REASON_TEXT_MAX);
    *to = description ? arena_strdup(&message->arena, description) : NULL;
    return true;
}

/* Fills the message's value from the body. */
static bool read_value(struct message *message, enum kept_kind kind, const json_t *body,
                       struct nx_err *err)
{
    static const char *const members[] = {"slots", "value", "value", "uri"};
    const json_t *value = json_object_get(body, members[kind]);
    if (!value || json_is_null(value))
        return nx_fail(err, NX_E_INVALID, "the body must have '%s'", members[kind]);
    if (kind == KEPT_CONN) {
        message->value = arena_strdup(&message->arena, json_string_value(value));
        return read_description(message, body, &message->description, err);
    }
    if (kind == KEPT_POOL) {
        message->slots = json_integer_value(value);
        return read_description(message, body, &message->value, err);
    } else if (kind == KEPT_SECRET) {
        if (!*json_string_value(value))
            return nx_fail(err, NX_E_INVALID, "a secret is not empty");
        message->value = arena_strdup(&message->arena, json_string_value(value));
    } else {
        char *text = js_text(value);
        message->value = arena_strdup(&message->arena, text);
        mem_free(text);
    }
    return true;
}

static bool put_body(struct call *call, enum kept_kind kind, bool only_new, const json_t *body,
                     struct nx_err *err)
{
    static const char *const what[] = {"pool.set", "variable.set", "secret.set", "connection.set"};
    bool sealed = kind == KEPT_SECRET || kind == KEPT_CONN;
    const char *name = only_new ? js_get_text(body, "name", NULL) : call->params[0];
    if (!name)
        return nx_fail(err, NX_E_INVALID, "the body must have 'name'");
    /* what is set is on the audit list, but for a secret */
    struct message *message = call_write(call, WRITE_KEEP, what[kind], name, sealed ? NULL : body);
    message->only_new = only_new;
    if (!read_value(message, kind, body, err)) {
        message_free(message);
        return false;
    }
    return send_change(call, message, kind, name, err);
}

static bool keep(struct call *call, enum kept_kind kind, bool only_new, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err)) {
        if (kind == KEPT_SECRET) /* whose text may quote a part of the value */
            nx_fail(err, err->code, "the body must be a JSON object: %s",
                    only_new ? "'name' and 'value', both strings" : "'value', a string");
        if (kind == KEPT_CONN)
            nx_fail(err, err->code,
                    "the body must be a JSON object: %s'uri' and 'description', "
                    "all strings",
                    only_new ? "'name', " : "");
        return false;
    }
    bool ok = put_body(call, kind, only_new, body, err);
    json_decref(body);
    return ok;
}

bool handle_post_pool(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_POOL, true, err);
}

bool handle_put_pool(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_POOL, false, err);
}

bool handle_delete_pool(struct call *call, struct nx_err *err)
{
    return drop_kept(call, KEPT_POOL, err);
}

bool handle_post_variable(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_VAR, true, err);
}

bool handle_put_variable(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_VAR, false, err);
}

bool handle_delete_variable(struct call *call, struct nx_err *err)
{
    return drop_kept(call, KEPT_VAR, err);
}

bool handle_post_secret(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_SECRET, true, err);
}

bool handle_put_secret(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_SECRET, false, err);
}

bool handle_delete_secret(struct call *call, struct nx_err *err)
{
    return drop_kept(call, KEPT_SECRET, err);
}

bool handle_connections(struct call *call, struct nx_err *err)
{
    return list_kept(call, KEPT_CONN, err);
}

bool handle_connection(struct call *call, struct nx_err *err)
{
    return show_kept(call, KEPT_CONN, err);
}

bool handle_post_connection(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_CONN, true, err);
}

bool handle_put_connection(struct call *call, struct nx_err *err)
{
    return keep(call, KEPT_CONN, false, err);
}

bool handle_delete_connection(struct call *call, struct nx_err *err)
{
    return drop_kept(call, KEPT_CONN, err);
}
