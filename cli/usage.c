/* nexus runs usage RUN TASK */
#include <stdio.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

#define COLUMNS_MAX 120 /* of a line of bars */
#define COLUMNS_BESIDE 48

struct series {
    const char *name, *key;
    double scale;
    const char *format, *unit;
};

static const struct series all_series[] = {
    {"cpu", "cpu_cores", 1, "%.2f", " cores"},
    {"memory", "rss_bytes", 1.0 / 1048576, "%.1f", " MiB"},
    {"processes", "processes", 1, "%.0f", ""},
};

static double value_at(const json_t *samples, size_t i, const struct series *series)
{
    return json_number_value(json_object_get(json_array_get(samples, i), series->key)) *
           series->scale;
}

/* "memory     ▁▂▄█  now 203.1, at most 210.0 MiB": each bar is the highest of its samples. */
static void print_bars(struct cli *cli, const json_t *samples, const struct series *series)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = json_array_size(samples), n_bars = n;
    size_t room = cli->width > COLUMNS_BESIDE + 10 ? (size_t)cli->width - COLUMNS_BESIDE : 10;
    double highest = 0;
    char last[32], most[32];
    if (room > COLUMNS_MAX)
        room = COLUMNS_MAX;
    if (n_bars > room)
        n_bars = room;
    for (size_t i = 0; i < n; i++)
        if (value_at(samples, i, series) > highest)
            highest = value_at(samples, i, series);
    printf("%-11s", series->name);
    for (size_t bar = 0; bar < n_bars; bar++) {
        double v = 0;
        for (size_t i = bar * n / n_bars; i < (bar + 1) * n / n_bars; i++)
            if (value_at(samples, i, series) > v)
                v = value_at(samples, i, series);
        fputs(bars[highest > 0 ? (size_t)(v / highest * 7 + 0.5) : 0], stdout);
    }
    snprintf(last, sizeof last, series->format, value_at(samples, n - 1, series));
    snprintf(most, sizeof most, series->format, highest);
    printf("  last %s, at most %s%s\n", last, most, series->unit);
}

static void print_table(struct cli *cli, const json_t *samples)
{
    static const char *const titles[] = {"at", ">cpu cores", ">memory", ">processes"};
    struct out_table table;
    out_table_init(&table, 4, titles);
    for (size_t i = 0; i < json_array_size(samples); i++) {
        out_cell(&table, js_get_text(json_array_get(samples, i), "at", NULL));
        out_cellf(&table, "%.2f", value_at(samples, i, &all_series[0]));
        out_cellf(&table, "%.1f MiB", value_at(samples, i, &all_series[1]));
        out_cellf(&table, "%.0f", value_at(samples, i, &all_series[2]));
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
}

static void print_usage(struct cli *cli, const json_t *usage, int64_t attempt)
{
    const json_t *samples = json_object_get(usage, "samples");
    size_t n = json_array_size(samples);
    char each[40];
    if (!n) {
        printf("Attempt %lld has no samples: they are taken from its first second on.\n",
               (long long)attempt);
        return;
    }
    if (!cli->tty_out) {
        print_table(cli, samples);
        return;
    }
    out_duration(each, sizeof each,
                 (int64_t)(json_number_value(json_object_get(usage, "interval")) * 1000));
    printf("attempt %lld, %zu sample%s, one each %s, from %s to %s\n", (long long)attempt, n,
           n == 1 ? "" : "s", each, js_get_text(json_array_get(samples, 0), "at", "?"),
           js_get_text(json_array_get(samples, n - 1), "at", "?"));
    for (size_t i = 0; i < sizeof all_series / sizeof *all_series; i++)
        print_bars(cli, samples, &all_series[i]);
}

static int run_usage(struct cli *cli)
{
    const char *run = cli_arg(cli, 0), *task = cli_arg(cli, 1);
    json_t *instance = NULL, *usage = NULL;
    int status = live_task(cli, run, task, &instance);
    if (status)
        return status;
    int64_t attempt = cli_number(cli, "attempt", js_get_int(instance, "attempt", 0));
    const char *state = js_get_text(instance, "state", "?");
    if (cli_given(cli, "attempt") && attempt < 1)
        status = cli_fail(CLI_USAGE, "--attempt: attempts count from 1");
    else if (attempt < 1)
        status =
            cli_fail(CLI_DONE, "task %s of run %s has not started: it is %s", task, run, state);
    else
        status = api_get(cli, &usage,
                         api_path(&cli->arena, "/runs/%s/tasks/%s/attempts/%lld/usage", run, task,
                                  (long long)attempt));
    if (!status && usage && !out_value(cli, usage, "interval"))
        print_usage(cli, usage, attempt);
    json_decref(instance);
    json_decref(usage);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'a', "attempt", "N", "of this attempt (default: the last)", true, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_runs_usage = {
    .name = "runs usage",
    .arguments = "RUN TASK",
    .group = "Runs",
    .summary = "what a task used of processor and memory over time",
    .help =
        "Of all its processes, also while it runs. On a terminal as bars, else a line a sample.\n"
        "\n"
        "  nexus runs usage 12 train\n  nexus runs usage 12 'load[3]' --attempt 1 -o json",
    .options = options,
    .run = run_usage,
};
