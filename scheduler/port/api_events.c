#include "scheduler/port/api_events.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "scheduler/port/api_json.h"

#define RING_EVENTS 16384
#define EVENT_BYTES 512          /* of the longest: a run with a count in every state */
#define KEEP_AFTER_MS 60000      /* events are still written so long after the last stream ended */
#define KEEP_ALIVE_MS 12500      /* and a look: at least every 15 s */
#define EVENTS_A_COMMIT_MAX 4096 /* more: the streams are reset */

struct event {
    uint64_t run, commit; /* run 0: of no run */
    uint16_t n;
    char text[EVENT_BYTES]; /* "event: run\ndata: {...}\n" */
};

struct events {
    pthread_mutex_t lock;
    int64_t started_ms;
    struct event *ring;   /* made when somebody listens for the first time */
    uint64_t first, next; /* places of the events in the ring, from 1 */
    uint64_t commit;      /* of the last one */
    unsigned n_streams;
    int64_t listen_until_ms; /* mono */
};

/* A stream that sends them. */
struct listener {
    struct events *events;
    uint64_t run, place; /* the next to send */
    bool hello, reset;
    int64_t sent_ms;
    struct buf out; /* made, not sent */
    size_t n_sent;
};

struct events *events_new(int64_t started_ms)
{
    struct events *events = mem_alloc(sizeof *events);
    pthread_mutex_init(&events->lock, NULL);
    events->started_ms = started_ms;
    events->first = events->next = 1;
    return events;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    pthread_mutex_destroy(&events->lock);
    mem_free(events->ring);
    mem_free(events);
}

/* ---- On the loop ---- */

static struct event *push(struct events *events, uint64_t run, uint64_t commit)
{
    struct event *event = &events->ring[events->next % RING_EVENTS];
    events->next++;
    if (events->next - events->first > RING_EVENTS)
        events->first = events->next - RING_EVENTS;
    event->run = run;
    event->commit = commit;
    return event;
}

static void set_text(struct event *event, int n)
{
    event->n = (uint16_t)(n < EVENT_BYTES ? n : 0);
}

/* Ids of DAGs, tasks and workers need no escapes. */
static void add_run(struct events *events, const struct core *core, struct nx_run_id id,
                    uint64_t commit)
{
    struct core_run_row row;
    if (!core_get_run(core, id, &row))
        return;
    struct event *event = push(events, id.v, commit);
    int n = snprintf(event->text, EVENT_BYTES,
                     "event: run\ndata: {\"run\":\"%llu\",\"dag\":\"%s\",\"state\":\"%s\","
                     "\"counts\":{",
                     (unsigned long long)id.v, row.dag, nx_run_state_name(row.state));
    bool any = false;
    for (int i = 0; i < NX_TASK_STATES && n < EVENT_BYTES; i++) {
        if (!row.counts[i])
            continue;
        n += snprintf(event->text + n, (size_t)(EVENT_BYTES - n), "%s\"%s\":%u", any ? "," : "",
                      nx_task_state_name((enum nx_task_state)i), row.counts[i]);
        any = true;
    }
    if (n < EVENT_BYTES)
        n += snprintf(event->text + n, (size_t)(EVENT_BYTES - n), "},\"late\":%s}\n",
                      row.late_ms ? "true" : "false");
    set_text(event, n);
}

static void add_task(struct events *events, const struct core *core, struct nx_inst_id id,
                     uint64_t commit)
{
    struct core_inst_row row;
    const struct graph *graph = core_run_graph(core, id.run);
    char map[16] = "null";
    if (!graph || !core_get_inst(core, id, &row))
        return;
    if (id.map != NX_MAP_NONE)
        snprintf(map, sizeof map, "%d", id.map);
    struct event *event = push(events, id.run.v, commit);
    int n = snprintf(event->text, EVENT_BYTES,
                     "event: task\ndata: {\"run\":\"%llu\",\"dag\":\"%s\",\"task\":\"%s\","
                     "\"map_index\":%s,\"state\":\"%s\",\"attempt\":%u}\n",
                     (unsigned long long)id.run.v, graph->dag_id, graph->tasks[id.task].id, map,
                     nx_task_state_name(row.state), row.attempt);
    set_text(event, n);
}

/* A text that is a JSON string as it is. */
static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
            return false;
    }
    return true;
}

static void add_worker(struct events *events, const struct core *core, uint32_t number,
                       uint64_t commit)
{
    struct core_worker_row row;
    if (!core_get_worker(core, number, &row) || !is_plain(row.id))
        return;
    struct event *event = push(events, 0, commit);
    set_text(event, snprintf(event->text, EVENT_BYTES,
                             "event: worker\ndata: {\"worker\":\"%s\",\"drain\":%s}\n", row.id,
                             row.drain ? "true" : "false"));
}

static void add_dataset(struct events *events, const struct core_dataset_event *made,
                        uint64_t commit)
{
    struct event *event = push(events, made->inst.run.v, commit);
    char run[24] = "null";
    if (made->inst.run.v)
        snprintf(run, sizeof run, "\"%llu\"", (unsigned long long)made->inst.run.v);
    set_text(event,
             snprintf(event->text, EVENT_BYTES,
                      "event: dataset\ndata: {\"dataset\":\"%s\",\"version\":%llu,\"run\":%s}\n",
                      made->dataset, (unsigned long long)made->version, run));
}

bool events_add(struct events *events, const struct core *core, const struct core_update *update,
                uint64_t commit)
{
    pthread_mutex_lock(&events->lock);
    bool listened =
        events->ring && (events->n_streams || clock_mono_ms() < events->listen_until_ms);
    events->commit = commit;
    if (!listened) {
        /* Whoever comes back finds a gap. */
        events->next += update->runs.n + update->insts.n + update->dataset_events.n > 0;
        events->first = events->next;
    } else if (update->insts.n + update->dataset_events.n > EVENTS_A_COMMIT_MAX) {
        events->first = ++events->next;
    } else {
        for (size_t i = 0; i < update->workers.n; i++)
            add_worker(events, core, update->workers.at[i], commit);
        for (size_t i = 0; i < update->insts.n; i++)
            add_task(events, core, update->insts.at[i], commit);
        for (size_t i = 0; i < update->dataset_events.n; i++)
            add_dataset(events, &update->dataset_events.at[i], commit);
        for (size_t i = 0; i < update->runs.n; i++)
            add_run(events, core, update->runs.at[i], commit);
    }
    bool streams = events->n_streams > 0;
    pthread_mutex_unlock(&events->lock);
    return streams;
}

/* ---- On the server's threads ---- */

static void add_id(struct buf *out, const struct events *events, uint64_t commit, uint64_t place)
{
    buf_printf(out, "id: %lld.%llu.%llu\n", (long long)events->started_ms,
               (unsigned long long)commit, (unsigned long long)place);
}

/* With the lock held: what is new goes to `out`, about `max` bytes. */
static void make(struct listener *listener, size_t max)
{
    struct events *events = listener->events;
    struct buf *out = &listener->out;
    if (listener->place < events->first) {
        listener->place = events->next;
        listener->reset = true;
    }
    if (listener->hello || listener->reset) {
        add_id(out, events, events->commit, listener->place - 1);
        buf_printf(out, "event: %s\ndata: {}\n\n", listener->reset ? "reset" : "hello");
        listener->hello = listener->reset = false;
    }
    while (listener->place < events->next && out->len < max) {
        const struct event *event = &events->ring[listener->place % RING_EVENTS];
        if (event->n && (!listener->run || event->run == listener->run)) {
            add_id(out, events, event->commit, listener->place);
            buf_add(out, event->text, event->n);
            buf_char(out, '\n');
        }
        listener->place++;
    }
}

static ssize_t produce(void *arg, char *to, size_t max)
{
    struct listener *listener = arg;
    if (listener->n_sent == listener->out.len) {
        buf_clear(&listener->out);
        listener->n_sent = 0;
        pthread_mutex_lock(&listener->events->lock);
        make(listener, max);
        pthread_mutex_unlock(&listener->events->lock);
        if (!listener->out.len && clock_mono_ms() - listener->sent_ms >= KEEP_ALIVE_MS)
            buf_str(&listener->out, ": still here\n\n");
        if (!listener->out.len)
            return HTTP_NOTHING_NOW;
    }
    size_t n = listener->out.len - listener->n_sent;
    n = n < max ? n : max;
    memcpy(to, listener->out.data + listener->n_sent, n);
    listener->n_sent += n;
    listener->sent_ms = clock_mono_ms();
    return (ssize_t)n;
}

static void end_listener(void *arg)
{
    struct listener *listener = arg;
    struct events *events = listener->events;
    pthread_mutex_lock(&events->lock);
    events->n_streams--;
    events->listen_until_ms = clock_mono_ms() + KEEP_AFTER_MS;
    pthread_mutex_unlock(&events->lock);
    buf_fini(&listener->out);
    mem_free(listener);
}

/* Where a stream that had got so far goes on. False: it must load everything anew. */
static bool resume_place(const struct events *events, const char *last_id, uint64_t *place)
{
    long long started;
    unsigned long long commit, had;
    char rest;
    if (sscanf(last_id, "%lld.%llu.%llu%c", &started, &commit, &had, &rest) != 3 ||
        started != events->started_ms || had + 1 < events->first || had >= events->next)
        return false;
    *place = had + 1;
    return true;
}

void events_stream(struct events *events, uint64_t run, const char *last_id,
                   struct http_reply *reply)
{
    static const char *const headers[] = {"Cache-Control", "no-store", "X-Accel-Buffering", "no",
                                          NULL};
    struct listener *listener = mem_alloc(sizeof *listener);
    listener->events = events;
    listener->run = run;
    listener->sent_ms = clock_mono_ms();
    pthread_mutex_lock(&events->lock);
    if (!events->ring)
        events->ring = mem_alloc_array(RING_EVENTS, sizeof *events->ring);
    events->n_streams++;
    listener->place = events->next;
    listener->hello = last_id == NULL;
    listener->reset = last_id && !resume_place(events, last_id, &listener->place);
    pthread_mutex_unlock(&events->lock);
    *reply = (struct http_reply){.status = 200,
                                 .content_type = "text/event-stream",
                                 .headers = headers,
                                 .produce = produce,
                                 .done = end_listener,
                                 .arg = listener};
}
