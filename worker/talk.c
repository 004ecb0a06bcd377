#include "worker/talk.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/crypt/certificate.h"
#include "lib/net/link.h"
#include "lib/wire/bulk.h"
#include "nexus/limits.h"

enum { REPORT, LISTEN, REQUESTS };

#define REFUSED_PAUSE_MS 1000
#define REFUSED_PAUSE_MAX_MS 30000
#define REDIAL_MS 10000    /* a report without an answer: the network may be cut */
#define AWAY_MS 5000       /* without an answer: said once */
#define REPORT_SLACK_MS 50 /* the tick that wakes the loop comes every NX_REPORT_EVERY_MS too */

/* A report names all that is in hand, and costs the scheduler a commit: while there is enough to
 * do, results are collected for a quarter of the time for which there is, at most so long. With
 * little or nothing queued each change is reported at once. */
#define COLLECT_MS 5
#define COLLECT_WORK_US 5000
/* A start is reported when the attempt has not ended after this. */
#define START_MS 25

/* What a thread of the link has received. */
struct answer {
    struct answer *next;
    unsigned slot;
    enum nx_code code;
    size_t n;
    char bytes[];
};

struct talk {
    struct talk_config config;
    struct ledger *ledger;
    struct link_client *client;
    void (*on_url)(void *arg, const char *url, size_t n);
    void *arg;
    bool out[REQUESTS]; /* on its way */
    int64_t sent_ms[REQUESTS];
    int64_t not_before_ms, pause_ms; /* after a refusal */
    int64_t redialled_ms;
    int64_t answered_ms;
    int64_t changed_ms; /* since when there is something to report; 0: there is nothing */
    bool away, closing;
    uint64_t epoch;
    char refusal[256];
    struct arena arena;
    struct buf buf;
    uv_async_t wake;
    uv_timer_t collect;
    unsigned n_handles;
    pthread_mutex_t lock;
    struct answer *first, **last; /* under the lock */
};

/* ---- Answers ---- */

static void on_reply(void *arg, unsigned slot, enum nx_code code, const void *bytes, size_t n)
{
    struct talk *talk = arg;
    struct answer *answer = mem_alloc(sizeof *answer + n + 1);
    answer->slot = slot;
    answer->code = code;
    answer->n = n;
    if (n)
        memcpy(answer->bytes, bytes, n);
    pthread_mutex_lock(&talk->lock);
    *talk->last = answer;
    talk->last = &answer->next;
    pthread_mutex_unlock(&talk->lock);
    uv_async_send(&talk->wake);
}

static void refused(struct talk *talk, const char *text, size_t n)
{
    char copy[sizeof talk->refusal];
    if (n >= sizeof copy)
        n = sizeof copy - 1;
    memcpy(copy, text, n);
    copy[n] = 0;
    talk->not_before_ms = clock_mono_ms() + talk->pause_ms;
    talk->pause_ms =
        talk->pause_ms * 2 < REFUSED_PAUSE_MAX_MS ? talk->pause_ms * 2 : REFUSED_PAUSE_MAX_MS;
    if (strcmp(copy, talk->refusal) != 0)
        log_error("the scheduler refuses this worker: %s", copy);
    memcpy(talk->refusal, copy, n + 1);
}

static void take_reply(struct talk *talk, const struct wire_reply *reply)
{
    if (reply->refused) {
        refused(talk, reply->text.p, reply->text.n);
        return;
    }
    if (reply->ack) { /* a listen is answered before it is known who asks */
        talk->refusal[0] = 0;
        talk->pause_ms = REFUSED_PAUSE_MS;
    }
    talk->answered_ms = clock_mono_ms();
    ledger_reply(talk->ledger, reply, talk->answered_ms);
    if (ledger_epoch(talk->ledger) != talk->epoch || talk->away)
        log_info("the scheduler answers (epoch %llu)",
                 (unsigned long long)ledger_epoch(talk->ledger));
    talk->epoch = ledger_epoch(talk->ledger);
    talk->away = false;
    if (reply->url.n)
        talk->on_url(talk->arg, reply->url.p, reply->url.n);
}

static void take_answer(struct talk *talk, const struct answer *answer)
{
    struct wire_reply reply;
    struct nx_err err;
    talk->out[answer->slot] = false;
    if (answer->code != NX_OK) {
        talk->not_before_ms = clock_mono_ms() + REFUSED_PAUSE_MS;
        log_warn("a request to the scheduler failed (%s)", nx_code_info(answer->code)->name);
        return;
    }
    if (answer->n == 0) {
        /* A listen is released so. A report never is, but by one that cannot read it. */
        if (answer->slot == REPORT)
            talk->not_before_ms = clock_mono_ms() + REFUSED_PAUSE_MS;
        return;
    }
    arena_reset(&talk->arena);
    if (wire_decode_reply(answer->bytes, answer->n, &talk->arena, &reply, &err))
        take_reply(talk, &reply);
    else
        refused(talk, err.text, strlen(err.text));
}

static void on_wake(uv_async_t *handle)
{
    struct talk *talk = handle->data;
    pthread_mutex_lock(&talk->lock);
    struct answer *answer = talk->first, *next;
    talk->first = NULL;
    talk->last = &talk->first;
    pthread_mutex_unlock(&talk->lock);
    for (; answer; answer = next) {
        next = answer->next;
        if (!talk->closing)
            take_answer(talk, answer);
        mem_free(answer);
    }
}

/* ---- Requests ---- */

static struct wire_bytes text(const char *s)
{
    return wire_text(s, strlen(s));
}

static void send_request(struct talk *talk, unsigned slot, struct wire_report *report)
{
    report->worker = text(talk->config.worker);
    buf_clear(&talk->buf);
    if (talk->config.token)
        bulk_envelope(&talk->buf, talk->config.token);
    wire_encode_report(&talk->buf, report);
    talk->out[slot] = true;
    talk->sent_ms[slot] = clock_mono_ms();
    link_request(talk->client, slot, talk->buf.data, talk->buf.len);
}

static void send_report(struct talk *talk, int64_t now_ms)
{
    struct wire_report report;
    const struct talk_config *config = &talk->config;
    talk->changed_ms = 0;
    arena_reset(&talk->arena);
    ledger_report(talk->ledger, now_ms, &talk->arena, &report);
    report.host = text(config->host);
    report.version = text(config->version);
    report.catalog = text(config->catalog);
    report.queues = text(config->queues);
    report.pid = config->pid;
    report.gpus = config->gpus;
    report.memory_bytes = config->memory_bytes;
    report.ipc = config->ipc;
    send_request(talk, REPORT, &report);
}

/* The loop is awake: talk_pump follows. */
static void on_collected(uv_timer_t *handle)
{
    (void)handle;
}

/* How long what has changed may wait for more, in milliseconds. */
static int64_t patience_ms(const struct talk *talk, int64_t now_ms)
{
    if (!ledger_urgent(talk->ledger))
        return talk->changed_ms + START_MS - now_ms;
    int64_t work_us = ledger_work_us(talk->ledger), collect_ms = work_us / 4000;
    if (work_us < COLLECT_WORK_US)
        return 0;
    return talk->sent_ms[REPORT] + (collect_ms < COLLECT_MS ? collect_ms : COLLECT_MS) - now_ms;
}

static bool report_is_due(struct talk *talk, int64_t now_ms)
{
    if (talk->out[REPORT])
        return false;
    if (now_ms - talk->sent_ms[REPORT] >= NX_REPORT_EVERY_MS - REPORT_SLACK_MS)
        return true;
    if (!ledger_changed(talk->ledger)) {
        talk->changed_ms = 0;
        return false;
    }
    if (talk->changed_ms == 0)
        talk->changed_ms = now_ms;
    int64_t wait_ms = patience_ms(talk, now_ms);
    if (wait_ms <= 0)
        return true;
    uv_timer_t *timer = &talk->collect;
    if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > (uint64_t)wait_ms)
        uv_timer_start(timer, on_collected, (uint64_t)wait_ms, 0);
    return false;
}

void talk_pump(struct talk *talk)
{
    int64_t now_ms = clock_mono_ms();
    struct wire_report listen;
    if (!talk->away && talk->out[REPORT] && now_ms - talk->sent_ms[REPORT] > AWAY_MS) {
        talk->away = true;
        log_warn("no answer from the scheduler at %s for %d s; what runs goes on", talk->config.url,
                 AWAY_MS / 1000);
    }
    if (talk->config.token && talk->out[REPORT] && now_ms - talk->sent_ms[REPORT] > REDIAL_MS &&
        now_ms - talk->redialled_ms > REDIAL_MS) {
        talk->redialled_ms = now_ms;
        link_redial(talk->client);
    }
    if (now_ms < talk->not_before_ms)
        return;
    if (report_is_due(talk, now_ms))
        send_report(talk, now_ms);
    if (!talk->out[LISTEN]) {
        ledger_listen(talk->ledger, &listen);
        send_request(talk, LISTEN, &listen);
    }
}

bool talk_settled(const struct talk *talk)
{
    return !talk->out[REPORT] && !ledger_changed(talk->ledger) &&
           ledger_unacknowledged(talk->ledger) == 0;
}

/* ---- Life ---- */

bool talk_open(uv_loop_t *loop, const struct talk_config *config, struct ledger *ledger,
               void (*on_url)(void *arg, const char *url, size_t n), void *arg, struct talk **out,
               struct nx_err *err)
{
    struct talk *talk = mem_alloc(sizeof *talk);
    talk->config = *config;
    talk->ledger = ledger;
    talk->on_url = on_url;
    talk->arg = arg;
    talk->last = &talk->first;
    talk->answered_ms = clock_mono_ms();
    talk->pause_ms = REFUSED_PAUSE_MS;
    arena_init(&talk->arena);
    buf_init(&talk->buf);
    pthread_mutex_init(&talk->lock, NULL);
    must(uv_async_init(loop, &talk->wake, on_wake) == 0);
    uv_timer_init(loop, &talk->collect);
    talk->wake.data = talk->collect.data = talk;
    talk->n_handles = 2;
    const struct link_tls tls = {config->certificate, NULL, CERTIFICATE_NAME};
    if (!(config->token
              ? link_dial_tls(config->url, &tls, REQUESTS, on_reply, talk, &talk->client, err)
              : link_dial(config->url, REQUESTS, on_reply, talk, &talk->client, err))) {
        talk_close(talk);
        return false;
    }
    *out = talk;
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct talk *talk = handle->data;
    struct answer *next;
    if (--talk->n_handles)
        return;
    for (struct answer *answer = talk->first; answer; answer = next) {
        next = answer->next;
        mem_free(answer);
    }
    arena_fini(&talk->arena);
    buf_fini(&talk->buf);
    pthread_mutex_destroy(&talk->lock);
    mem_free(talk);
}

void talk_close(struct talk *talk)
{
    if (!talk)
        return;
    talk->closing = true;
    link_client_close(talk->client);
    uv_close((uv_handle_t *)&talk->wake, on_closed);
    uv_close((uv_handle_t *)&talk->collect, on_closed);
}
