#include "worker/line.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/crypt/certificate.h"
#include "lib/net/link.h"
#include "worker/patience.h"

#define SLOTS 4
#define PING SLOTS     /* the slot of pings */
#define LOOK_MS 200    /* at give_up */
#define PING_MS 5000   /* without an answer: is somebody there? */
#define REDIAL_MS 5000 /* nobody is: the network may be cut */
#define REFUSED_MIN_MS 500
#define REFUSED_MAX_MS 30000

struct slot {
    bool taken, answered;
    enum nx_code code;
    struct buf reply;
};

struct line {
    struct link_client *client;
    char token[BULK_TOKEN_MAX + 1];
    uint64_t session;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    struct slot slots[SLOTS + 1];
    int64_t heard_ms, pinged_ms; /* the last answer; the ping that is out, 0: none */
    bool stopped;
};

/* On a thread of the link. */
static void on_reply(void *arg, unsigned i, enum nx_code code, const void *bytes, size_t n)
{
    struct line *line = arg;
    pthread_mutex_lock(&line->lock);
    struct slot *slot = &line->slots[i];
    buf_clear(&slot->reply);
    if (n)
        buf_add(&slot->reply, bytes, n);
    slot->code = code;
    slot->answered = true;
    line->heard_ms = clock_mono_ms();
    if (i == PING)
        line->pinged_ms = 0;
    pthread_cond_broadcast(&line->changed);
    pthread_mutex_unlock(&line->lock);
}

/* With the lock held. */
static bool over(const struct line *line, const atomic_bool *give_up)
{
    return line->stopped || (give_up && atomic_load(give_up));
}

static bool cancelled(struct nx_err *err)
{
    return nx_fail(err, NX_E_CANCELLED, "it is not wanted any more");
}

/* Index of a slot that is the caller's now; -1: give up. */
static int take_slot(struct line *line, const atomic_bool *give_up)
{
    int found = -1;
    pthread_mutex_lock(&line->lock);
    while (found < 0 && !over(line, give_up)) {
        for (int i = 0; i < SLOTS && found < 0; i++) {
            if (!line->slots[i].taken)
                found = i;
        }
        if (found < 0)
            patience_wait(&line->changed, &line->lock, LOOK_MS);
    }
    if (found >= 0) {
        line->slots[found].taken = true;
        line->slots[found].answered = false;
    }
    pthread_mutex_unlock(&line->lock);
    return found;
}

/* A long wait: the scheduler has much to do, or is not there. With the lock held at both ends. */
static void look_whether_there(struct line *line, int64_t sent_ms)
{
    struct buf message = {0};
    const struct bulk_request ping = {.kind = BULK_PING, .session = line->session};
    int64_t now_ms = clock_mono_ms(),
            heard_ms = line->heard_ms > sent_ms ? line->heard_ms : sent_ms;
    bool first = line->pinged_ms == 0;
    if (first ? now_ms - heard_ms < PING_MS : now_ms - line->pinged_ms < REDIAL_MS)
        return;
    line->pinged_ms = now_ms;
    pthread_mutex_unlock(&line->lock);
    if (first) {
        bulk_envelope(&message, line->token);
        bulk_encode_request(&message, &ping);
        link_request(line->client, PING, message.data, message.len);
        buf_fini(&message);
    } else {
        link_redial(line->client); /* what is open is sent again, the ping too */
    }
    pthread_mutex_lock(&line->lock);
}

static void await(struct line *line, int i, const atomic_bool *give_up)
{
    int64_t sent_ms = clock_mono_ms();
    bool told = false;
    pthread_mutex_lock(&line->lock);
    while (!line->slots[i].answered) {
        if (over(line, give_up) && !told) {
            told = true;
            pthread_mutex_unlock(&line->lock);
            link_cancel(line->client, (unsigned)i);
            pthread_mutex_lock(&line->lock);
            continue;
        }
        patience_wait(&line->changed, &line->lock, LOOK_MS);
        if (!line->slots[i].answered)
            look_whether_there(line, sent_ms);
    }
    pthread_mutex_unlock(&line->lock);
}

/* One question and its answer, whatever it says. */
static bool ask(struct line *line, const struct bulk_request *request, struct line_answer *answer,
                const atomic_bool *give_up, struct nx_err *err)
{
    struct buf message = {0};
    int i = take_slot(line, give_up);
    if (i < 0)
        return cancelled(err);
    bulk_envelope(&message, line->token);
    bulk_encode_request(&message, request);
    link_request(line->client, (unsigned)i, message.data, message.len);
    buf_fini(&message);
    await(line, i, give_up);
    pthread_mutex_lock(&line->lock);
    struct slot *slot = &line->slots[i];
    enum nx_code code = slot->code;
    struct buf room = answer->room;
    answer->room = slot->reply;
    slot->reply = room;
    slot->taken = false;
    pthread_cond_broadcast(&line->changed);
    pthread_mutex_unlock(&line->lock);
    if (code != NX_OK)
        return cancelled(err);
    return bulk_decode_reply(answer->room.data, answer->room.len, &answer->reply, err);
}

static bool pause_for(struct line *line, int64_t ms, const atomic_bool *give_up)
{
    int64_t until = clock_mono_ms() + ms;
    pthread_mutex_lock(&line->lock);
    while (!over(line, give_up) && clock_mono_ms() < until)
        patience_wait(&line->changed, &line->lock, LOOK_MS);
    bool go_on = !over(line, give_up);
    pthread_mutex_unlock(&line->lock);
    return go_on;
}

bool line_call(struct line *line, struct bulk_request *request, struct line_answer *answer,
               const atomic_bool *give_up, struct nx_err *err)
{
    int64_t pause_ms = REFUSED_MIN_MS;
    request->session = line->session;
    for (;;) {
        if (!ask(line, request, answer, give_up, err))
            return false;
        const struct bulk_reply *reply = &answer->reply;
        if (reply->code == NX_OK)
            return true;
        if (reply->code != NX_E_DENIED && reply->code != NX_E_BUSY)
            return nx_fail(err, (enum nx_code)reply->code, "%.*s", (int)reply->text.n,
                           reply->text.p);
        if (!pause_for(line, pause_ms, give_up))
            return cancelled(err);
        pause_ms = pause_ms * 2 < REFUSED_MAX_MS ? pause_ms * 2 : REFUSED_MAX_MS;
    }
}

bool line_open(const struct line_config *config, struct line **out, struct nx_err *err)
{
    struct line *line = mem_alloc(sizeof *line);
    const struct link_tls tls = {config->certificate, NULL, CERTIFICATE_NAME};
    patience_init(&line->changed);
    pthread_mutex_init(&line->lock, NULL);
    line->session = config->session;
    must(str_copy(line->token, sizeof line->token, config->token));
    if (!link_dial_tls(config->url, &tls, SLOTS + 1, on_reply, line, &line->client, err)) {
        line_close(line);
        return false;
    }
    *out = line;
    return true;
}

void line_stop(struct line *line)
{
    if (!line)
        return;
    pthread_mutex_lock(&line->lock);
    line->stopped = true;
    pthread_cond_broadcast(&line->changed);
    pthread_mutex_unlock(&line->lock);
}

void line_close(struct line *line)
{
    if (!line)
        return;
    link_client_close(line->client);
    for (int i = 0; i <= SLOTS; i++)
        buf_fini(&line->slots[i].reply);
    pthread_cond_destroy(&line->changed);
    pthread_mutex_destroy(&line->lock);
    mem_free(line);
}
