/* What a simulation is made of. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/home.h"
#include "cli/simulate.h"
#include "cli/validate.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define SOURCE_MAX (8 * 1024 * 1024)

void simulate_fini(struct simulate *s)
{
    for (size_t i = 0; i < s->dags.n; i++) {
        spec_free(s->dags.at[i].spec);
        graph_release(s->dags.at[i].graph);
        mem_free(s->dags.at[i].lists);
        timetable_release(s->dags.at[i].timetable);
        mem_free(s->dags.at[i].duration_ms);
    }
    vec_fini(&s->dags);
    vec_fini(&s->workers);
    vec_fini(&s->pools);
    zones_free(s->zones);
}

/* ---- DAGs ---- */

/* Whether --dag names it, or nothing was named. */
static bool chosen(const struct simulate *s, const char *id)
{
    bool any = false;
    for (size_t i = 0; i < s->cli->values.n; i++) {
        const struct cli_value *value = &s->cli->values.at[i];
        if (!str_eq(value->option->name, "dag"))
            continue;
        any = true;
        if (str_eq(value->text, id))
            return true;
    }
    return !any;
}

/* Takes the spec. */
static int add_dag(struct simulate *s, struct spec *spec)
{
    struct simulate_dag dag = {.spec = spec};
    struct nx_err err;
    int status = CLI_DONE;
    for (size_t i = 0; i < s->dags.n && !status; i++) {
        if (str_eq(s->dags.at[i].spec->id, spec->id))
            status = cli_fail(CLI_USAGE, "the DAG '%s' is in %s and in %s", spec->id,
                              s->dags.at[i].spec->file, spec->file);
    }
    for (uint32_t i = 0; i < spec->n_tasks; i++) {
        if (spec->tasks[i].wait != GRAPH_WAIT_CHOICE) /* which takes no time */
            spec->tasks[i].wait = GRAPH_WAIT_NONE;    /* a wait takes its time like a task */
    }
    if (!status && !spec_graph(spec, &dag.graph, &err))
        status = cli_fail_err(&err);
    if (!status && spec->timetable &&
        !timetable_read(spec->timetable, spec->id, s->zones, &dag.timetable, &err))
        status = cli_fail_err(&err);
    if (status) {
        graph_release(dag.graph);
        spec_free(spec);
        return status;
    }
    dag.lists = mem_alloc_array(spec->n_maps, sizeof *dag.lists);
    for (uint32_t i = 0; i < spec->n_maps; i++) {
        json_t *items = spec->maps[i].items ? json_loads(spec->maps[i].items, 0, NULL) : NULL;
        dag.lists[i] = items ? (uint32_t)json_array_size(items) : FORECAST_LIST_UNKNOWN;
        json_decref(items);
    }
    dag.duration_ms = mem_alloc_array(spec->n_tasks, sizeof *dag.duration_ms);
    for (uint32_t i = 0; i < spec->n_tasks; i++)
        dag.duration_ms[i] = -1;
    s->n_tasks += spec->n_tasks;
    vec_push(&s->dags, dag);
    return CLI_DONE;
}

/* The specs that are wanted become DAGs; all are taken. `only`: the one of that id; NULL: all. */
static int add_specs(struct simulate *s, struct spec **specs, size_t n, const char *only)
{
    int status = CLI_DONE;
    for (size_t i = 0; i < n; i++) {
        bool wanted = only ? str_eq(specs[i]->id, only) : chosen(s, specs[i]->id);
        if (wanted && !status)
            status = add_dag(s, specs[i]);
        else
            spec_free(specs[i]);
    }
    mem_free(specs);
    return status;
}

static int read_files(struct simulate *s)
{
    struct validate_files files = {0};
    struct problems problems;
    struct buf text = {0};
    json_t *catalog = validate_catalog();
    int status = CLI_DONE;
    problems_init(&problems);
    for (size_t i = 0; i < s->cli->n_args; i++) {
        if (path_is_folder(s->cli->args[i]))
            validate_find(&s->cli->arena, s->cli->args[i], &files);
        else
            vec_push(&files.found, s->cli->args[i]);
    }
    for (size_t i = 0; i < files.found.n && !status; i++) {
        struct spec **specs;
        size_t n;
        validate_file(files.found.at[i], catalog, &specs, &n, &problems);
        status = add_specs(s, specs, n, NULL);
    }
    if (!status && problems.n_errors) {
        validate_print(&problems, false, &text);
        status = cli_fail(CLI_FAILED, "not all of it can be used:\n%s", buf_text(&text));
    }
    buf_fini(&text);
    problems_fini(&problems);
    vec_fini(&files.found);
    json_decref(catalog);
    return status;
}

static bool add_bytes(void *arg, const char *p, size_t n)
{
    struct buf *text = arg;
    buf_add(text, p, n);
    return text->len <= SOURCE_MAX;
}

static int fetch_dag(struct simulate *s, const char *id, const char *file)
{
    struct buf text = {0};
    struct problems problems;
    struct spec **specs = NULL;
    struct nx_err err;
    size_t n = 0, before = s->dags.n;
    int status = CLI_DONE;
    problems_init(&problems);
    if (!api_stream(s->cli, api_path(&s->cli->arena, "/dags/%s/source", id), add_bytes, NULL, &text,
                    &err)) {
        status = api_fail(s->cli, &err);
    } else {
        /* The server has checked it; operators and files are its matter. */
        spec_read(file, buf_text(&text), text.len, NULL, NULL, &specs, &n, &problems);
        status = add_specs(s, specs, n, id);
        if (!status && s->dags.n == before)
            status = cli_fail(CLI_FAILED, "the DAG '%s' of the server cannot be read here: %s", id,
                              problems.n ? problems.at[0].message : "its document is missing");
    }
    problems_fini(&problems);
    buf_fini(&text);
    return status;
}

static int fetch_dags(struct simulate *s)
{
    json_t *list = NULL, *one;
    size_t i;
    int status = api_list(s->cli, &list, "/dags", 0);
    json_array_foreach(list, i, one)
    {
        const char *id = js_get_text(one, "id", "");
        bool scheduled = json_array_size(json_object_get(one, "schedule")) > 0;
        if (status || !chosen(s, id) || json_object_get(one, "valid") == NULL || !scheduled)
            continue;
        if (js_get_bool(one, "paused", false) && !cli_given(s->cli, "dag"))
            s->n_paused++;
        else
            status = fetch_dag(s, id, js_get_text(one, "file", "dag.yaml"));
    }
    json_decref(list);
    return status;
}

/* ---- Is everything that was named there? ---- */

static const struct simulate_dag *find_dag(const struct simulate *s, const char *id)
{
    for (size_t i = 0; i < s->dags.n; i++) {
        if (str_eq(s->dags.at[i].spec->id, id))
            return &s->dags.at[i];
    }
    return NULL;
}

static int no_such_dag(const struct simulate *s, const char *id)
{
    const char **ids = arena_array(&s->cli->arena, s->dags.n, sizeof *ids);
    for (size_t i = 0; i < s->dags.n; i++)
        ids[i] = s->dags.at[i].spec->id;
    return cli_no_such("DAG with a schedule", id, ids, s->dags.n,
                       s->offline ? "nexus dag validate" : "nexus dag list");
}

static int check_dags(const struct simulate *s)
{
    for (size_t i = 0; i < s->cli->values.n; i++) {
        const struct cli_value *value = &s->cli->values.at[i];
        if (str_eq(value->option->name, "dag") && !find_dag(s, value->text))
            return no_such_dag(s, value->text);
    }
    if (!s->dags.n)
        return cli_fail(CLI_FAILED, "there is nothing to simulate: no DAG has a schedule%s",
                        s->n_paused ? " and is not paused (--dag names one all the same)" : "");
    return CLI_DONE;
}

/* ---- Workers and pools ---- */

/* One worker that has every queue that a task asks for. */
static void add_one_worker(struct simulate *s, uint32_t slots)
{
    struct buf queues = {0};
    buf_str(&queues, "default");
    for (size_t i = 0; i < s->dags.n; i++) {
        const struct graph *graph = s->dags.at[i].graph;
        for (uint32_t k = 0; k < graph->n_classes; k++) {
            buf_char(&queues, ',');
            buf_str(&queues, graph->classes[k].queue);
        }
    }
    const struct forecast_worker worker = {"simulated",
                                           arena_strdup(&s->cli->arena, buf_text(&queues)), slots};
    vec_push(&s->workers, worker);
    buf_fini(&queues);
}

static void add_worker(struct simulate *s, const json_t *json)
{
    const json_t *names = json_object_get(json, "queues"), *name;
    struct buf queues = {0};
    size_t i;
    json_array_foreach(names, i, name)
    {
        if (i)
            buf_char(&queues, ',');
        buf_str(&queues, json_string_value(name));
    }
    const struct forecast_worker worker = {
        arena_strdup(&s->cli->arena, js_get_text(json, "id", "?")),
        arena_strdup(&s->cli->arena, buf_text(&queues)), (uint32_t)js_get_int(json, "slots", 0)};
    vec_push(&s->workers, worker);
    buf_fini(&queues);
}

static int fetch_workers(struct simulate *s)
{
    json_t *list = NULL, *one;
    size_t i;
    int status = api_list(s->cli, &list, "/workers", 0);
    json_array_foreach(list, i, one)
    {
        if (str_eq(js_get_text(one, "state", ""), "online") && js_get_int(one, "slots", 0) > 0)
            add_worker(s, one);
    }
    json_decref(list);
    if (!status && !s->workers.n)
        return cli_fail(CLI_FAILED, "no worker is online: say --slots N");
    return status;
}

static int read_workers(struct simulate *s, const struct home *home)
{
    int64_t slots = cli_number(s->cli, "slots", -1);
    if (slots == 0 || slots > NX_SLOTS_MAX)
        return cli_fail(CLI_USAGE, "--slots takes 1 to %d", NX_SLOTS_MAX);
    if (slots < 0 && !s->offline)
        return fetch_workers(s);
    if (slots < 0)
        slots = home->settings.slots > 0 ? home->settings.slots : sysconf(_SC_NPROCESSORS_ONLN);
    add_one_worker(s, (uint32_t)slots);
    return CLI_DONE;
}

static int fetch_pools(struct simulate *s)
{
    json_t *list = NULL, *one;
    size_t i;
    int status = api_list(s->cli, &list, "/pools", 0);
    json_array_foreach(list, i, one)
    {
        const struct forecast_pool pool = {
            arena_strdup(&s->cli->arena, js_get_text(one, "name", "?")),
            js_get_int(one, "slots", 0)};
        if (js_get_bool(one, "exists", false))
            vec_push(&s->pools, pool);
    }
    json_decref(list);
    return status;
}

/* NAME=N: a later one counts. */
static int add_given_pools(struct simulate *s)
{
    for (size_t i = 0; i < s->cli->values.n; i++) {
        const struct cli_value *value = &s->cli->values.at[i];
        const char *equals = strchr(value->text, '=');
        struct forecast_pool pool = {0};
        if (!str_eq(value->option->name, "pool"))
            continue;
        if (!equals || !str_parse_int(equals + 1, &pool.slots) || pool.slots < 0)
            return cli_fail(CLI_USAGE, "--pool takes NAME=SLOTS, not '%s'", value->text);
        pool.name = arena_strndup(&s->cli->arena, value->text, (size_t)(equals - value->text));
        vec_push(&s->pools, pool);
    }
    return CLI_DONE;
}

static int read_pools(struct simulate *s, const struct home *home)
{
    int status = CLI_DONE;
    if (!s->offline)
        status = fetch_pools(s);
    for (size_t i = 0; s->offline && i < home->settings.n_pools; i++) {
        const struct forecast_pool pool = {
            arena_strdup(&s->cli->arena, home->settings.pools[i].name),
            home->settings.pools[i].slots};
        vec_push(&s->pools, pool);
    }
    return status ? status : add_given_pools(s);
}

/* ---- Durations ---- */

/* [DAG.]TASK=5m; how many tasks it is about. */
static int give_duration(struct simulate *s, const char *text)
{
    const char *equals = strchr(text, '='), *dot = memchr(text, '.', strcspn(text, "="));
    int64_t ms;
    bool found = false;
    if (!equals || !str_parse_duration(equals + 1, &ms))
        return cli_fail(CLI_USAGE, "--duration takes TASK=5m or DAG.TASK=5m, not '%s'", text);
    const char *start = dot ? dot + 1 : text;
    const char *task = arena_strndup(&s->cli->arena, start, (size_t)(equals - start));
    const char *dag = dot ? arena_strndup(&s->cli->arena, text, (size_t)(dot - text)) : NULL;
    for (size_t i = 0; i < s->dags.n; i++) {
        int64_t index = spec_find(s->dags.at[i].spec, task);
        if (index < 0 || (dag && !str_eq(dag, s->dags.at[i].spec->id)))
            continue;
        s->n_given += s->dags.at[i].duration_ms[index] < 0;
        s->dags.at[i].duration_ms[index] = ms;
        found = true;
    }
    return found ? CLI_DONE
                 : cli_fail(CLI_USAGE, "--duration %s: there is no such task%s%s", text,
                            dag ? " in " : "", dag ? dag : "");
}

static int fetch_durations(struct simulate *s, struct simulate_dag *dag, const char *which)
{
    json_t *reply = NULL, *one;
    size_t i;
    int status =
        api_get(s->cli, &reply, api_path(&s->cli->arena, "/dags/%s/durations", dag->spec->id));
    json_array_foreach(json_object_get(reply, "items"), i, one)
    {
        int64_t index = spec_find(dag->spec, js_get_text(one, "task", ""));
        double seconds = js_get_float(one, which, -1);
        if (index < 0 || seconds < 0 || dag->duration_ms[index] >= 0)
            continue;
        dag->duration_ms[index] = (int64_t)(seconds * 1000 + 0.5);
        s->n_measured++;
    }
    json_decref(reply);
    return status;
}

static int read_durations(struct simulate *s)
{
    static const char *const known[] = {"min", "median", "p90", "max"};
    const char *which = cli_given(s->cli, "history") ? cli_get(s->cli, "history") : "median";
    bool fine = false;
    for (size_t i = 0; i < 4; i++)
        fine = fine || str_eq(known[i], which);
    if (!fine)
        return cli_no_such("duration", which, known, 4, "nexus simulate --help");
    for (size_t i = 0; i < s->cli->values.n; i++) {
        const struct cli_value *value = &s->cli->values.at[i];
        int status = str_eq(value->option->name, "duration") ? give_duration(s, value->text) : 0;
        if (status)
            return status;
    }
    for (size_t i = 0; i < s->dags.n; i++) {
        struct simulate_dag *dag = &s->dags.at[i];
        int status = s->offline ? CLI_DONE : fetch_durations(s, dag, which);
        if (status)
            return status;
        for (uint32_t k = 0; k < dag->spec->n_tasks; k++) {
            if (dag->duration_ms[k] >= 0)
                continue;
            dag->duration_ms[k] = s->default_ms;
            s->n_assumed++;
        }
    }
    return CLI_DONE;
}

/* ---- All of it ---- */

static int find_zone(struct simulate *s)
{
    const char *name = cli_get(s->cli, "timezone");
    struct nx_err err;
    for (size_t i = 0; !cli_given(s->cli, "timezone") && i < s->dags.n; i++) {
        const char *zone = s->dags.at[i].spec->timezone ? s->dags.at[i].spec->timezone : "UTC";
        if (i > 0 && !str_eq(zone, name))
            zone = "UTC";
        name = zone;
        if (str_eq(name, "UTC"))
            break;
    }
    s->zone_name = name ? name : "UTC";
    return zones_get(s->zones, s->zone_name, &s->zone, &err) ? CLI_DONE : cli_fail_err(&err);
}

int simulate_read(struct simulate *s)
{
    struct home home;
    int status = home_find(s->cli, &home);
    if (status)
        return status;
    s->zones = zones_new();
    s->offline = s->cli->n_args > 0;
    status = s->offline ? read_files(s) : fetch_dags(s);
    if (!status)
        status = check_dags(s);
    if (!status)
        status = find_zone(s);
    if (!status)
        status = read_workers(s, &home);
    if (!status)
        status = read_pools(s, &home);
    if (!status)
        status = read_durations(s);
    home_fini(&home);
    return status;
}
