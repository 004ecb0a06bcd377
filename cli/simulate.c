/* nexus simulate */
#include "cli/simulate.h"

#include <stdio.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define DAY_MS 86400000ll
#define DEFAULT_MS 60000
#define CATALOG "simulated"
#define SAY_EVERY_MS 200

struct saying {
    const struct simulate *simulate;
    int64_t said_ms;
    bool said;
};

static bool say_progress(void *arg, int64_t at_ms, size_t n_runs)
{
    struct saying *saying = arg;
    const struct simulate *s = saying->simulate;
    int64_t now = clock_mono_ms();
    char at[40];
    if (live_interrupted())
        return false;
    if (!s->cli->tty_out || now - saying->said_ms < SAY_EVERY_MS)
        return true;
    saying->said_ms = now;
    saying->said = true;
    fprintf(stderr, "\r\x1b[K%zu runs, at %s", n_runs, simulate_time(s, at_ms, at, sizeof at));
    return true;
}

static int read_instant(const struct simulate *s, const char *option, bool end, int64_t *ms)
{
    const char *text = cli_get(s->cli, option);
    bool is_date;
    if (!timetable_parse_time(s->zone, text, ms, &is_date))
        return cli_fail(CLI_USAGE,
                        "--%s takes a date (2026-12-01) or an instant (RFC 3339), not '%s'", option,
                        text);
    if (is_date && end)
        *ms = timetable_day_end(s->zone, *ms) + 1;
    return CLI_DONE;
}

static int read_range(struct simulate *s)
{
    int status = CLI_DONE;
    s->from_ms = clock_wall_ms();
    if (cli_given(s->cli, "from"))
        status = read_instant(s, "from", false, &s->from_ms);
    s->to_ms = s->from_ms + DAY_MS;
    if (!status && cli_given(s->cli, "to"))
        status = read_instant(s, "to", true, &s->to_ms);
    if (!status && s->to_ms <= s->from_ms)
        status = cli_fail(CLI_USAGE, "--to must come after --from");
    return status;
}

static int read_duration(const struct simulate *s, const char *option, int64_t *ms)
{
    const char *text = cli_get(s->cli, option);
    if (!text || str_parse_duration(text, ms))
        return CLI_DONE;
    return cli_fail(CLI_USAGE, "--%s takes a duration such as 5m, not '%s'", option, text);
}

static bool make(struct simulate *s, struct forecast *forecast, struct nx_err *err)
{
    struct forecast_dag *dags = arena_array(&s->cli->arena, s->dags.n, sizeof *dags);
    struct saying saying = {.simulate = s, .said_ms = clock_mono_ms()};
    for (size_t i = 0; i < s->dags.n; i++)
        dags[i] = (struct forecast_dag){.graph = s->dags.at[i].graph,
                                        .lists = s->dags.at[i].lists,
                                        .timetable = s->dags.at[i].timetable,
                                        .duration_ms = s->dags.at[i].duration_ms,
                                        .is_new = s->offline};
    const struct forecast_config config = {.from_ms = s->from_ms,
                                           .to_ms = s->to_ms,
                                           .workers = s->workers.at,
                                           .n_workers = s->workers.n,
                                           .pools = s->pools.at,
                                           .n_pools = s->pools.n,
                                           .dags = dags,
                                           .n_dags = s->dags.n,
                                           .late_after_ms = s->late_after_ms,
                                           .catalog = CATALOG,
                                           .progress = say_progress,
                                           .arg = &saying};
    live_block();
    bool ok = forecast_make(&config, forecast, err);
    if (saying.said)
        fputs("\r\x1b[K", stderr);
    return ok;
}

static int simulate_all(struct simulate *s)
{
    struct forecast forecast;
    struct nx_err err;
    int status = read_duration(s, "late-after", &s->late_after_ms);
    if (!status)
        status = read_duration(s, "default-duration", &s->default_ms);
    if (!status)
        status = simulate_read(s);
    if (!status)
        status = read_range(s);
    if (status)
        return status;
    if (!make(s, &forecast, &err))
        return cli_fail_err(&err);
    if (s->cli->format == CLI_TABLE) {
        simulate_print(s, &forecast);
    } else {
        json_t *json = simulate_json(s, &forecast);
        out_value(s->cli, json, "end");
        json_decref(json);
    }
    status = forecast.end == FORECAST_STOPPED ? CLI_FAILED : CLI_DONE;
    forecast_fini(&forecast);
    return status;
}

static int run_simulate(struct cli *cli)
{
    struct simulate simulate = {.cli = cli, .late_after_ms = -1, .default_ms = DEFAULT_MS};
    int status = simulate_all(&simulate);
    simulate_fini(&simulate);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {0, "from", "T", "the beginning (default now); local to the zone", false, false},
    {0, "to", "T", "the end; a date is included (default: a day after the beginning)", false, false},
    {0, "dag", "DAG", "only this one; may be repeated", false, true},
    {0, "slots", "N", "one worker with so many slots (default: the workers online; of files: as `nexus up`)", true, false},
    {0, "pool", "NAME=SLOTS", "a pool's size instead of the one it has; may be repeated", false, true},
    {0, "duration", "TASK=TIME", "how long a task takes, also DAG.TASK=TIME; may be repeated", false, true},
    {0, "history", "WHICH", "of the durations so far: min, median (default), p90 or max", false, false},
    {0, "default-duration", "TIME", "of a task that is not known (default 1m)", false, false},
    {0, "late-after", "TIME", "a run is late that ends so long after it was due (default: when its DAG is due again)", false, false},
    {0, "timezone", "ZONE", "of the times (default: that of the DAGs when they share one, else UTC)", false, false},
    {'n', "number", "N", "show so many runs (default 40; 0: all)", true, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_simulate = {
    .name = "simulate",
    .arguments = "[FILE...]",
    .group = "DAGs",
    .summary = "what the schedules will do: runs, waits, peak slots, late runs",
    .help =
        "Runs the scheduler's own core on virtual time, here, with the schedules, pools and\n"
        "workers of the server and the durations that its tasks had; the server does nothing but\n"
        "answer a few questions. Of FILEs it needs no server: pools are those of nexus.yaml, and\n"
        "durations those given. Every `if` is assumed to hold and every attempt to succeed; "
        "nothing\n"
        "is under way at the beginning. Waits are told with the reason that `nexus explain` would\n"
        "give.\n\n"
        "  nexus simulate --from 2026-12-01 --to 2026-12-31\n"
        "  nexus simulate dags --slots 4 --duration train=45m --late-after 2h\n"
        "  nexus simulate --slots 16 --history p90 -o json",
    .options = options,
    .run = run_simulate,
};
