/* Notifications: what is or was told to others. */
#include <string.h>

#include "lib/base/str.h"
#include "lib/text/json.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/store/notification.h"

static void put_notification(struct buf *buf, const struct notification *row, bool whole)
{
    put_open(buf, NULL, '{');
    put_id(buf, "id", (uint64_t)row->id);
    put_text(buf, "delivery_id", row->delivery);
    put_text(buf, "event", row->event);
    put_text(buf, "dag", row->dag);
    if (row->run)
        put_id(buf, "run", row->run);
    else
        put_null(buf, "run");
    put_text(buf, "task", row->task);
    if (row->task && row->map_index >= 0)
        put_int(buf, "map_index", row->map_index);
    else
        put_null(buf, "map_index");
    put_text(buf, "kind", row->kind);
    put_text(buf, "target", row->target);
    put_text(buf, "state", notification_state_name(row->state));
    put_int(buf, "attempts", row->attempts);
    if (row->more)
        put_int(buf, "more", row->more);
    else
        put_null(buf, "more");
    put_time(buf, "created_at", row->created_ms);
    put_time(buf, "due_at", row->state == NOTIFICATION_PENDING ? row->due_ms : 0);
    put_time(buf, "finished_at", row->finished_ms);
    put_text(buf, "error", row->error);
    put_text(buf, "output", row->output);
    if (whole)
        put_raw(buf, "body", row->body);
    put_close(buf, '}');
}

struct listing {
    struct buf *buf;
    size_t n, limit;
    int64_t last;
    bool more, whole;
};

static bool add_one(void *arg, const struct notification *row)
{
    struct listing *listing = arg;
    listing->more = listing->n == listing->limit || listing->buf->len > CALL_BODY_MAX;
    if (listing->more)
        return false;
    put_notification(listing->buf, row, listing->whole);
    listing->n++;
    listing->last = row->id;
    return true;
}

static bool read_state(struct call *call, int *state, struct nx_err *err)
{
    const char *names[NOTIFICATION_STATES], *given = http_query(call->request, "state");
    *state = -1;
    for (int i = 0; i < NOTIFICATION_STATES; i++) {
        names[i] = notification_state_name((enum notification_state)i);
        if (given && str_eq(given, names[i]))
            *state = i;
    }
    if (!given || *state >= 0)
        return true;
    const char *nearest = str_nearest(given, names, NOTIFICATION_STATES);
    return nx_fail(err, NX_E_INVALID, "'%.40s' is no state of a notification%s%s%s", given,
                   nearest ? "; did you mean '" : ": pending, sent, failed", nearest ? nearest : "",
                   nearest ? "'?" : "");
}

bool handle_notifications(struct call *call, struct nx_err *err)
{
    struct query_notifications which = {0};
    struct listing listing = {.buf = &call->body};
    if (!call_limit(call, 100, &listing.limit, err) || !call_cursor(call, &which.before, err) ||
        !read_state(call, &which.state, err) || !call_query(call, err))
        return false;
    which.limit = listing.limit + 1;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_notifications(call->query, &which, add_one, &listing, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, listing.more, (uint64_t)listing.last);
    return ok;
}

static bool read_id(const char *text, int64_t *id, struct nx_err *err)
{
    return shape_read_id(text, id) ||
           nx_fail(err, NX_E_NOT_FOUND, "there is no notification '%.40s'", text);
}

static bool put_one(struct buf *buf, struct query *query, int64_t id, struct nx_err *err)
{
    const struct query_notifications which = {.id = id, .state = -1, .limit = 1};
    struct listing listing = {.buf = buf, .limit = 1, .whole = true};
    return query_notifications(query, &which, add_one, &listing, err) &&
           (listing.n == 1 ||
            nx_fail(err, NX_E_NOT_FOUND, "there is no notification %lld", (long long)id));
}

bool handle_notification(struct call *call, struct nx_err *err)
{
    int64_t id;
    return read_id(call->params[0], &id, err) && call_query(call, err) &&
           put_one(&call->body, call->query, id, err);
}

static bool finish_retry(struct job *job, struct query *query, struct nx_err *err)
{
    const int64_t *id = job->data;
    return put_one(&job->body, query, *id, err);
}

bool handle_retry_notification(struct call *call, struct nx_err *err)
{
    int64_t id;
    if (!read_id(call->params[0], &id, err))
        return false;
    struct message *message =
        call_write(call, WRITE_RETELL, "notification.retry", call->params[0], NULL);
    struct job *job = job_new(call);
    message->notification = id;
    job->data = arena_dup(&job->arena, &id, sizeof id);
    job->finish = finish_retry;
    return job_write(call, job, message, err);
}
