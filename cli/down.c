/* nexus down: ends the `nexus up` of a home and waits for its end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/live.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"

#define QUIET_MS 1000
#define NOW_MS 15000 /* how long the end is waited for once it was told to hurry */

static bool is_over(const char *home)
{
    return !home_locked(home, "up.lock") && !home_locked(home, "lock");
}

/* Waits for the end; false when it takes longer. */
static bool wait_end(const char *home, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (!is_over(home)) {
        if (clock_mono_ms() >= until)
            return false;
        clock_sleep_ms(10);
    }
    return true;
}

static int stop(const struct cli *cli, const char *home, pid_t pid)
{
    int64_t grace_ms = -1;
    const char *grace = cli_get(cli, "grace");
    if (grace && !str_parse_duration(grace, &grace_ms))
        return cli_fail(CLI_USAGE, "--grace takes a duration such as 30s, not '%s'", grace);
    if (kill(pid, SIGTERM) != 0 && errno != ESRCH)
        return cli_fail(CLI_FAILED, "cannot stop process %d: %s", (int)pid, strerror(errno));
    if (cli_given(cli, "now"))
        grace_ms = 0;
    /* Without --grace it is up to `nexus up` how long it waits; here we only watch. */
    int64_t wait_ms = grace_ms >= 0 ? grace_ms : 24 * 3600 * 1000ll;
    int64_t quiet_ms = wait_ms < QUIET_MS ? wait_ms : QUIET_MS;
    if (wait_end(home, quiet_ms))
        return CLI_DONE;
    if (wait_ms > quiet_ms)
        fputs("nexus: waiting for running tasks to end; `nexus down --now` ends them\n", stderr);
    if (wait_end(home, wait_ms - quiet_ms))
        return CLI_DONE;
    kill(pid, SIGTERM);
    if (!wait_end(home, NOW_MS))
        return cli_fail(CLI_FAILED, "process %d has not ended", (int)pid);
    return CLI_DONE;
}

static int run_down(struct cli *cli)
{
    struct home home;
    struct home_part part;
    int status = home_find(cli, &home);
    if (status)
        return status;
    bool up = home_locked(home.path, "up.lock") && home_read_part(home.path, "up", &part);
    if (!up && home_locked(home.path, "lock"))
        up = home_read_part(home.path, "scheduler", &part);
    if (!up) {
        fprintf(stderr, "nexus: nothing runs on %s\n", home.path);
    } else {
        status = stop(cli, home.path, part.pid);
        if (!status)
            printf("stopped (process %d)\n", (int)part.pid);
    }
    home_fini(&home);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {0, "now", NULL, "do not let running tasks end", false, false},
    {0, "grace", "T", "let them end for at most so long (default: what `up` was told)", false,
     false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_down = {
    .name = "down",
    .arguments = "",
    .group = "Start and stop",
    .summary = "stop what runs on the home",
    .help = "Gives out no more tasks, lets running ones end, then stops. What has not ended runs\n"
            "again at the next start.\n\n"
            "  nexus down\n  nexus down --now",
    .options = options,
    .run = run_down,
};
