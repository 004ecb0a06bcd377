/* nexus up: scheduler and worker here, until it is told to end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/supervise.h"
#include "cli/table.h"
#include "cli/tail.h"
#include "cli/validate.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "nexus/limits.h"

#define FORMER_MS 10000 /* how long the parts of a former `up` are waited for */
#define PORT_MS 500

struct up {
    struct cli *cli;
    struct home home;
    struct supervisor supervisor;
    char slots[16], started_at[TIME_TEXT_MAX];
    int lock_fd;
    int ready_fd; /* of --detach: where the parent waits; -1: none */
};

/* ---- Who is there already ---- */

static int say_held(const char *home, const char *what, const struct home_part *by)
{
    if (by->pid)
        return cli_fail(CLI_FAILED,
                        "the home %s is held by %s, process %d (%s)%s%s; `nexus down --home %s` "
                        "ends it",
                        home, what, (int)by->pid, by->command, by->url[0] ? ", at " : "", by->url,
                        home);
    return cli_fail(CLI_FAILED, "the home %s is held by another %s", home, what);
}

/* The lock of `nexus up` itself: at once or not at all. */
static int take_lock(struct up *up)
{
    char path[PATH_MAX_BYTES + 16];
    struct home_part part;
    snprintf(path, sizeof path, "%s/run/up.lock", up->home.path);
    up->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (up->lock_fd < 0)
        return cli_fail(CLI_FAILED, "cannot open %s: %s", path, strerror(errno));
    if (flock(up->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return CLI_DONE;
    home_read_part(up->home.path, "up", &part);
    return say_held(up->home.path, "`nexus up`", &part);
}

/* The parts of an `up` that was killed end within moments; a scheduler of its own does not. */
static int wait_for_former(struct up *up)
{
    int64_t until = clock_mono_ms() + FORMER_MS, say_at = clock_mono_ms() + 300;
    struct home_part part;
    while (home_locked(up->home.path, "lock")) {
        int64_t now = clock_mono_ms();
        if (now >= until) {
            home_read_part(up->home.path, "scheduler", &part);
            return say_held(up->home.path, "a scheduler", &part);
        }
        if (say_at && now >= say_at) {
            say_at = 0;
            home_read_part(up->home.path, "scheduler", &part);
            fprintf(stderr, "nexus: waiting for the scheduler that holds %s (process %d)\n",
                    up->home.path, (int)part.pid);
        }
        clock_sleep_ms(5);
    }
    return CLI_DONE;
}

static int check_port(struct up *up)
{
    char host[64];
    uint16_t port;
    struct nx_err err;
    int64_t until = clock_mono_ms() + PORT_MS;
    if (!settings_parse_listen(up->home.listen, host, sizeof host, &port, &err))
        return cli_fail(CLI_USAGE, "--listen: %s", err.text);
    int auth = up->home.settings.auth;
    const char *said = cli_get(up->cli, "auth");
    if (said && !settings_parse_auth(said, &auth, &err))
        return cli_fail(CLI_USAGE, "--auth: %s", err.text);
    while (!home_port_free(host, port, auth == 1, &err)) {
        if (err.code != NX_E_BUSY)
            return cli_fail(CLI_USAGE, "--listen: %s", err.text);
        if (clock_mono_ms() >= until)
            return cli_fail(CLI_FAILED, "%s; `nexus up --listen %s:%u` takes another", err.text,
                            strchr(host, ':') ? "127.0.0.1" : host, port + 1u);
        clock_sleep_ms(10);
    }
    return CLI_DONE;
}

/* ---- What it says ---- */

static void write_state(const struct up *up, const char *url)
{
    char path[PATH_MAX_BYTES + 16], text[1024];
    struct nx_err err;
    snprintf(path, sizeof path, "%s/run/up.json", up->home.path);
    int n = snprintf(text, sizeof text, "{\"pid\":%d,\"started_at\":\"%s\",\"url\":%s%s%s}\n",
                     (int)getpid(), up->started_at, url ? "\"" : "", url ? url : "null",
                     url ? "\"" : "");
    if (!path_write(path, text, (size_t)n, &err))
        log_warn("%s", err.text);
}

#define CHECKED_MAX 200 /* files that are checked here, before their errors are asked for */

/* How many DAG files there are, and which of them have errors. */
static void announce_dags(const struct up *up)
{
    struct validate_files files = {0};
    validate_find(&up->cli->arena, up->home.dags, &files);
    size_t n = files.found.n;
    if (n == 0)
        puts("  No DAG yet: `nexus init` writes an example, or put a file there.");
    else
        printf("  %zu DAG file%s\n", n, n == 1 ? "" : "s");
    json_t *catalog = n && n <= CHECKED_MAX ? validate_catalog() : NULL;
    for (size_t i = 0; catalog && i < n; i++) {
        struct problems problems;
        struct spec **specs;
        size_t n_specs;
        problems_init(&problems);
        validate_file(files.found.at[i], catalog, &specs, &n_specs, &problems);
        for (size_t k = 0; k < n_specs; k++)
            spec_free(specs[k]);
        mem_free(specs);
        if (problems.n_errors)
            printf("  with errors: %s (nexus dag validate says which)\n", files.found.at[i]);
        problems_fini(&problems);
    }
    json_decref(catalog);
    vec_fini(&files.found);
}

static void announce(const struct up *up, const char *url)
{
    printf("Nexus is up: %s\n  DAG files in %s, state in %s\n", url, up->home.dags, up->home.path);
    announce_dags(up);
    if (up->ready_fd >= 0)
        puts("  `nexus down` stops it; its log is logs/up.log in the home.");
    else
        puts("  Ctrl-C stops it.");
    fflush(stdout);
}

static void on_ready(void *arg, const char *url)
{
    struct up *up = arg;
    write_state(up, url);
    if (up->ready_fd < 0) {
        announce(up, url);
        return;
    }
    ssize_t n = write(up->ready_fd, url, strlen(url) + 1);
    (void)n; /* the parent has gone: nobody is to be told */
    close(up->ready_fd);
    up->ready_fd = -2;
    log_info("up at %s", url);
}

/* ---- Detaching ---- */

static int open_log(const struct up *up)
{
    char path[PATH_MAX_BYTES + 16];
    snprintf(path, sizeof path, "%s/logs/up.log", up->home.path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return fd;
}

static void print_log_end(const struct up *up)
{
    char path[PATH_MAX_BYTES + 16];
    struct buf text = {0}, end = {0};
    snprintf(path, sizeof path, "%s/logs/up.log", up->home.path);
    if (path_read(path, 64 * 1024 * 1024, &text, NULL))
        tail_lines(buf_text(&text), text.len, 10, "  ", &end);
    fputs(buf_text(&end), stderr);
    buf_fini(&text);
    buf_fini(&end);
}

/* In the parent: waits for the address, or for the child's end. */
static int await_ready(struct up *up, int fd)
{
    char url[512];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof url && (got = read(fd, url + n, sizeof url - n)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (n > 1 && url[n - 1] == 0) {
        announce(up, url);
        return CLI_DONE;
    }
    cli_fail(CLI_FAILED, "it did not start; the end of %s/logs/up.log:", up->home.path);
    print_log_end(up);
    return CLI_FAILED;
}

/* Forks; in the child -1 is returned and everything goes to the log file. */
static int detach(struct up *up)
{
    int fds[2], log_fd = open_log(up);
    if (log_fd < 0 || pipe2(fds, O_CLOEXEC) != 0)
        return cli_fail(CLI_FAILED, "cannot detach: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return cli_fail(CLI_FAILED, "cannot detach: %s", strerror(errno));
    if (pid > 0) {
        close(fds[1]);
        close(log_fd);
        up->ready_fd = 0;
        return await_ready(up, fds[0]);
    }
    setsid();
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null_fd, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    close(fds[0]);
    close(log_fd);
    up->ready_fd = fds[1];
    return -1;
}

/* ---- Starting ---- */

static int64_t slots_of(const struct cli *cli, const struct home *home)
{
    int64_t said = cli_number(cli, "slots", home->settings.slots);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (said > 0 || cli_given(cli, "slots"))
        return said;
    return cpus > 0 ? cpus : 1;
}

static int prepare_parts(struct up *up)
{
    struct nx_err err;
    struct supervisor *s = &up->supervisor;
    int64_t slots = slots_of(up->cli, &up->home);
    if (slots < 1 || slots > NX_SLOTS_MAX)
        return cli_fail(CLI_USAGE, "--slots: from 1 to %d", NX_SLOTS_MAX);
    if (!part_init(&s->scheduler, "nexus-scheduler", &err) ||
        !part_init(&s->worker, "nexus-worker", &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    snprintf(up->slots, sizeof up->slots, "%d", (int)slots);
    part_arg(&s->scheduler, "--home", up->home.path);
    part_arg(&s->scheduler, "--dags", up->home.dags);
    part_arg(&s->scheduler, "--listen", up->home.listen);
    part_arg(&s->scheduler, "--project", up->home.project);
    const char *elsewhere = cli_get(up->cli, "listen-workers");
    if (elsewhere)
        part_arg(&s->scheduler, "--listen-workers", elsewhere);
    if (cli_get(up->cli, "auth"))
        part_arg(&s->scheduler, "--auth", cli_get(up->cli, "auth"));
    part_arg(&s->worker, "--home", up->home.path);
    part_arg(&s->worker, "--slots", up->slots);
    part_arg(&s->worker, "--project", up->home.project);
    return CLI_DONE;
}

static int make_folders(struct up *up)
{
    static const char *const names[] = {"run", "logs"};
    char path[PATH_MAX_BYTES + 16];
    struct nx_err err;
    if (!path_make_private_folder(up->home.path, &err))
        return cli_fail(CLI_FAILED, "the home: %s", err.text);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", up->home.path, names[i]);
        if (!path_make_folders(path, &err))
            return cli_fail(CLI_FAILED, "the home: %s", err.text);
    }
    if (!path_make_folders(up->home.dags, &err))
        return cli_fail(CLI_FAILED, "the folder of DAG files: %s", err.text);
    return CLI_DONE;
}

static int64_t grace_of(const struct cli *cli, const struct home *home, int *status)
{
    int64_t ms = home->settings.grace_ms >= 0 ? home->settings.grace_ms : NX_GRACE_MS;
    const char *text = cli_get(cli, "grace");
    if (text && !str_parse_duration(text, &ms))
        *status = cli_fail(CLI_USAGE, "--grace takes a duration such as 30s, not '%s'", text);
    return ms;
}

static int run_parts(struct up *up)
{
    char path[PATH_MAX_BYTES + 16];
    up->supervisor.cli = up->cli;
    up->supervisor.home = up->home.path;
    up->supervisor.on_ready = on_ready;
    up->supervisor.arg = up;
    log_open("nexus up", LOG_INFO);
    write_state(up, NULL);
    int status = supervise(&up->supervisor);
    snprintf(path, sizeof path, "%s/run/up.json", up->home.path);
    unlink(path);
    return status;
}

static int start_up(struct up *up)
{
    int status = CLI_DONE;
    up->supervisor.grace_ms = grace_of(up->cli, &up->home, &status);
    if (!status)
        status = prepare_parts(up);
    if (!status && !path_exists(up->home.path)) /* one that cannot start leaves nothing behind */
        status = check_port(up);
    if (!status)
        status = make_folders(up);
    if (!status)
        status = take_lock(up);
    if (!status)
        status = wait_for_former(up);
    if (!status)
        status = check_port(up);
    if (status)
        return status;
    supervise_block();
    time_format(up->started_at, clock_wall_ms());
    if (cli_given(up->cli, "detach")) {
        status = detach(up);
        if (status >= 0)
            return status;
    }
    return run_parts(up);
}

static int run_up(struct cli *cli)
{
    struct up up = {.cli = cli, .lock_fd = -1, .ready_fd = -1};
    int status = home_find(cli, &up.home);
    if (status)
        return status;
    status = start_up(&up);
    if (up.lock_fd >= 0)
        close(up.lock_fd);
    home_fini(&up.home);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {0, "dags", "DIR", "folder of the DAG files (default ./dags)", false, false},
    {0, "listen-workers", "HOST:PORT", "where workers on other machines are welcome (default: nowhere)",
     false, false},
    {'l', "listen", "HOST:PORT", "address of API and page (default " SETTINGS_LISTEN ")", false,
     false},
    {0, "auth", "MODE", "tokens: the API asks who one is (see `nexus token create`); off: it listens\n"
     "for this machine alone (the default)", false, false},
    {'s', "slots", "N", "tasks at a time (default: the number of CPUs)", true, false},
    {'d', "detach", NULL, "return when it is ready; it goes on in the background", false, false},
    {0, "grace", "T", "how long stopping waits for running tasks (default 10s)", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_up = {
    .name = "up",
    .arguments = "",
    .group = "Start and stop",
    .summary = "scheduler and worker here, until Ctrl-C",
    .help =
        "Starts again what dies. SIGTERM and Ctrl-C let running tasks end for --grace; a second\n"
        "one ends them now.\n\n"
        "  nexus up\n  nexus up --listen 127.0.0.1:8080 --slots 4 --detach",
    .options = options,
    .run = run_up,
};
