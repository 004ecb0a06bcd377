#include "scheduler/store/query_info.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

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

static const char *keep(struct entry *entry, const json_t *object, const char *key)
{
    const char *text = js_get_text(object, key, NULL);
    return text ? arena_strdup(&entry->arena, text) : NULL;
}

static void read_task(struct entry *entry, const json_t *json, uint32_t index)
{
    struct info_task *task = &entry->info.tasks[index];
    int rule = nx_rule_find(js_get_text(json, "trigger_rule", "all_success"));
    const char *queue = keep(entry, json, "queue");
    task->id = arena_strdup(&entry->arena, js_get_text(json, "id", ""));
    task->uses = keep(entry, json, "uses");
    task->pool = keep(entry, json, "pool");
    task->queue = queue ? queue : "default";
    task->rule = rule < 0 ? NX_TR_ALL_SUCCESS : (enum nx_trigger_rule)rule;
    task->max_attempts = (uint32_t)js_get_int(json, "retries", 0) + 1;
    task->finally = js_get_bool(json, "finally", false);
    task->has_if = js_get_text(json, "if", NULL) != NULL;
    map_set(&entry->info.index, task->id, (void *)(uintptr_t)(index + 1));
}

static void read_needs(struct entry *entry, const json_t *json, uint32_t index)
{
    struct info_task *task = &entry->info.tasks[index];
    const json_t *list = json_object_get(json, "needs");
    size_t n = json_array_size(list);
    uint32_t *needs = arena_array(&entry->arena, n, sizeof *needs);
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_array_get(list, i));
        int64_t found = id ? info_find(&entry->info, id) : -1;
        if (found >= 0)
            needs[task->n_needs++] = (uint32_t)found;
    }
    task->needs = needs;
}

static void read_info(struct entry *entry, const json_t *json)
{
    const json_t *tasks = json_object_get(json, "tasks");
    struct dag_info *info = &entry->info;
    info->n_tasks = (uint32_t)json_array_size(tasks);
    info->tasks = arena_array(&entry->arena, info->n_tasks, sizeof *info->tasks);
    for (uint32_t i = 0; i < info->n_tasks; i++)
        read_task(entry, json_array_get(tasks, i), i);
    for (uint32_t i = 0; i < info->n_tasks; i++)
        read_needs(entry, json_array_get(tasks, i), i);
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
    json_t *json = js_read(info, strlen(info), "the stored DAG version", err);
    if (!json)
        return NULL;
    struct entry *entry = mem_alloc(sizeof *entry);
    arena_init(&entry->arena);
    map_init(&entry->info.index);
    entry->info.id = id;
    entry->info.number = number;
    entry->info.created_ms = created_ms;
    entry->info.dag = arena_strdup(&entry->arena, dag);
    entry->info.file = arena_strdup(&entry->arena, file);
    read_info(entry, json);
    json_decref(json);
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
