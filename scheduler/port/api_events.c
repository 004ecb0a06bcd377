#include "scheduler/port/api_events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/vec.h"

#define KEPT_BYTES_MAX (8u << 20) /* of events that streams may still want */
#define KEPT_COMMITS_MAX 16384    /* and of so many commits */
#define KEEP_AFTER_MS 60000       /* events are still written so long after the last stream ended */
#define KEEP_ALIVE_MS 12500       /* and a look: at least every 15 s */
#define EVENTS_A_COMMIT_MAX 4096  /* more: the streams are reset */

/* The events of one commit as they are sent, "id: ...\nevent: run\ndata: {...}\n\n": made once for
 * all streams, never changed. Whoever reads holds it. */
struct event {
    uint64_t run; /* 0: of no run */
    uint32_t end; /* of its text */
};

struct batch {
    atomic_uint holders;
    uint64_t first; /* place of its first event */
    VEC(struct event) events;
    struct buf text;
};

struct events {
    pthread_mutex_t lock; /* held for moments: never while texts are made or copied */
    int64_t started_ms;
    struct batch **kept;     /* a ring; made when somebody listens for the first time */
    uint64_t oldest, newest; /* batches oldest..newest - 1 are at those numbers in the ring */
    size_t kept_bytes;
    uint64_t next;   /* place of the next event, from 1; those before the oldest batch are gone */
    uint64_t commit; /* of the last one */
    unsigned n_streams;
    int64_t listen_until_ms; /* mono */
};

/* A stream that sends them. */
struct listener {
    struct events *events;
    uint64_t run, place; /* the next to send */
    struct batch *batch; /* of which it is, held; or NULL */
    size_t n_sent;       /* bytes of that event */
    bool reset;
    int64_t sent_ms;
    struct buf out; /* what is said to it alone, not sent yet */
    size_t n_out;
};

struct events *events_new(int64_t started_ms)
{
    struct events *events = mem_alloc(sizeof *events);
    pthread_mutex_init(&events->lock, NULL);
    events->started_ms = started_ms;
    events->next = 1;
    return events;
}

static void let_go(struct batch *batch)
{
    if (!batch || atomic_fetch_sub(&batch->holders, 1) > 1)
        return;
    vec_fini(&batch->events);
    buf_fini(&batch->text);
    mem_free(batch);
}

static struct batch **place_of(const struct events *events, uint64_t number)
{
    return &events->kept[number % KEPT_COMMITS_MAX];
}

/* With the lock held: the oldest is forgotten. */
static void forget_one(struct events *events)
{
    struct batch *batch = *place_of(events, events->oldest++);
    events->kept_bytes -= batch->text.len;
    let_go(batch);
}

void events_free(struct events *events)
{
    if (!events)
        return;
    while (events->oldest < events->newest)
        forget_one(events);
    pthread_mutex_destroy(&events->lock);
    mem_free(events->kept);
    mem_free(events);
}

/* ---- On the loop ---- */

/* What is being written: the events of a commit. */
struct writing {
    struct batch *batch;
    int64_t started_ms;
    uint64_t commit;
};

static void begin_event(struct writing *w, const char *name)
{
    struct batch *batch = w->batch;
    buf_printf(&batch->text, "id: %lld.%llu.%llu\nevent: %s\ndata: {", (long long)w->started_ms,
               (unsigned long long)w->commit, (unsigned long long)(batch->first + batch->events.n),
               name);
}

static void end_event(struct writing *w, uint64_t run)
{
    struct batch *batch = w->batch;
    buf_str(&batch->text, "}\n\n");
    const struct event event = {run, (uint32_t)batch->text.len};
    vec_push(&batch->events, event);
}

/* Ids of DAGs, tasks and workers need no escapes. */
static void add_run(struct writing *w, const struct core *core, struct nx_run_id id)
{
    struct core_run_row row;
    if (!core_get_run(core, id, &row))
        return;
    struct buf *text = &w->batch->text;
    begin_event(w, "run");
    buf_printf(text, "\"run\":\"%llu\",\"dag\":\"%s\",\"state\":\"%s\",\"counts\":{",
               (unsigned long long)id.v, row.dag, nx_run_state_name(row.state));
    bool any = false;
    for (int i = 0; i < NX_TASK_STATES; i++) {
        if (!row.counts[i])
            continue;
        buf_printf(text, "%s\"%s\":%u", any ? "," : "", nx_task_state_name((enum nx_task_state)i),
                   row.counts[i]);
        any = true;
    }
    buf_printf(text, "},\"late\":%s", row.late_ms ? "true" : "false");
    end_event(w, id.v);
}

static void add_task(struct writing *w, const struct core *core, struct nx_inst_id id)
{
    struct core_inst_row row;
    const struct graph *graph = core_run_graph(core, id.run);
    char map[16] = "null";
    if (!graph || !core_get_inst(core, id, &row))
        return;
    if (id.map != NX_MAP_NONE)
        snprintf(map, sizeof map, "%d", id.map);
    begin_event(w, "task");
    buf_printf(&w->batch->text,
               "\"run\":\"%llu\",\"dag\":\"%s\",\"task\":\"%s\",\"map_index\":%s,"
               "\"state\":\"%s\",\"attempt\":%u",
               (unsigned long long)id.run.v, graph->dag_id, graph->tasks[id.task].id, map,
               nx_task_state_name(row.state), row.attempt);
    end_event(w, id.run.v);
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

static void add_worker(struct writing *w, const struct core *core, uint32_t number)
{
    struct core_worker_row row;
    if (!core_get_worker(core, number, &row) || !is_plain(row.id))
        return;
    begin_event(w, "worker");
    buf_printf(&w->batch->text, "\"worker\":\"%s\",\"drain\":%s", row.id,
               row.drain ? "true" : "false");
    end_event(w, 0);
}

static void add_dataset(struct writing *w, const struct core_dataset_event *made)
{
    char run[24] = "null";
    if (made->inst.run.v)
        snprintf(run, sizeof run, "\"%llu\"", (unsigned long long)made->inst.run.v);
    begin_event(w, "dataset");
    buf_printf(&w->batch->text, "\"dataset\":\"%s\",\"version\":%llu,\"run\":%s", made->dataset,
               (unsigned long long)made->version, run);
    end_event(w, made->inst.run.v);
}

/* Only this thread writes `next`. */
static struct batch *write_events(const struct events *events, const struct core *core,
                                  const struct core_update *update, uint64_t commit)
{
    struct batch *batch = mem_alloc(sizeof *batch);
    struct writing w = {batch, events->started_ms, commit};
    atomic_init(&batch->holders, 1);
    batch->first = events->next;
    for (size_t i = 0; i < update->workers.n; i++)
        add_worker(&w, core, update->workers.at[i]);
    for (size_t i = 0; i < update->insts.n; i++)
        add_task(&w, core, update->insts.at[i]);
    for (size_t i = 0; i < update->dataset_events.n; i++)
        add_dataset(&w, &update->dataset_events.at[i]);
    for (size_t i = 0; i < update->runs.n; i++)
        add_run(&w, core, update->runs.at[i]);
    if (batch->events.n)
        return batch;
    let_go(batch);
    return NULL;
}

/* With the lock held. */
static void keep(struct events *events, struct batch *batch)
{
    while (events->oldest < events->newest &&
           (events->newest - events->oldest == KEPT_COMMITS_MAX ||
            events->kept_bytes + batch->text.len > KEPT_BYTES_MAX))
        forget_one(events);
    *place_of(events, events->newest++) = batch;
    events->kept_bytes += batch->text.len;
    events->next += batch->events.n;
}

/* With the lock held: what is new is not told; whoever listens finds a gap. */
static void skip(struct events *events, bool gap)
{
    while (events->oldest < events->newest)
        forget_one(events);
    events->next += gap;
}

bool events_add(struct events *events, const struct core *core, const struct core_update *update,
                uint64_t commit)
{
    struct batch *batch = NULL;
    pthread_mutex_lock(&events->lock);
    bool listened =
        events->kept && (events->n_streams || clock_mono_ms() < events->listen_until_ms);
    pthread_mutex_unlock(&events->lock);
    bool many = update->insts.n + update->dataset_events.n > EVENTS_A_COMMIT_MAX;
    if (listened && !many)
        batch = write_events(events, core, update, commit);
    pthread_mutex_lock(&events->lock);
    events->commit = commit;
    if (!listened || many)
        skip(events,
             update->runs.n + update->insts.n + update->dataset_events.n + update->workers.n > 0);
    else if (batch)
        keep(events, batch);
    bool streams = events->n_streams > 0;
    pthread_mutex_unlock(&events->lock);
    return streams;
}

/* ---- On the server's threads ---- */

/* With the lock held: the place of the first event that is kept. */
static uint64_t first_kept(const struct events *events)
{
    return events->oldest < events->newest ? (*place_of(events, events->oldest))->first
                                           : events->next;
}

/* With the lock held: something of no event, for this stream alone. */
static void say(struct listener *listener, const char *name)
{
    const struct events *events = listener->events;
    buf_printf(&listener->out, "id: %lld.%llu.%llu\nevent: %s\ndata: {}\n\n",
               (long long)events->started_ms, (unsigned long long)events->commit,
               (unsigned long long)(listener->place - 1), name);
}

/* With the lock held: the batch that a place is in, by halves. */
static struct batch *find_batch(const struct events *events, uint64_t place)
{
    uint64_t low = events->oldest, high = events->newest - 1;
    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        if ((*place_of(events, middle))->first <= place)
            low = middle;
        else
            high = middle - 1;
    }
    return *place_of(events, low);
}

/* Holds the batch of the next event, if there is one. */
static void hold_next(struct listener *listener)
{
    struct events *events = listener->events;
    pthread_mutex_lock(&events->lock);
    if (listener->place < first_kept(events))
        listener->reset = true;
    if (listener->reset) {
        listener->place = events->next;
        say(listener, "reset");
        listener->reset = false;
    } else if (listener->place < events->next) {
        listener->batch = find_batch(events, listener->place);
        atomic_fetch_add(&listener->batch->holders, 1);
    }
    pthread_mutex_unlock(&events->lock);
}

/* Bytes of the batch from the next event on; all of it at once for who wants all. */
static size_t take_from_batch(struct listener *listener, char *to, size_t max)
{
    const struct batch *batch = listener->batch;
    size_t n = 0;
    while (n < max && listener->place < batch->first + batch->events.n) {
        size_t i = (size_t)(listener->place - batch->first);
        size_t start = i ? batch->events.at[i - 1].end : 0, size = batch->events.at[i].end - start;
        size_t part = size - listener->n_sent;
        if (listener->run && batch->events.at[i].run != listener->run) {
            listener->place++;
            continue;
        }
        part = part < max - n ? part : max - n;
        memcpy(to + n, batch->text.data + start + listener->n_sent, part);
        n += part;
        listener->n_sent += part;
        if (listener->n_sent == size) {
            listener->n_sent = 0;
            listener->place++;
        }
    }
    if (listener->place == batch->first + batch->events.n) {
        let_go(listener->batch);
        listener->batch = NULL;
    }
    return n;
}

static size_t take_out(struct listener *listener, char *to, size_t max)
{
    size_t n = listener->out.len - listener->n_out;
    n = n < max ? n : max;
    memcpy(to, listener->out.data + listener->n_out, n);
    listener->n_out += n;
    if (listener->n_out == listener->out.len) {
        buf_clear(&listener->out);
        listener->n_out = 0;
    }
    return n;
}

static ssize_t produce(void *arg, char *to, size_t max)
{
    struct listener *listener = arg;
    size_t n = 0;
    while (n < max) {
        if (!listener->batch && !listener->out.len)
            hold_next(listener);
        if (listener->out.len)
            n += take_out(listener, to + n, max - n);
        else if (listener->batch)
            n += take_from_batch(listener, to + n, max - n);
        else
            break;
    }
    int64_t now = clock_mono_ms();
    if (!n && now - listener->sent_ms >= KEEP_ALIVE_MS) {
        buf_str(&listener->out, ": still here\n\n");
        n = take_out(listener, to, max);
    }
    if (!n)
        return HTTP_NOTHING_NOW;
    listener->sent_ms = now;
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
    let_go(listener->batch);
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
        started != events->started_ms || had + 1 < first_kept(events) || had >= events->next)
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
    if (!events->kept)
        events->kept = mem_alloc_array(KEPT_COMMITS_MAX, sizeof *events->kept);
    events->n_streams++;
    listener->place = events->next;
    if (!last_id)
        say(listener, "hello");
    listener->reset = last_id && !resume_place(events, last_id, &listener->place);
    pthread_mutex_unlock(&events->lock);
    *reply = (struct http_reply){.status = 200,
                                 .content_type = "text/event-stream",
                                 .headers = headers,
                                 .produce = produce,
                                 .done = end_listener,
                                 .arg = listener};
}
