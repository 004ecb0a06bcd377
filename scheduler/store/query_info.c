#include "scheduler/store/query_info.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "nexus/limits.h"
#include "scheduler/store/query_scan.h"

#define CACHE_BYTES_MAX (128 * 1024 * 1024)

struct entry {
    struct dag_info info; /* first: a held info is its entry */
    struct arena arena;
    size_t n_bytes;
    unsigned n_holds; /* the cache's own not counted */
    uint64_t used;    /* when, by the cache's count */
    bool cached;
};

struct info_cache {
    pthread_mutex_t lock;
    struct map entries; /* id -> entry */
    size_t n_bytes;
    uint64_t count;
};

struct info_cache *info_cache_new(void)
{
    struct info_cache *cache = mem_alloc(sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    map_init(&cache->entries);
    return cache;
}

static void free_entry(struct entry *entry)
{
    map_fini(&entry->info.index);
    arena_fini(&entry->arena);
    mem_free(entry);
}

void info_cache_free(struct info_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->entries.n; i++) {
        struct entry *entry = cache->entries.at[i].value;
        must(entry->n_holds == 0);
        free_entry(entry);
    }
    map_fini(&cache->entries);
    pthread_mutex_destroy(&cache->lock);
    mem_free(cache);
}

const struct dag_info *info_cache_find(struct info_cache *cache, uint64_t id)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = map_get_num(&cache->entries, id);
    if (entry) {
        entry->n_holds++;
        entry->used = ++cache->count;
    }
    pthread_mutex_unlock(&cache->lock);
    return entry ? &entry->info : NULL;
}

void info_release(struct info_cache *cache, const struct dag_info *info)
{
    struct entry *entry = (struct entry *)(uintptr_t)info;
    pthread_mutex_lock(&cache->lock);
    must(entry->n_holds > 0);
    bool last = --entry->n_holds == 0 && !entry->cached;
    pthread_mutex_unlock(&cache->lock);
    if (last)
        free_entry(entry);
}

/* ---- From the stored JSON ---- */

static uint32_t count_list(struct scan scan)
{
    uint32_t n = 0;
    bool first = true;
    if (!scan_enter(&scan, '['))
        return 0;
    for (; scan_next(&scan, ']', &first); n++)
        scan_skip(&scan);
    return n;
}

static void read_names(struct scan *scan, struct arena *arena, const char ***names, uint32_t *n)
{
    bool first = true;
    *names = arena_array(arena, count_list(*scan), sizeof **names);
    if (!scan_enter(scan, '['))
        return;
    while (scan_next(scan, ']', &first)) {
        const char *name = scan_text(scan, arena);
        if (name)
            (*names)[(*n)++] = name;
    }
}

/* *needs: where the task's list begins, for later: it may name tasks that come after it. */
static void read_task(struct entry *entry, struct scan *scan, uint32_t index, const char **needs)
{
    struct info_task *task = &entry->info.tasks[index];
    struct arena *arena = &entry->arena;
    const char *rule = NULL;
    bool first = true;
    char key[16];
    *task = (struct info_task){.id = "", .queue = "default", .max_attempts = 1};
    scan->bad = scan->bad || !scan_enter(scan, '{');
    while (scan_next(scan, '}', &first)) {
        scan_key(scan, key, sizeof key);
        if (str_eq(key, "id"))
            task->id = scan_text(scan, arena);
        else if (str_eq(key, "uses"))
            task->uses = scan_text(scan, arena);
        else if (str_eq(key, "group"))
            task->group = scan_text(scan, arena);
        else if (str_eq(key, "pool"))
            task->pool = scan_text(scan, arena);
        else if (str_eq(key, "queue"))
            task->queue = scan_text(scan, arena);
        else if (str_eq(key, "trigger_rule"))
            rule = scan_text(scan, arena);
        else if (str_eq(key, "retries"))
            task->max_attempts = (uint32_t)scan_int(scan, 0) + 1;
        else if (str_eq(key, "finally"))
            entry->info.n_finally += task->finally = scan_true(scan);
        else if (str_eq(key, "if_each"))
            task->if_each = scan_true(scan);
        else if (str_eq(key, "map"))
            task->map = (uint32_t)scan_int(scan, 0);
        else if (str_eq(key, "consumes"))
            read_names(scan, arena, &task->consumes, &task->n_consumes);
        else if (str_eq(key, "if"))
            task->has_if = scan_text(scan, arena) != NULL;
        else if (str_eq(key, "depends_on_past"))
            task->depends_on_past = scan_true(scan);
        else {
            if (str_eq(key, "needs"))
                *needs = scan->p;
            scan_skip(scan);
        }
    }
    int found = rule ? nx_rule_find(rule) : -1;
    task->rule = found < 0 ? NX_TR_ALL_SUCCESS : (enum nx_trigger_rule)found;
    task->id = task->id ? task->id : "";
    task->queue = task->queue ? task->queue : "default";
    map_set(&entry->info.index, task->id, (void *)(uintptr_t)(index + 1));
}

static void read_needs(struct entry *entry, const char *list, uint32_t index)
{
    struct info_task *task = &entry->info.tasks[index];
    struct scan scan = {.p = list ? list : ""};
    uint32_t *needs = arena_array(&entry->arena, count_list(scan), sizeof *needs);
    bool first = true;
    char id[NX_ID_MAX + 1];
    task->needs = needs;
    if (!scan_enter(&scan, '['))
        return;
    while (scan_next(&scan, ']', &first)) {
        scan_word(&scan, id, sizeof id);
        int64_t found = info_find(&entry->info, id);
        if (found >= 0)
            needs[task->n_needs++] = (uint32_t)found;
    }
}

static bool read_tasks(struct entry *entry, struct scan *scan)
{
    struct dag_info *info = &entry->info;
    bool first = true;
    info->n_tasks = count_list(*scan);
    info->tasks = arena_array(&entry->arena, info->n_tasks, sizeof *info->tasks);
    const char **needs = mem_alloc_array(info->n_tasks, sizeof *needs);
    scan->bad = scan->bad || !scan_enter(scan, '[');
    for (uint32_t i = 0; scan_next(scan, ']', &first) && i < info->n_tasks; i++)
        read_task(entry, scan, i, &needs[i]);
    for (uint32_t i = 0; !scan->bad && i < info->n_tasks; i++)
        read_needs(entry, needs[i], i);
    mem_free(needs);
    return !scan->bad;
}

/* What spec_json wrote; see scheduler/dag/spec.h. */
static bool read_info(struct entry *entry, const char *text)
{
    struct scan scan = {.p = text};
    bool first = true, found = false;
    char key[16];
    scan.bad = !scan_enter(&scan, '{');
    while (!found && scan_next(&scan, '}', &first)) {
        scan_key(&scan, key, sizeof key);
        found = str_eq(key, "tasks") && !scan.bad;
        if (!found)
            scan_skip(&scan);
    }
    return found && read_tasks(entry, &scan);
}

/* With the lock held: makes room by dropping what nobody holds. */
static void drop_old(struct info_cache *cache)
{
    while (cache->n_bytes > CACHE_BYTES_MAX) {
        struct entry *oldest = NULL;
        for (size_t i = 0; i < cache->entries.n; i++) {
            struct entry *entry = cache->entries.at[i].value;
            if (!entry->n_holds && (!oldest || entry->used < oldest->used))
                oldest = entry;
        }
        if (!oldest)
            return;
        map_remove_num(&cache->entries, oldest->info.id);
        cache->n_bytes -= oldest->n_bytes;
        free_entry(oldest);
    }
}

const struct dag_info *info_cache_add(struct info_cache *cache, uint64_t id, int64_t number,
                                      const char *dag, const char *file, const char *info,
                                      int64_t created_ms, struct nx_err *err)
{
    struct entry *entry = mem_alloc(sizeof *entry);
    arena_init(&entry->arena);
    map_init(&entry->info.index);
    entry->info.id = id;
    entry->info.number = number;
    entry->info.created_ms = created_ms;
    entry->info.dag = arena_strdup(&entry->arena, dag);
    entry->info.file = arena_strdup(&entry->arena, file);
    if (!read_info(entry, info)) {
        free_entry(entry);
        nx_fail(err, NX_E_DATA, "version %lld of DAG '%s' is damaged in the store",
                (long long)number, dag);
        return NULL;
    }
    entry->n_bytes = entry->arena.n_bytes + entry->info.n_tasks * 64;
    entry->n_holds = 1;
    pthread_mutex_lock(&cache->lock);
    entry->used = ++cache->count;
    if (!map_get_num(&cache->entries, id)) { /* else another thread was faster */
        entry->cached = true;
        cache->n_bytes += entry->n_bytes;
        map_set_num(&cache->entries, id, entry);
        drop_old(cache);
    }
    pthread_mutex_unlock(&cache->lock);
    return &entry->info;
}

int64_t info_find(const struct dag_info *info, const char *task)
{
    return (int64_t)(uintptr_t)map_get(&info->index, task) - 1;
}

void info_above(const struct dag_info *info, uint32_t task, bool *above)
{
    VEC(uint32_t) todo = {0};
    above[task] = true;
    vec_push(&todo, task);
    while (todo.n) {
        const struct info_task *one = &info->tasks[vec_pop(&todo)];
        for (uint32_t i = 0; i < one->n_needs; i++) {
            if (above[one->needs[i]])
                continue;
            above[one->needs[i]] = true;
            vec_push(&todo, one->needs[i]);
        }
    }
    vec_fini(&todo);
}
