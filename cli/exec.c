/* nexus scheduler, nexus worker: become that part. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/table.h"
#include "lib/base/str.h"

static bool has_option(const struct cli *cli, const char *option)
{
    for (size_t i = 0; i < cli->n_args; i++) {
        if (str_starts(cli->args[i], option))
            return true;
    }
    return false;
}

/* The words after the name go to the part as they are; the home goes along unless they say it. */
static int become(struct cli *cli, const char *name)
{
    char program[PATH_MAX_BYTES];
    struct nx_err err;
    struct home home;
    const char **argv = arena_array(&cli->arena, cli->n_args + 4, sizeof *argv);
    size_t n = 0;
    if (!home_program(name, program, sizeof program, &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    argv[n++] = program;
    if (!has_option(cli, "--home") && !has_option(cli, "--join") && !has_option(cli, "--help") &&
        !has_option(cli, "--version")) {
        int status = home_find(cli, &home);
        if (status)
            return status;
        argv[n++] = "--home";
        argv[n++] = arena_strdup(&cli->arena, home.path);
        home_fini(&home);
        if (!path_make_folders(argv[n - 1], &err))
            return cli_fail(CLI_FAILED, "%s", err.text);
    }
    for (size_t i = 0; i < cli->n_args; i++)
        argv[n++] = cli->args[i];
    execv(program, (char *const *)(uintptr_t)argv);
    return cli_fail(CLI_FAILED, "cannot start %s: %s", program, strerror(errno));
}

static int run_scheduler(struct cli *cli)
{
    return become(cli, "nexus-scheduler");
}

static int run_worker(struct cli *cli)
{
    return become(cli, "nexus-worker");
}

const struct cli_command cmd_scheduler = {
    .name = "scheduler",
    .arguments = "[OPTION...]",
    .group = "Start and stop",
    .summary = "the scheduler alone",
    .help = "Its options: --home DIR --dags DIR --listen HOST:PORT --project DIR\n"
            "--listen-workers HOST:PORT.\n\n"
            "  nexus scheduler --home .nexus --dags dags --listen 127.0.0.1:8000",
    .flags = CLI_RAW | CLI_MINOR,
    .run = run_scheduler,
};

const struct cli_command cmd_worker = {
    .name = "worker",
    .arguments = "[OPTION...]",
    .group = "Start and stop",
    .summary = "a worker alone",
    .help =
        "Its options: --home DIR --name NAME --slots N --queue A,B --memory SIZE --gpus N\n"
        "--project DIR. With --join FILE (see `nexus token create`) the scheduler is on another\n"
        "machine, and the home is the worker's own.\n\n"
        "  nexus worker --home .nexus --slots 4\n"
        "  nexus worker --join gpu-1.join --queue gpu --slots 8 --memory 16G --gpus 1",
    .flags = CLI_RAW,
    .run = run_worker,
};
