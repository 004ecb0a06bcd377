/* See retention.h. An artifact goes a day after it was put (or put again) when no output and no
 * param of a run names it. What is named is found by reading all of them; what was written
 * meanwhile, by runs that had not ended or are new, is read once more just before anything goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/artifact/artifact.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/wire/paths.h"
#include "scheduler/retention.h"
#include "scheduler/store/retention.h"

#define GRACE_MS 86400000ll
#define RUNS_A_QUERY 20
#define QUERY_MS 10000

/* ---- What is named ---- */

/* The first 64 bits of each address: two that share them only keep each other. */
struct named {
    VEC(uint64_t) list;
    bool sorted;
};

static uint64_t short_of(const char *address)
{
    char digits[17];
    memcpy(digits, address + strlen("sha256:"), 16);
    digits[16] = 0;
    return strtoull(digits, NULL, 16);
}

static void add_name(void *arg, const char *address)
{
    struct named *named = arg;
    vec_push(&named->list, short_of(address));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_names(struct named *named)
{
    if (named->list.n)
        qsort(named->list.at, named->list.n, sizeof *named->list.at, by_value);
}

static bool is_named(void *arg, const char *address)
{
    struct named *named = arg;
    uint64_t wanted = short_of(address);
    return named->list.n && bsearch(&wanted, named->list.at, named->list.n, sizeof *named->list.at,
                                    by_value) != NULL;
}

/* Few runs at a time, each time with a snapshot of its own, so that no reader pins the log. */
static bool read_names(struct retaining_work *work, struct query_pool *pool, uint64_t from,
                       uint64_t to, struct named *named, struct nx_err *err)
{
    for (; from <= to; from += RUNS_A_QUERY) {
        uint64_t last = to - from < RUNS_A_QUERY ? to : from + RUNS_A_QUERY - 1;
        if (atomic_load(&work->cancelled))
            return nx_fail(err, NX_E_CANCELLED, "the scheduler is stopping");
        struct query *query = query_begin(pool, err);
        bool ok = query && query_artifact_names(query, from, last, add_name, named, err);
        query_end(query);
        if (!ok)
            return false;
    }
    return true;
}

static bool find_bounds(struct query_pool *pool, uint64_t *highest, uint64_t *unfinished,
                        struct nx_err *err)
{
    struct query *query = query_begin(pool, err);
    bool ok = query && query_run_bounds(query, highest, unfinished, err);
    query_end(query);
    return ok;
}

static bool read_all_names(struct retaining_work *work, struct query_pool *pool,
                           struct named *named, struct nx_err *err)
{
    uint64_t highest, unfinished, later, unused;
    if (!find_bounds(pool, &highest, &unfinished, err) ||
        !read_names(work, pool, 1, highest, named, err) ||
        !find_bounds(pool, &later, &unused, err) ||
        !read_names(work, pool, unfinished, later, named, err))
        return false;
    sort_names(named);
    return true;
}

/* ---- Artifacts ---- */

static bool stop_at_old(void *arg, const char *address, int64_t put_wall_ms)
{
    bool *found = arg;
    (void)address;
    *found = put_wall_ms < clock_wall_ms() - GRACE_MS;
    return !*found;
}

static bool sweep(struct retaining_work *work, struct nx_err *err)
{
    char root[PATH_MAX_BYTES], db[PATH_MAX_BYTES];
    struct artifact_store *store = NULL;
    struct query_pool *pool;
    struct named named = {0};
    uint64_t n = 0;
    bool any = false;
    if (!path_join(root, sizeof root, work->home, "artifacts") ||
        !path_join(db, sizeof db, work->home, "nexus.db"))
        return nx_fail(err, NX_E_LIMIT, "the path of the home is too long");
    if (!path_exists(root))
        return true;
    pool = query_pool_new(db, QUERY_MS);
    bool ok = artifact_open(root, &store, err) && artifact_list(store, stop_at_old, &any, err);
    if (ok && any)
        ok = read_all_names(work, pool, &named, err) &&
             artifact_sweep(store, clock_wall_ms() - GRACE_MS, is_named, &named, &n, err);
    if (n)
        log_info("retention: %llu artifacts that nothing names are gone", (unsigned long long)n);
    artifact_close(store);
    query_pool_free(pool);
    vec_fini(&named.list);
    return ok;
}

/* ---- Logs ---- */

static bool remove_logs(const struct retaining_work *work, uint64_t run)
{
    char path[PATH_MAX_BYTES];
    struct nx_err err;
    if (!run_logs_path(path, sizeof path, work->home, run) || path_remove_tree(path, &err))
        return true;
    log_warn("retention: %s", err.text);
    return false;
}

static void remove_all(struct retaining_work *work)
{
    size_t n = 0;
    for (size_t i = 0; i < work->logs.n && !atomic_load(&work->cancelled); i++)
        remove_logs(work, work->logs.at[i]);
    for (size_t i = 0; i < work->bare.n && !atomic_load(&work->cancelled); i++) {
        if (remove_logs(work, work->bare.at[i]))
            work->bare.at[n++] = work->bare.at[i];
    }
    work->bare.n = n;
}

static void *do_work(void *arg)
{
    struct retaining_work *work = arg;
    struct nx_err err;
    remove_all(work);
    if (work->sweep && !sweep(work, &err) && err.code != NX_E_CANCELLED)
        log_warn("retention of artifacts: %s", err.text);
    atomic_store(&work->done, true);
    return NULL;
}

struct retaining_work *retaining_work_new(const char *home, bool with_artifacts)
{
    struct retaining_work *work = mem_alloc(sizeof *work);
    snprintf(work->home, sizeof work->home, "%s", home);
    work->sweep = with_artifacts;
    return work;
}

void retaining_work_start(struct retaining_work *work)
{
    must(pthread_create(&work->thread, NULL, do_work, work) == 0);
}

bool retaining_work_done(struct retaining_work *work)
{
    return atomic_load(&work->done);
}

void retaining_work_free(struct retaining_work *work, bool cancel)
{
    if (cancel)
        atomic_store(&work->cancelled, true);
    pthread_join(work->thread, NULL);
    vec_fini(&work->logs);
    vec_fini(&work->bare);
    mem_free(work);
}
