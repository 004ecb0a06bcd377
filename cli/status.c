/* nexus status */
#include <stdio.h>

#include "cli/api.h"
#include "cli/home.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

static size_t count_list(struct cli *cli, const char *path, json_t **list)
{
    struct nx_err err;
    if (!api_try_list(cli, list, path, 1000, &err)) {
        *list = json_array();
        return 0;
    }
    return json_array_size(*list);
}

static json_t *part_json(const char *home, const char *name)
{
    struct home_part part;
    json_t *json = json_object();
    if (!home_read_part(home, name, &part)) {
        json_decref(json);
        return json_null();
    }
    json_object_set_new(json, "pid", json_integer(part.pid));
    json_object_set_new(json, "started_at", js_string(part.started_at));
    return json;
}

static void print_status(struct cli *cli, const json_t *status)
{
    char text[40];
    const json_t *scheduler = json_object_get(status, "scheduler");
    const json_t *workers = json_object_get(status, "workers"), *worker;
    int64_t slots = 0, busy = 0;
    size_t i, n = json_array_size(workers), online = 0;
    for (i = 0; i < n; i++) {
        worker = json_array_get(workers, i);
        slots += js_get_int(worker, "slots", 0);
        busy += js_get_int(worker, "busy", 0);
        online += out_state_color(js_get_text(worker, "state", "")) == OUT_GREEN;
    }
    printf("Nexus is up: %s\n", js_get_text(status, "url", "?"));
    if (json_is_object(scheduler))
        printf("  scheduler  process %lld, since %s\n", (long long)js_get_int(scheduler, "pid", 0),
               out_ago(text, sizeof text, js_get_text(scheduler, "started_at", NULL),
                       clock_wall_ms()));
    printf("  workers    %zu online, %lld of %lld slots busy\n", online, (long long)busy,
           (long long)slots);
    printf("  DAGs       %lld\n", (long long)js_get_int(status, "dags", 0));
    printf("  runs       %lld running, %lld queued\n",
           (long long)js_get_int(json_object_get(status, "runs"), "running", 0),
           (long long)js_get_int(json_object_get(status, "runs"), "queued", 0));
    (void)cli;
}

static int run_status(struct cli *cli)
{
    struct home home;
    json_t *dags = NULL, *workers = NULL, *running = NULL, *queued = NULL;
    int status = api_list(cli, &dags, "/dags", 1000);
    if (status)
        return status;
    status = home_find(cli, &home);
    if (status) {
        json_decref(dags);
        return status;
    }
    count_list(cli, "/workers", &workers);
    json_t *runs = json_object(), *whole = json_object();
    json_object_set_new(runs, "running",
                        json_integer((json_int_t)count_list(cli, "/runs?state=running", &running)));
    json_object_set_new(runs, "queued",
                        json_integer((json_int_t)count_list(cli, "/runs?state=queued", &queued)));
    json_object_set_new(whole, "url", js_string(cli->url));
    json_object_set_new(whole, "home", js_string(home.path));
    json_object_set_new(whole, "up", part_json(home.path, "up"));
    json_object_set_new(whole, "scheduler", part_json(home.path, "scheduler"));
    json_object_set_new(whole, "workers", workers);
    json_object_set_new(whole, "dags", json_integer((json_int_t)json_array_size(dags)));
    json_object_set_new(whole, "runs", runs);
    if (!out_value(cli, whole, "url"))
        print_status(cli, whole);
    json_decref(whole);
    json_decref(dags);
    json_decref(running);
    json_decref(queued);
    home_fini(&home);
    return CLI_DONE;
}

const struct cli_command cmd_status = {
    .name = "status",
    .arguments = "",
    .group = "Start and stop",
    .summary = "what runs: address, workers, DAGs, runs",
    .help = "Exit status 3 when nothing answers.\n\n  nexus status\n  nexus status -o json",
    .run = run_status,
};
