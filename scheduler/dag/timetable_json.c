#include "scheduler/dag/timetable_json.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "lib/text/zone_file.h"
#include "nexus/limits.h"

struct zones {
    pthread_mutex_t lock;
    struct map by_name;
};

struct zones *zones_new(void)
{
    struct zones *zones = mem_alloc(sizeof *zones);
    pthread_mutex_init(&zones->lock, NULL);
    return zones;
}

void zones_free(struct zones *zones)
{
    if (!zones)
        return;
    for (size_t i = 0; i < zones->by_name.n; i++)
        zone_free(zones->by_name.at[i].value);
    map_fini(&zones->by_name);
    pthread_mutex_destroy(&zones->lock);
    mem_free(zones);
}

bool zones_get(struct zones *zones, const char *name, const struct zone **zone, struct nx_err *err)
{
    struct zone *found = NULL;
    bool ok = true;
    *zone = NULL;
    if (str_eq(name, "UTC"))
        return true;
    pthread_mutex_lock(&zones->lock);
    found = map_get(&zones->by_name, name);
    if (!found) {
        ok = zone_file_load(zone_file_folder(), name, &found, err);
        if (ok && found)
            map_set(&zones->by_name, name, found);
    }
    pthread_mutex_unlock(&zones->lock);
    *zone = found;
    return ok;
}

uint64_t timetable_seed(const char *dag)
{
    return hash_bytes(dag, strlen(dag), 0x6e78);
}

static bool read_entry(const json_t *json, uint64_t seed, struct timetable_entry *entry,
                       struct nx_err *err)
{
    const char *cron = js_get_text(json, "cron", NULL);
    const json_t *datasets = json_object_get(json, "dataset");
    entry->every_ms = js_get_int(json, "every_ms", 0);
    entry->at_ms = js_get_int(json, "at_ms", 0);
    if (!str_copy(entry->key, sizeof entry->key, js_get_text(json, "key", "")))
        return nx_fail(err, NX_E_LIMIT, "an entry of the schedule is too long");
    entry->kind = datasets                              ? TIMETABLE_DATASET
                  : cron                                ? TIMETABLE_CRON
                  : entry->every_ms                     ? TIMETABLE_EVERY
                  : json_object_get(json, "at_ms")      ? TIMETABLE_AT
                  : json_object_get(json, "continuous") ? TIMETABLE_CONTINUOUS
                                                        : TIMETABLE_ONCE;
    entry->all = js_get_bool(json, "all", true);
    for (size_t i = 0; i < json_array_size(datasets) && i < NX_TASK_DATASETS_MAX; i++)
        timetable_add_dataset(entry, json_string_value(json_array_get(datasets, i)));
    return !cron || cron_parse(cron, seed, &entry->cron, NULL, NULL, err);
}

static enum timetable_catchup read_catchup(const char *text)
{
    return str_eq(text, "true")     ? TIMETABLE_CATCHUP_TRUE
           : str_eq(text, "latest") ? TIMETABLE_CATCHUP_LATEST
           : str_eq(text, "window") ? TIMETABLE_CATCHUP_WINDOW
                                    : TIMETABLE_CATCHUP_FALSE;
}

bool timetable_read(const char *text, const char *dag, struct zones *zones, struct timetable **out,
                    struct nx_err *err)
{
    json_t *json = js_read(text, strlen(text), "the timetable", err);
    if (!json)
        return false;
    const json_t *entries = json_object_get(json, "entries");
    struct timetable *timetable = timetable_new((uint32_t)json_array_size(entries));
    timetable->seed = timetable_seed(dag);
    timetable->start_ms = js_get_int(json, "start_ms", TIMETABLE_NEVER);
    timetable->end_ms = js_get_int(json, "end_ms", INT64_MAX);
    timetable->jitter_ms = js_get_int(json, "jitter_ms", 0);
    timetable->catchup = read_catchup(js_get_text(json, "catchup", "false"));
    timetable->catchup_ms = js_get_int(json, "catchup_ms", 0);
    timetable->overlap = (enum timetable_overlap)js_get_int(json, "overlap", 0);
    bool ok = zones_get(zones, js_get_text(json, "timezone", "UTC"), &timetable->zone, err);
    for (uint32_t i = 0; ok && i < timetable->n; i++)
        ok = read_entry(json_array_get(entries, i), timetable->seed, &timetable->entries[i], err);
    json_decref(json);
    if (ok)
        *out = timetable;
    else
        timetable_release(timetable);
    return ok;
}
