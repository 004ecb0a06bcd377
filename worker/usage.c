#include "worker/usage.h"

#include <string.h>
#include <sys/resource.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/* Looks are from tick to tick of the slots, so a record may come this much early. */
#define EARLY_MS 150

bool usage_meter_take(struct usage_meter *meter, int64_t wall_ms, int64_t age_ms,
                      const struct usage_seen *seen, struct usage_record *record)
{
    int64_t span = age_ms - meter->age_ms;
    if (!meter->begun) {
        *meter = (struct usage_meter){.begun = true, .age_ms = age_ms, .cpu_us = seen->cpu_us};
        return false;
    }
    if (span <= 0 || span < usage_interval_ms(age_ms) - EARLY_MS)
        return false;
    int64_t used = seen->cpu_us > meter->cpu_us ? seen->cpu_us - meter->cpu_us : 0;
    *record = (struct usage_record){.at_ms = wall_ms,
                                    .age_ms = age_ms,
                                    .span_ms = span < UINT32_MAX ? (uint32_t)span : UINT32_MAX,
                                    .n_processes = seen->n_processes,
                                    .rss_bytes = seen->rss_bytes,
                                    .cpu_us = used};
    bool less = seen->cpu_us < meter->cpu_us;
    meter->cpu_us = less && meter->less ? seen->cpu_us : meter->cpu_us + used;
    meter->less = less;
    meter->age_ms = age_ms;
    return true;
}

/* ---- Looks ---- */

struct target {
    uint32_t slot;
    uint64_t ticket;
    pid_t pid;
    char mark[MARK_MAX];
    struct usage_seen seen;
};

struct usage_looks {
    uv_work_t work;
    uv_loop_t *loop;
    char prefix[MARK_MAX];
    usage_told *tell;
    void *arg;
    VEC(struct target) targets;
    bool under_way, freed;
    int64_t started_ms, next_ms; /* mono */
    int64_t took_us;             /* of a processor; on a busy machine that is less than the time */
};

struct usage_looks *usage_looks_new(uv_loop_t *loop, const char *prefix, usage_told *tell,
                                    void *arg)
{
    struct usage_looks *looks = mem_alloc(sizeof *looks);
    must(str_copy(looks->prefix, sizeof looks->prefix, prefix));
    looks->loop = loop;
    looks->work.data = looks;
    looks->tell = tell;
    looks->arg = arg;
    return looks;
}

static void end(struct usage_looks *looks)
{
    vec_fini(&looks->targets);
    mem_free(looks);
}

void usage_looks_free(struct usage_looks *looks)
{
    looks->freed = true;
    if (!looks->under_way)
        end(looks);
}

bool usage_looks_due(const struct usage_looks *looks, int64_t now_ms)
{
    return !looks->under_way && now_ms >= looks->next_ms;
}

void usage_looks_add(struct usage_looks *looks, uint32_t slot, uint64_t ticket, pid_t pid,
                     const char *mark)
{
    struct target target = {.slot = slot, .ticket = ticket, .pid = pid};
    must(!looks->under_way);
    if (str_copy(target.mark, sizeof target.mark, mark))
        vec_push(&looks->targets, target);
}

static void add(struct target *target, pid_t pid)
{
    struct process_use use;
    if (!process_use(pid, &use))
        return;
    target->seen.cpu_us += use.cpu_us;
    target->seen.rss_bytes += use.rss_bytes;
    target->seen.n_processes++;
}

static void add_marked(void *arg, pid_t pid, const char *mark, int64_t rss_bytes)
{
    struct target *target = map_get(arg, mark);
    (void)rss_bytes;
    if (target)
        add(target, pid);
}

static int64_t thread_cpu_us(void)
{
    struct rusage use;
    if (getrusage(RUSAGE_THREAD, &use) != 0)
        return 0;
    return ((int64_t)use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

static void look(uv_work_t *work)
{
    struct usage_looks *looks = work->data;
    struct map by_mark;
    int64_t before_us = thread_cpu_us();
    map_init(&by_mark);
    for (size_t i = 0; i < looks->targets.n; i++) {
        struct target *target = &looks->targets.at[i];
        map_set(&by_mark, target->mark, target);
        add(target, target->pid);
    }
    marks_each(looks->prefix, false, add_marked, &by_mark);
    map_fini(&by_mark);
    looks->took_us = thread_cpu_us() - before_us;
}

static void looked(uv_work_t *work, int status)
{
    struct usage_looks *looks = work->data;
    looks->under_way = false;
    if (looks->freed) {
        end(looks);
        return;
    }
    for (size_t i = 0; i < looks->targets.n && status == 0; i++) {
        const struct target *target = &looks->targets.at[i];
        looks->tell(looks->arg, target->slot, target->ticket, &target->seen);
    }
    looks->targets.n = 0;
    int64_t rest_ms = looks->took_us * USAGE_LOOK_SHARE / 1000;
    if (looks->started_ms + rest_ms > looks->next_ms)
        looks->next_ms = looks->started_ms + rest_ms;
}

void usage_looks_start(struct usage_looks *looks, int64_t now_ms)
{
    if (!looks->targets.n)
        return;
    looks->started_ms = now_ms;
    /* From tick to tick it would be 1.1 s, and every tenth second would have no record. */
    looks->next_ms = looks->next_ms + USAGE_EVERY_MS > now_ms ? looks->next_ms + USAGE_EVERY_MS
                                                              : now_ms + USAGE_EVERY_MS;
    looks->under_way = uv_queue_work(looks->loop, &looks->work, look, looked) == 0;
    if (!looks->under_way)
        looks->targets.n = 0;
}
