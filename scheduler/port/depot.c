#include "scheduler/port/depot.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/port/depot_file.h"
#include "scheduler/port/tokens.h"

#define THREADS 4

struct request {
    struct request *next;
    unsigned context;
    char token[TOKEN_ID_MAX];
    size_t n;
    char bytes[];
};

struct depot {
    struct depot_files files;
    void (*answer)(void *arg, unsigned context, const void *bytes, size_t n);
    void *arg;
    pthread_t threads[THREADS];
    unsigned n_threads;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    struct request *first, **last;
    bool closing;
};

static void serve(struct depot *depot, const struct request *request, struct buf *room,
                  struct buf *out)
{
    struct bulk_request asked;
    struct bulk_reply reply = {0};
    struct nx_err err = {0};
    buf_clear(room);
    buf_clear(out);
    bool ok = bulk_decode_request(request->bytes, request->n, &asked, &err) &&
              depot_serve(&depot->files, request->token, &asked, room, &reply, &err);
    if (!ok) {
        reply.code = (uint8_t)err.code;
        reply.bytes = wire_text("", 0);
        reply.text = wire_text(err.text, strlen(err.text));
    }
    bulk_encode_reply(out, &reply);
    depot->answer(depot->arg, request->context, out->data, out->len);
}

static struct request *next_request(struct depot *depot)
{
    pthread_mutex_lock(&depot->lock);
    while (!depot->first && !depot->closing)
        pthread_cond_wait(&depot->changed, &depot->lock);
    struct request *request = depot->closing ? NULL : depot->first;
    if (request) {
        depot->first = request->next;
        if (!depot->first)
            depot->last = &depot->first;
    }
    pthread_mutex_unlock(&depot->lock);
    return request;
}

static void *run(void *arg)
{
    struct depot *depot = arg;
    struct request *request;
    struct buf room = {0}, out = {0};
    while ((request = next_request(depot))) {
        serve(depot, request, &room, &out);
        mem_free(request);
    }
    buf_fini(&room);
    buf_fini(&out);
    return NULL;
}

bool depot_open(const char *home,
                void (*answer)(void *arg, unsigned context, const void *bytes, size_t n), void *arg,
                struct depot **out, struct nx_err *err)
{
    struct depot *depot = mem_alloc(sizeof *depot);
    depot->answer = answer;
    depot->arg = arg;
    depot->last = &depot->first;
    pthread_mutex_init(&depot->lock, NULL);
    pthread_cond_init(&depot->changed, NULL);
    bool ok = depot_files_open(&depot->files, home, err);
    while (ok && depot->n_threads < THREADS) {
        ok = pthread_create(&depot->threads[depot->n_threads], NULL, run, depot) == 0 ||
             nx_fail(err, NX_E_MEMORY, "cannot start a thread");
        depot->n_threads += ok;
    }
    if (!ok) {
        depot_stop(depot);
        depot_close(depot);
        return false;
    }
    *out = depot;
    return true;
}

static void answer_ping(struct depot *depot, unsigned context)
{
    const struct bulk_reply reply = {.code = NX_OK};
    struct buf out = {0};
    bulk_encode_reply(&out, &reply);
    depot->answer(depot->arg, context, out.data, out.len);
    buf_fini(&out);
}

void depot_take(struct depot *depot, unsigned context, const char *token, const void *bytes,
                size_t n)
{
    struct bulk_request asked;
    if (n < 128 && bulk_decode_request(bytes, n, &asked, NULL) && asked.kind == BULK_PING) {
        answer_ping(depot, context);
        return;
    }
    struct request *request = mem_alloc(sizeof *request + n);
    request->context = context;
    str_copy(request->token, sizeof request->token, token);
    request->n = n;
    memcpy(request->bytes, bytes, n);
    pthread_mutex_lock(&depot->lock);
    *depot->last = request;
    depot->last = &request->next;
    pthread_cond_signal(&depot->changed);
    pthread_mutex_unlock(&depot->lock);
}

void depot_stop(struct depot *depot)
{
    if (!depot)
        return;
    pthread_mutex_lock(&depot->lock);
    depot->closing = true;
    pthread_cond_broadcast(&depot->changed);
    pthread_mutex_unlock(&depot->lock);
    for (unsigned i = 0; i < depot->n_threads; i++)
        pthread_join(depot->threads[i], NULL);
}

void depot_close(struct depot *depot)
{
    if (!depot)
        return;
    while (depot->first) {
        struct request *next = depot->first->next;
        mem_free(depot->first);
        depot->first = next;
    }
    depot_files_close(&depot->files);
    pthread_cond_destroy(&depot->changed);
    pthread_mutex_destroy(&depot->lock);
    mem_free(depot);
}
