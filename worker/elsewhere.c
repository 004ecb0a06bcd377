#include "worker/elsewhere.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/artifact/artifact.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "nexus/limits.h"
#include "worker/transfer.h"

#define FLUSH_MS 10000 /* a log that is long, or a scheduler that is away */
#define HASHES_MAX 10000

struct elsewhere {
    uv_loop_t *loop;
    struct line *line;
    struct transfer *transfer;
    struct spool *spool;
    int64_t cache_max_bytes;
    pthread_mutex_t lock; /* what follows */
    int64_t cache_bytes;  /* about; -1: not counted yet */
    bool sweeping;
};

enum errand_kind { BRING, HAND_OVER };

struct errand {
    struct elsewhere *elsewhere;
    enum errand_kind kind;
    uv_work_t work;
    struct buf text; /* what is looked at for addresses */
    struct wire_bytes outputs_artifact;
    uint64_t version;
    struct spooled *log;
    errand_done *done; /* NULL: dropped */
    void *arg;
    atomic_bool give_up;
    struct nx_err err;
};

/* ---- The cache ---- */

struct cached {
    char address[ARTIFACT_ADDRESS_MAX];
    int64_t used_ms;
    uint64_t n_bytes;
};

struct census {
    struct artifact_store *store;
    VEC(struct cached) all;
    struct map evicted;
    uint64_t n_bytes;
};

static bool count_one(void *arg, const char *address, int64_t put_wall_ms)
{
    struct census *census = arg;
    struct artifact_info info;
    struct cached one = {.used_ms = put_wall_ms};
    if (!artifact_stat(census->store, address, &info, NULL))
        return true;
    str_copy(one.address, sizeof one.address, address);
    one.n_bytes = info.n_bytes;
    census->n_bytes += info.n_bytes;
    vec_push(&census->all, one);
    return true;
}

static int by_use(const void *a, const void *b)
{
    const struct cached *x = a, *y = b;
    return (x->used_ms > y->used_ms) - (x->used_ms < y->used_ms);
}

static bool stays(void *arg, const char *address)
{
    const struct census *census = arg;
    return map_get(&census->evicted, address) == NULL;
}

/* Removes what was not used for longest until a fifth of the bound is free. What was used since the
 * oldest attempt that runs here began may be its, and stays. */
static void evict(struct elsewhere *elsewhere)
{
    struct census census = {.store = transfer_store(elsewhere->transfer)};
    int64_t before_ms = spool_oldest_ms(elsewhere->spool), now_ms = clock_wall_ms();
    uint64_t goal = (uint64_t)elsewhere->cache_max_bytes / 5 * 4;
    struct nx_err err = {0};
    if (before_ms > now_ms)
        before_ms = now_ms;
    map_init(&census.evicted);
    bool ok = artifact_list(census.store, count_one, &census, &err);
    if (census.all.n)
        qsort(census.all.at, census.all.n, sizeof *census.all.at, by_use);
    for (size_t i = 0; ok && i < census.all.n && census.n_bytes > goal; i++) {
        if (census.n_bytes <= (uint64_t)elsewhere->cache_max_bytes && !census.evicted.n)
            break;
        if (census.all.at[i].used_ms >= before_ms)
            break;
        map_set(&census.evicted, census.all.at[i].address, &census);
        census.n_bytes -= census.all.at[i].n_bytes;
    }
    if (ok && census.evicted.n)
        ok = artifact_sweep(census.store, before_ms, stays, &census, NULL, &err);
    if (!ok)
        log_warn("the cache of artifacts: %s", err.text);
    pthread_mutex_lock(&elsewhere->lock);
    elsewhere->cache_bytes = (int64_t)census.n_bytes;
    pthread_mutex_unlock(&elsewhere->lock);
    map_fini(&census.evicted);
    vec_fini(&census.all);
}

/* So many bytes came. One thread at a time looks whether it is too much. */
static void grew(struct elsewhere *elsewhere, uint64_t n_bytes)
{
    pthread_mutex_lock(&elsewhere->lock);
    if (elsewhere->cache_bytes >= 0)
        elsewhere->cache_bytes += (int64_t)n_bytes;
    bool look = !elsewhere->sweeping &&
                (elsewhere->cache_bytes < 0 || elsewhere->cache_bytes > elsewhere->cache_max_bytes);
    elsewhere->sweeping = elsewhere->sweeping || look;
    pthread_mutex_unlock(&elsewhere->lock);
    if (!look)
        return;
    evict(elsewhere);
    pthread_mutex_lock(&elsewhere->lock);
    elsewhere->sweeping = false;
    pthread_mutex_unlock(&elsewhere->lock);
}

/* ---- Errands, on threads ---- */

static bool bring_named(struct errand *errand, const char *p, size_t n, uint64_t *n_bytes)
{
    char hash[BULK_HASH + 1];
    bool found;
    for (size_t at = 0, i = 0; i < HASHES_MAX && bulk_next_address(p, n, &at, hash); i++) {
        if (!transfer_get(errand->elsewhere->transfer, hash, &errand->give_up, &found, n_bytes,
                          &errand->err))
            return false;
    }
    return true;
}

/* Outputs that are too large for a lease are an artifact, which may name others. */
static bool bring_outputs(struct errand *errand, uint64_t *n_bytes)
{
    char hash[BULK_HASH + 1], address[ARTIFACT_ADDRESS_MAX], path[PATH_MAX_BYTES];
    struct artifact_store *store = transfer_store(errand->elsewhere->transfer);
    struct wire_bytes outputs = errand->outputs_artifact;
    struct buf text = {0};
    size_t at = 0;
    if (outputs.n == 0 || !bulk_next_address(outputs.p, outputs.n, &at, hash))
        return true;
    snprintf(address, sizeof address, "sha256:%s", hash);
    bool ok = true;
    if (artifact_path(store, address, path, sizeof path, NULL) && !path_is_folder(path) &&
        path_read(path, NX_CONTEXT_MAX, &text, NULL))
        ok = bring_named(errand, buf_text(&text), text.len, n_bytes);
    buf_fini(&text);
    return ok;
}

static void run_bring(struct errand *errand)
{
    uint64_t n_bytes = 0;
    bool ok = transfer_files(errand->elsewhere->transfer, errand->version, &errand->give_up,
                             &errand->err) &&
              bring_named(errand, buf_text(&errand->text), errand->text.len, &n_bytes) &&
              bring_outputs(errand, &n_bytes);
    if (ok)
        errand->err.code = NX_OK;
    if (n_bytes)
        grew(errand->elsewhere, n_bytes);
}

static void run_hand_over(struct errand *errand)
{
    struct elsewhere *elsewhere = errand->elsewhere;
    struct artifact_store *store = transfer_store(elsewhere->transfer);
    char hash[BULK_HASH + 1], address[ARTIFACT_ADDRESS_MAX];
    struct artifact_info info;
    uint64_t n_bytes = 0;
    size_t at = 0;
    bool ok = true;
    while (ok && bulk_next_address(buf_text(&errand->text), errand->text.len, &at, hash)) {
        snprintf(address, sizeof address, "sha256:%s", hash);
        if (!artifact_stat(store, address, &info, NULL))
            continue; /* it only looks like one, or was never here */
        n_bytes += info.n_bytes;
        ok = transfer_put(elsewhere->transfer, hash, &errand->give_up, &errand->err);
    }
    if (ok)
        errand->err.code = NX_OK;
    if (errand->log)
        spool_flush(elsewhere->spool, errand->log, FLUSH_MS, &errand->give_up);
    if (n_bytes)
        grew(elsewhere, n_bytes);
}

static void on_thread(uv_work_t *work)
{
    struct errand *errand = work->data;
    if (errand->kind == BRING)
        run_bring(errand);
    else
        run_hand_over(errand);
}

static void on_loop(uv_work_t *work, int status)
{
    struct errand *errand = work->data;
    if (errand->done && status == 0)
        errand->done(errand->arg, &errand->err);
    buf_fini(&errand->text);
    mem_free(errand);
}

/* ---- Errands, on the loop ---- */

static struct errand *errand_new(struct elsewhere *elsewhere, enum errand_kind kind,
                                 errand_done *done, void *arg)
{
    struct errand *errand = mem_alloc(sizeof *errand);
    errand->elsewhere = elsewhere;
    errand->kind = kind;
    errand->done = done;
    errand->arg = arg;
    errand->work.data = errand;
    return errand;
}

static void errand_start(struct errand *errand)
{
    must(uv_queue_work(errand->elsewhere->loop, &errand->work, on_thread, on_loop) == 0);
}

static bool names_something_missing(struct elsewhere *elsewhere, struct wire_bytes text)
{
    char hash[BULK_HASH + 1];
    for (size_t at = 0; bulk_next_address(text.p, text.n, &at, hash);) {
        if (!transfer_has(elsewhere->transfer, hash))
            return true;
    }
    return false;
}

struct errand *elsewhere_bring(struct elsewhere *elsewhere, const struct ledger_start *lease,
                               errand_done *done, void *arg)
{
    static const char head[] = "{\"artifact\":";
    const struct wire_bytes texts[] = {lease->order.outputs, lease->run, lease->definition};
    char folder[PATH_MAX_BYTES];
    struct wire_bytes outputs = lease->order.outputs;
    bool by_artifact = outputs.n > sizeof head && memcmp(outputs.p, head, sizeof head - 1) == 0;
    bool here = !by_artifact && transfer_knows_files(elsewhere->transfer, lease->order.version,
                                                     folder, sizeof folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        here = here && !names_something_missing(elsewhere, texts[i]);
    if (here)
        return NULL;
    struct errand *errand = errand_new(elsewhere, BRING, done, arg);
    errand->version = lease->order.version;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].n)
            buf_add(&errand->text, texts[i].p, texts[i].n);
        buf_char(&errand->text, '\n');
    }
    if (by_artifact)
        errand->outputs_artifact = wire_text(buf_text(&errand->text), outputs.n);
    errand_start(errand);
    return errand;
}

bool elsewhere_files(struct elsewhere *elsewhere, uint64_t version, char *to, size_t size)
{
    return transfer_knows_files(elsewhere->transfer, version, to, size);
}

struct errand *elsewhere_hand_over(struct elsewhere *elsewhere, struct wire_bytes outputs,
                                   struct spooled *log, errand_done *done, void *arg)
{
    char hash[BULK_HASH + 1];
    size_t at = 0;
    if (!log && !bulk_next_address(outputs.p, outputs.n, &at, hash))
        return NULL;
    struct errand *errand = errand_new(elsewhere, HAND_OVER, done, arg);
    errand->log = log;
    if (log)
        spool_hold(elsewhere->spool, log);
    if (outputs.n)
        buf_add(&errand->text, outputs.p, outputs.n);
    errand_start(errand);
    return errand;
}

void errand_drop(struct errand *errand)
{
    errand->done = NULL;
    atomic_store(&errand->give_up, true);
}

bool elsewhere_settled(struct elsewhere *elsewhere)
{
    return !elsewhere || spool_is_empty(elsewhere->spool);
}

struct spool *elsewhere_spool(struct elsewhere *elsewhere)
{
    return elsewhere->spool;
}

/* ---- Beginning and end ---- */

bool elsewhere_open(uv_loop_t *loop, const struct elsewhere_config *config, struct elsewhere **out,
                    struct nx_err *err)
{
    struct elsewhere *elsewhere = mem_alloc(sizeof *elsewhere);
    elsewhere->loop = loop;
    elsewhere->cache_max_bytes =
        config->cache_max_bytes > 0 ? config->cache_max_bytes : ELSEWHERE_CACHE_BYTES;
    elsewhere->cache_bytes = -1;
    pthread_mutex_init(&elsewhere->lock, NULL);
    if (!line_open(&config->line, &elsewhere->line, err) ||
        !transfer_open(config->home, elsewhere->line, config->line.session, &elsewhere->transfer,
                       err) ||
        !spool_open(config->home, elsewhere->line, &elsewhere->spool, err)) {
        elsewhere_stop(elsewhere);
        elsewhere_close(elsewhere);
        return false;
    }
    *out = elsewhere;
    return true;
}

void elsewhere_stop(struct elsewhere *elsewhere)
{
    if (!elsewhere)
        return;
    line_stop(elsewhere->line);
    spool_stop(elsewhere->spool);
}

void elsewhere_close(struct elsewhere *elsewhere)
{
    if (!elsewhere)
        return;
    spool_close(elsewhere->spool);
    transfer_close(elsewhere->transfer);
    line_close(elsewhere->line);
    pthread_mutex_destroy(&elsewhere->lock);
    mem_free(elsewhere);
}
