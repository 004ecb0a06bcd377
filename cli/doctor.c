/* nexus doctor: what could stand in the way, each with the way out. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/out.h"
#include "cli/part.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define DISK_LOW_BYTES (1024ll * 1024 * 1024)
#define FILES_LOW 1024

struct doctor {
    struct cli *cli;
    struct home home;
    json_t *checks;
    size_t n_invalid;
};

static void add(struct doctor *d, const char *state, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* state: ok, warning, invalid */
static void add(struct doctor *d, const char *state, const char *what, const char *format, ...)
{
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_array_append_new(d->checks, json_pack("{s:s, s:s, s:o}", "check", what, "state", state,
                                               "text", js_string(buf_text(&text))));
    d->n_invalid += str_eq(state, "invalid");
    buf_fini(&text);
}

static void check_programs(struct doctor *d)
{
    static const char *const names[] = {"nexus-scheduler", "nexus-worker", "nexus-task"};
    char path[PATH_MAX_BYTES];
    struct nx_err err;
    for (size_t i = 0; i < 3; i++) {
        if (home_program(names[i], path, sizeof path, &err))
            add(d, "ok", names[i], "%s", path);
        else
            add(d, "invalid", names[i], "%s", err.text);
    }
}

/* By trying: what access() says is not true of every file system. */
static bool can_make(const char *folder)
{
    char probe[PATH_MAX_BYTES + 32];
    snprintf(probe, sizeof probe, "%s/.nexus-doctor-XXXXXX", folder);
    return mkdtemp(probe) && rmdir(probe) == 0;
}

static void check_home(struct doctor *d)
{
    struct statvfs fs;
    char path[PATH_MAX_BYTES];
    const char *home = d->home.path;
    str_copy(path, sizeof path, home);
    while (!path_exists(path) && strrchr(path, '/') > path)
        *strrchr(path, '/') = 0;
    if (!can_make(path))
        add(d, "invalid", "home", "%s: nothing can be made in %s: %s", home, path, strerror(errno));
    else
        add(d, "ok", "home", "%s%s", home, path_exists(home) ? "" : " (not there yet)");
    if (strlen(home) > 80)
        add(d, "invalid", "sockets",
            "the home's path has %zu bytes, and sockets in it are limited to 107; use a shorter "
            "one",
            strlen(home));
    if (statvfs(path, &fs) != 0)
        return;
    long long room = (long long)fs.f_bavail * (long long)fs.f_frsize;
    add(d, room < DISK_LOW_BYTES ? "warning" : "ok", "disk", "%lld MiB free for the home",
        room / 1048576);
}

static void check_limits(struct doctor *d)
{
    struct rlimit files;
    struct buf text = {0};
    int64_t watches;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        add(d, files.rlim_cur < FILES_LOW ? "warning" : "ok", "open files", "at most %llu%s",
            (unsigned long long)files.rlim_cur,
            files.rlim_cur < FILES_LOW ? "; `ulimit -n 4096` allows more" : "");
    if (path_read("/proc/sys/fs/inotify/max_user_watches", 64, &text, NULL)) {
        char number[32];
        snprintf(number, sizeof number, "%.*s", (int)strcspn(buf_text(&text), "\n"),
                 buf_text(&text));
        if (str_parse_int(number, &watches))
            add(d, watches < 1024 ? "warning" : "ok", "inotify", "at most %lld watched folders",
                (long long)watches);
    }
    buf_fini(&text);
}

static void check_dags(struct doctor *d)
{
    if (!path_is_folder(d->home.dags))
        add(d, "warning", "DAG files", "no folder %s; `nexus init` makes one", d->home.dags);
    else
        add(d, "ok", "DAG files", "%s; `nexus dag validate %s` checks them", d->home.dags,
            d->home.dags);
}

static void check_server(struct doctor *d)
{
    struct home_part part;
    struct nx_err err;
    char host[64], url[512];
    uint16_t port;
    if (home_read_part(d->home.path, "scheduler", &part)) {
        if (part_ready(d->cli, d->home.path, part.pid, url))
            add(d, "ok", "scheduler", "process %d answers at %s", (int)part.pid, url);
        else
            add(d, "invalid", "scheduler", "process %d does not answer at %s", (int)part.pid,
                part.url);
        return;
    }
    add(d, "ok", "scheduler", "does not run on this home; `nexus up` starts it");
    if (!settings_parse_listen(d->home.listen, host, sizeof host, &port, &err))
        add(d, "invalid", "address", "%s", err.text);
    else if (!home_port_free(host, port, &err))
        add(d, "warning", "address", "%s; choose another with --listen or in nexus.yaml", err.text);
    else
        add(d, "ok", "address", "%s is free", d->home.listen);
}

static void print_checks(struct cli *cli, const json_t *checks)
{
    static const char *const titles[] = {"state", "check", "text"};
    struct out_table table;
    json_t *check;
    size_t i;
    out_table_init(&table, 3, titles);
    json_array_foreach(checks, i, check)
    {
        out_cell(&table, js_get_text(check, "state", "?"));
        out_cell(&table, js_get_text(check, "check", "?"));
        out_cell(&table, js_get_text(check, "text", NULL));
    }
    struct buf text = {0};
    out_table_text(&table, 0, cli->color, &text); /* nothing of it is to be cut */
    fputs(buf_text(&text), stdout);
    buf_fini(&text);
    out_table_fini(&table);
}

static int run_doctor(struct cli *cli)
{
    struct doctor d = {.cli = cli};
    int status = home_find(cli, &d.home);
    if (status)
        return status;
    d.checks = json_array();
    add(&d, "ok", "version", "nexus %s", NEXUS_VERSION);
    check_programs(&d);
    check_home(&d);
    check_limits(&d);
    check_dags(&d);
    check_server(&d);
    if (!out_value(cli, d.checks, "check"))
        print_checks(cli, d.checks);
    json_decref(d.checks);
    home_fini(&d.home);
    return d.n_invalid ? CLI_FAILED : CLI_DONE;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .arguments = "",
    .group = "System",
    .summary = "check programs, home, disk, limits, address",
    .help = "Exit status 1 when something stands in the way.\n\n"
            "  nexus doctor\n  nexus doctor --home /srv/nexus -o json",
    .run = run_doctor,
};
