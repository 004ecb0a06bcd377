/* nexus worker list | drain | resume */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

/* "host", or of one elsewhere "host (address)". */
static const char *host_of(struct cli *cli, const json_t *worker)
{
    const char *host = js_get_text(worker, "host", NULL);
    const char *address = js_get_text(worker, "address", NULL);
    return host && address ? arena_printf(&cli->arena, "%s (%s)", host, address) : host;
}

static const char *memory_of(struct cli *cli, const json_t *worker)
{
    int64_t bytes = js_get_int(worker, "memory_bytes", 0);
    return bytes ? arena_printf(&cli->arena, "%.1fG", (double)bytes / (1024.0 * 1024 * 1024))
                 : NULL;
}

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"id",     "state", ">busy",   ">slots", "queues", "host",
                                         "memory", ">gpus", "version", "seen",   "note"};
    struct out_table table;
    json_t *workers = NULL, *worker;
    char text[40];
    size_t i;
    int status = api_list(cli, &workers, "/workers", 0);
    if (status)
        return status;
    if (!out_value(cli, workers, "id")) {
        out_table_init(&table, 11, titles);
        table.wrap_last = true;
        json_array_foreach(workers, i, worker)
        {
            out_cell(&table, js_get_text(worker, "id", "?"));
            out_cell(&table, js_get_text(worker, "state", "?"));
            out_cellf(&table, "%lld", (long long)js_get_int(worker, "busy", 0));
            out_cellf(&table, "%lld", (long long)js_get_int(worker, "slots", 0));
            out_cell(&table, out_scalar(&cli->arena, json_object_get(worker, "queues")));
            out_cell(&table, host_of(cli, worker));
            out_cell(&table, memory_of(cli, worker));
            out_cellf(&table, "%lld", (long long)js_get_int(worker, "gpus", 0));
            out_cell(&table, js_get_text(worker, "version", NULL));
            out_cell(&table, out_ago(text, sizeof text, js_get_text(worker, "last_seen_at", NULL),
                                     clock_wall_ms()));
            out_cell(&table, js_get_text(worker, "note", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No worker. `nexus up` starts one; `nexus worker` adds one.");
        out_table_fini(&table);
    }
    json_decref(workers);
    return CLI_DONE;
}

static int set_drain(struct cli *cli, bool drain)
{
    json_t *worker = NULL;
    const char *id = cli_arg(cli, 0);
    int status = api_send(cli, "PATCH", api_path(&cli->arena, "/workers/%s", id),
                          json_pack("{s:b}", "drain", (int)drain), &worker);
    if (!status && !out_value(cli, worker, "id"))
        printf("worker %s %s\n", id,
               drain ? "gets nothing new and ends what it has" : "takes work again");
    json_decref(worker);
    return status;
}

static int run_drain(struct cli *cli)
{
    return set_drain(cli, true);
}

static int run_resume(struct cli *cli)
{
    return set_drain(cli, false);
}

const struct cli_command cmd_worker_list = {
    .name = "worker list",
    .arguments = "",
    .group = "System",
    .summary = "the workers and how busy they are",
    .help = "  nexus worker list\n  nexus worker list -o json",
    .run = run_list,
};

const struct cli_command cmd_worker_drain = {
    .name = "worker drain",
    .arguments = "WORKER",
    .group = "System",
    .summary = "give a worker nothing new",
    .help = "  nexus worker drain w1\n  nexus worker drain w1 -o json",
    .run = run_drain,
};

const struct cli_command cmd_worker_resume = {
    .name = "worker resume",
    .arguments = "WORKER",
    .group = "System",
    .summary = "let a drained worker take work again",
    .help = "  nexus worker resume w1\n  nexus worker resume w1 -o json",
    .run = run_resume,
};
