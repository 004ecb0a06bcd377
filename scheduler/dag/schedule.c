/* `schedule` and what goes with it: from YAML to the timetable's text (see timetable_json.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/text/json.h"
#include "lib/text/zone_file.h"
#include "nexus/limits.h"
#include "scheduler/dag/reader.h"
#include "scheduler/dag/timetable_json.h"
#include "scheduler/graph/timetable.h"

#define EVERY_MIN_MS 1000
#define EVERY_MAX_MS (366ll * 86400000)

struct schedule {
    struct zone *zone;
    json_t *entries, *texts;
    int64_t start_ms, end_ms; /* as a timetable has them */
    int64_t gap_ms;           /* the shortest time between two fires of an entry; 0: unknown */
    struct texts {
        VEC(const char *) list;
    } starts; /* datasets */
};

static struct problem *warn(struct reader *r, const struct yaml_node *node, size_t offset,
                            const char *text)
{
    int line, column;
    yaml_place(node, offset, &line, &column);
    return problem_add(r->problems, PROBLEM_WARNING, yaml_file(node), line, column, "%s", text);
}

/* ---- Zone, start, end ---- */

static void read_zone(struct reader *r, struct schedule *schedule)
{
    const struct yaml_node *node = yaml_get(r->root, "timezone");
    struct nx_err err;
    if (node && r->spec->timezone &&
        !zone_file_load(zone_file_folder(), r->spec->timezone, &schedule->zone, &err))
        read_problem(r, node, "timezone", "cannot be used: %s", err.text);
}

static bool read_instant(struct reader *r, const struct schedule *schedule, const char *key,
                         int64_t *ms, bool *is_date)
{
    const struct yaml_node *node = yaml_get(r->root, key);
    if (!node)
        return false;
    if (node->kind == YAML_KIND_SCALAR &&
        timetable_parse_time(schedule->zone, node->text, ms, is_date))
        return true;
    bool text = node->kind == YAML_KIND_SCALAR && !yaml_is_null(node);
    problem_hint(r->problems,
                 read_problem(r, node, key, "must be a date or a time, not %.64s",
                              text ? node->text : yaml_type_name(node)),
                 "2001-01-31, 2001-01-31T03:00 (local to the timezone), 2001-01-31T03:00Z");
    return false;
}

static void read_bounds(struct reader *r, struct schedule *schedule, json_t *to)
{
    int64_t start = TIMETABLE_NEVER, end = INT64_MAX;
    bool is_date = false;
    if (read_instant(r, schedule, "start", &start, &is_date))
        json_object_set_new(to, "start_ms", json_integer(start));
    if (read_instant(r, schedule, "end", &end, &is_date)) {
        if (is_date)
            end = timetable_day_end(schedule->zone, end);
        json_object_set_new(to, "end_ms", json_integer(end));
    }
    if (end < start) {
        read_problem(r, yaml_get(r->root, "end"), "end",
                     "(%.64s) is before start (%.64s): it would never run",
                     yaml_get(r->root, "end")->text, yaml_get(r->root, "start")->text);
        return; /* of the entries nothing is said then */
    }
    schedule->start_ms = start;
    schedule->end_ms = end;
}

static void read_catchup(struct reader *r, json_t *to)
{
    const struct yaml_node *node = yaml_get(r->root, "catchup");
    const char *mode = "false";
    int64_t window = 0;
    bool on;
    if (node && yaml_bool(node, &on))
        mode = on ? "true" : "false";
    else if (node && node->kind == YAML_KIND_SCALAR && str_eq(node->text, "latest"))
        mode = "latest";
    else if (node && node->kind == YAML_KIND_SCALAR && str_parse_duration(node->text, &window) &&
             window > 0)
        mode = "window";
    else if (node)
        read_problem(r, node, "catchup",
                     "must be false, true, latest or a duration such as 6h, not %s",
                     node->kind == YAML_KIND_SCALAR ? node->text : yaml_type_name(node));
    json_object_set_new(to, "catchup", json_string(mode));
    if (window)
        json_object_set_new(to, "catchup_ms", json_integer(window));
}

/* ---- Entries ---- */

static void add_entry(struct schedule *schedule, const char *kind, json_t *value, const char *text)
{
    json_t *entry = json_object();
    json_object_set_new(entry, kind, value);
    json_object_set_new(entry, "key", json_string(text));
    json_array_append_new(schedule->entries, entry);
    json_array_append_new(schedule->texts, json_string(text));
}

/* Some of its fires are enough: they repeat. */
static void note_cron_gap(struct schedule *schedule, const struct cron *cron)
{
    int64_t at_ms = 1704067200000, before_ms; /* 2024-01-01, a leap year */
    for (int i = 0; i < 100; i++) {
        before_ms = at_ms;
        if (!cron_next(cron, NULL, before_ms, &at_ms))
            return;
        if (i > 0 && (!schedule->gap_ms || at_ms - before_ms < schedule->gap_ms))
            schedule->gap_ms = at_ms - before_ms;
    }
}

/* A data interval has to begin within the bounds. */
static void check_cron_bounds(struct reader *r, const struct schedule *schedule,
                              const struct yaml_node *node, const struct cron *cron)
{
    int64_t first;
    char when[TIME_TEXT_MAX];
    if (schedule->start_ms == TIMETABLE_NEVER || schedule->end_ms == INT64_MAX ||
        !cron_next(cron, schedule->zone, schedule->start_ms - 1, &first) ||
        first <= schedule->end_ms)
        return;
    read_problem(r, node, "schedule",
                 "never fires: none of its data intervals begins between start and end, the next "
                 "one only at %s",
                 time_format(when, first));
}

static void read_cron(struct reader *r, struct schedule *schedule, const struct yaml_node *node)
{
    struct cron cron;
    struct cron_warnings warnings = {0};
    struct nx_err err;
    size_t offset = 0;
    uint64_t seed = timetable_seed(r->spec->id ? r->spec->id : "");
    if (!cron_parse(node->text, seed, &cron, &warnings, &offset, &err)) {
        yaml_problem_at(r->problems, node, offset, "'schedule': %s", err.text);
        return;
    }
    for (size_t i = 0; i < warnings.n; i++)
        warn(r, node, warnings.at[i].offset, warnings.at[i].text);
    note_cron_gap(schedule, &cron);
    check_cron_bounds(r, schedule, node, &cron);
    add_entry(schedule, "cron", json_string(node->text), node->text);
}

static void read_every(struct reader *r, struct schedule *schedule, const struct yaml_node *node)
{
    char text[64] = "every ", span[48];
    int64_t ms;
    if (node->kind != YAML_KIND_SCALAR || !str_parse_duration(node->text, &ms)) {
        read_problem(r, node, "every", "must be a duration such as 10s, 15m or 1h30m");
        return;
    }
    if (ms < EVERY_MIN_MS || ms > EVERY_MAX_MS) {
        read_problem(r, node, "every", "must be at least 1s and at most 366 days, not %.40s",
                     node->text);
        return;
    }
    if (!schedule->gap_ms || ms < schedule->gap_ms)
        schedule->gap_ms = ms;
    str_format_duration(span, sizeof span, ms);
    str_copy(text + strlen(text), sizeof text - strlen(text), span);
    add_entry(schedule, "every_ms", json_integer(ms), text);
}

static void read_at(struct reader *r, struct schedule *schedule, const struct yaml_node *node)
{
    char text[64] = "at ", *end = text + strlen(text);
    int64_t ms;
    bool is_date;
    if (node->kind != YAML_KIND_SCALAR ||
        !timetable_parse_time(schedule->zone, node->text, &ms, &is_date)) {
        read_problem(r, node, "at", "must be a date or a time such as 2026-12-24T18:00");
        return;
    }
    if (ms < schedule->start_ms || ms > schedule->end_ms) {
        bool early = ms < schedule->start_ms;
        read_problem(r, node, "at", "is %s (%.64s): it would never fire",
                     early ? "before start" : "after end",
                     yaml_get(r->root, early ? "start" : "end")->text);
        return;
    }
    time_format(end, ms);
    add_entry(schedule, "at_ms", json_integer(ms), text);
}

static void read_text_entry(struct reader *r, struct schedule *schedule,
                            const struct yaml_node *node)
{
    if (yaml_type(node) != YAML_TYPE_STRING)
        read_problem(r, node, "schedule", "must be a cron expression, not %s",
                     yaml_type_name(node));
    else if (str_eq(node->text, "@once"))
        add_entry(schedule, "once", json_true(), "@once");
    else if (str_eq(node->text, "@continuous"))
        add_entry(schedule, "continuous", json_true(), "@continuous");
    else
        read_cron(r, schedule, node);
}

/* ---- Datasets ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One and the same entry in whatever order its names stand; a long list is told by a hash. */
static void dataset_key(const struct dataset_names *names, bool all, char *key, size_t size)
{
    uint64_t hash = all;
    if (names->n == 1) {
        snprintf(key, size, "dataset %s", names->at[0]);
        return;
    }
    const char *sorted[NX_TASK_DATASETS_MAX];
    memcpy(sorted, names->at, names->n * sizeof *sorted);
    qsort(sorted, names->n, sizeof *sorted, by_text);
    for (uint32_t i = 0; i < names->n; i++)
        hash = hash_bytes(sorted[i], strlen(sorted[i]) + 1, hash);
    snprintf(key, size, "dataset %s %016llx", all ? "all" : "any", (unsigned long long)hash);
}

static void add_datasets(struct reader *r, struct schedule *schedule, const struct yaml_node *node,
                         const char *key)
{
    struct dataset_names names = {0};
    bool all = !str_eq(key, "any");
    char id[TIMETABLE_KEY_MAX];
    struct buf text;
    read_datasets(r, node, key, &names);
    if (!names.n)
        return;
    json_t *list = json_array(), *entry = json_object();
    buf_init(&text);
    buf_printf(&text, "dataset %s", names.n == 1 ? "" : all ? "all of " : "any of ");
    for (uint32_t i = 0; i < names.n; i++) {
        json_array_append_new(list, json_string(names.at[i]));
        buf_printf(&text, "%s%s", i ? ", " : "", names.at[i]);
        vec_push(&schedule->starts.list, names.at[i]);
    }
    dataset_key(&names, all, id, sizeof id);
    json_object_set_new(entry, "dataset", list);
    json_object_set_new(entry, "all", json_boolean(all));
    json_object_set_new(entry, "key", json_string(id));
    json_array_append_new(schedule->entries, entry);
    json_array_append_new(schedule->texts, json_string(buf_text(&text)));
    buf_fini(&text);
}

static void read_dataset(struct reader *r, struct schedule *schedule, const struct yaml_node *node)
{
    if (node->kind == YAML_KIND_SCALAR && !yaml_is_null(node)) {
        add_datasets(r, schedule, node, "dataset");
        return;
    }
    bool fine =
        node->kind == YAML_KIND_MAP && node->n == 1 &&
        (str_eq(node->pairs[0].key->text, "all") || str_eq(node->pairs[0].key->text, "any"));
    if (fine && !yaml_is_null(node->pairs[0].value))
        add_datasets(r, schedule, node->pairs[0].value, node->pairs[0].key->text);
    else
        problem_hint(r->problems,
                     read_problem(r, node, "dataset",
                                  node->kind == YAML_KIND_LIST
                                      ? "must say whether it waits for all of them or for any"
                                      : "must be a name, or one of all and any with a list"),
                     "{dataset: flights}, {dataset: {all: [a, b]}}, {dataset: {any: [a, b]}}");
}

static void read_entry(struct reader *r, struct schedule *schedule, const struct yaml_node *node)
{
    static const char *const names[] = {"every", "at", "cron", "dataset", "drift"};
    if (node->kind == YAML_KIND_SCALAR) {
        read_text_entry(r, schedule, node);
        return;
    }
    if (node->kind != YAML_KIND_MAP || node->n != 1) {
        problem_hint(r->problems,
                     read_problem(r, node, "schedule",
                                  "must be a cron expression or one of every, at, cron, dataset"),
                     "'0 3 * * *', '@daily', {every: 15m}, {at: 2026-12-24T18:00}, {dataset: "
                     "flights}, or a list");
        return;
    }
    const char *name = node->pairs[0].key->text;
    const struct yaml_node *value = node->pairs[0].value;
    if (str_eq(name, "every")) {
        read_every(r, schedule, value);
    } else if (str_eq(name, "at")) {
        read_at(r, schedule, value);
    } else if (str_eq(name, "cron")) {
        read_text_entry(r, schedule, value);
    } else if (str_eq(name, "dataset")) {
        read_dataset(r, schedule, value);
    } else if (str_eq(name, "drift")) {
        problem_hint(r->problems,
                     yaml_problem(r->problems, node->pairs[0].key,
                                  "a schedule by '%s' is not yet supported", name),
                     "leave it out");
    } else {
        const char *nearest = str_nearest(name, (const char *const *)names, 5);
        problem_hint(
            r->problems,
            yaml_problem(r->problems, node->pairs[0].key, "'schedule' knows no '%.64s'", name),
            nearest ? "did you mean '%s'?" : "it knows every, at, cron and dataset", nearest);
    }
}

/* Two equal entries would be one and the same run twice. */
static const json_t *key_of(const struct schedule *schedule, size_t i)
{
    return json_object_get(json_array_get(schedule->entries, i), "key");
}

static void check_twice(struct reader *r, const struct schedule *schedule,
                        const struct yaml_node *node)
{
    for (size_t i = 0; i < json_array_size(schedule->texts); i++) {
        for (size_t k = 0; k < i; k++) {
            if (json_equal(key_of(schedule, i), key_of(schedule, k)))
                read_problem(r, node, "schedule", "has '%s' twice",
                             json_string_value(json_array_get(schedule->texts, i)));
        }
    }
}

static void read_entries(struct reader *r, struct schedule *schedule, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_LIST) {
        read_entry(r, schedule, node);
        return;
    }
    if (node->n == 0)
        read_problem(r, node, "schedule", "is an empty list");
    else if (node->n > NX_SCHEDULES_MAX)
        read_problem(r, node, "schedule", "has more than %d entries", NX_SCHEDULES_MAX);
    else
        for (size_t i = 0; i < node->n; i++)
            read_entry(r, schedule, node->items[i]);
    check_twice(r, schedule, node);
}

/* Nobody is there to give a value when a schedule starts a run. */
static void check_params(struct reader *r, const struct yaml_node *node)
{
    const json_t *param;
    size_t i;
    json_array_foreach(r->spec->params, i, param)
    {
        if (js_get_bool(param, "required", false))
            problem_hint(r->problems,
                         yaml_problem(r->problems, node,
                                      "a scheduled DAG cannot have the required param '%s'",
                                      js_get_text(param, "name", "?")),
                         "give it a default");
    }
}

/* Keys that do nothing: there is no schedule, or none that has fire times. */
static void warn_alone(struct reader *r, bool scheduled)
{
    static const char *const names[] = {"catchup", "jitter", "overlap", "start", "end"};
    for (size_t i = 0; i < (scheduled ? 2 : sizeof names / sizeof *names); i++) {
        struct yaml_node *node = yaml_get(r->root, names[i]);
        char text[96];
        if (!node)
            continue;
        snprintf(text, sizeof text, "'%s' means nothing %s", names[i],
                 scheduled ? "where datasets or the end of the last run start runs"
                           : "without a schedule");
        warn(r, node, 0, text);
    }
}

/* Starts that are late by more than the time between two of them come in heaps. */
static void check_jitter(struct reader *r, const struct schedule *schedule)
{
    char jitter[48], gap[48], text[192];
    if (!schedule->gap_ms || r->spec->jitter_ms <= schedule->gap_ms)
        return;
    str_format_duration(jitter, sizeof jitter, r->spec->jitter_ms);
    str_format_duration(gap, sizeof gap, schedule->gap_ms);
    snprintf(text, sizeof text,
             "'jitter' (%s) is longer than the %s between two starts: some will come together",
             jitter, gap);
    warn(r, yaml_get(r->root, "jitter"), 0, text);
}

static void keep_starts(struct reader *r, struct schedule *schedule)
{
    size_t n = schedule->starts.list.n, n_timeless = 0;
    r->spec->starts = arena_dup(&r->spec->arena, schedule->starts.list.at, n * sizeof(char *));
    r->spec->n_starts = n;
    vec_fini(&schedule->starts.list);
    for (size_t i = 0; i < json_array_size(schedule->entries); i++) {
        const json_t *entry = json_array_get(schedule->entries, i);
        n_timeless += json_object_get(entry, "dataset") || json_object_get(entry, "continuous");
    }
    if (n_timeless && n_timeless == json_array_size(schedule->entries))
        warn_alone(r, true);
}

void read_schedule(struct reader *r)
{
    const struct yaml_node *node = yaml_get(r->root, "schedule");
    struct schedule schedule = {.entries = json_array(),
                                .texts = json_array(),
                                .start_ms = TIMETABLE_NEVER,
                                .end_ms = INT64_MAX};
    json_t *timetable = json_object();
    read_zone(r, &schedule);
    read_bounds(r, &schedule, timetable);
    read_catchup(r, timetable);
    if (node && !yaml_is_null(node)) {
        read_entries(r, &schedule, node);
        check_params(r, node);
        check_jitter(r, &schedule);
    } else {
        warn_alone(r, false);
    }
    keep_starts(r, &schedule);
    json_object_set_new(timetable, "timezone",
                        json_string(r->spec->timezone ? r->spec->timezone : "UTC"));
    json_object_set_new(timetable, "jitter_ms", json_integer(r->spec->jitter_ms));
    json_object_set_new(timetable, "overlap", json_integer(r->spec->overlap));
    json_object_set(timetable, "entries", schedule.entries);
    if (json_array_size(schedule.entries)) {
        char *text = js_text(timetable);
        r->spec->timetable = keep(r, text);
        mem_free(text);
    }
    r->spec->schedules = json_incref(schedule.texts);
    json_decref(timetable);
    json_decref(schedule.entries);
    json_decref(schedule.texts);
    zone_free(schedule.zone);
}
