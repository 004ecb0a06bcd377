/* nexus doctor: what could stand in the way, each with the way out. */
#include "cli/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define SOCKET_ROOM 80 /* bytes of the home's path: sockets in it have 107 in all */

void doctor_note(struct doctor *d, enum doctor_state state, const char *what, const char *remedy,
                 const char *format, ...)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_array_append_new(d->checks,
                          json_pack("{s:s, s:s, s:o, s:o}", "check", what, "state", names[state],
                                    "seen", js_string(buf_text(&text)), "remedy",
                                    js_string(state == DOCTOR_OK ? NULL : remedy)));
    d->n_failed += state == DOCTOR_FAIL;
    buf_fini(&text);
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
    struct stat st;
    char path[PATH_MAX_BYTES];
    const char *home = d->home.path;
    str_copy(path, sizeof path, home);
    while (!path_exists(path) && strrchr(path, '/') > path)
        *strrchr(path, '/') = 0;
    if (!can_make(path))
        doctor_note(d, DOCTOR_FAIL, "home", "choose another with --home, or mend its rights",
                    "%s: nothing can be made in %s: %s", home, path, strerror(errno));
    else if (stat(home, &st) == 0 && (st.st_mode & S_IWOTH))
        doctor_note(d, DOCTOR_WARN, "home", "chmod o-w", "%s: everybody may write there", home);
    else
        doctor_note(d, DOCTOR_OK, "home", NULL, "%s%s", home,
                    path_exists(home) ? "" : " (not there yet)");
    if (strlen(home) > SOCKET_ROOM)
        doctor_note(d, DOCTOR_FAIL, "sockets", "use a home with a shorter path",
                    "the home's path has %zu bytes, and sockets in it are limited to 107",
                    strlen(home));
}

static void print_checks(struct cli *cli, const json_t *checks)
{
    static const char *const titles[] = {"state", "check", "seen", "what to do"};
    struct out_table table;
    json_t *check;
    size_t i;
    out_table_init(&table, 4, titles);
    json_array_foreach(checks, i, check)
    {
        out_cell(&table, js_get_text(check, "state", "?"));
        out_cell(&table, js_get_text(check, "check", "?"));
        out_cell(&table, js_get_text(check, "seen", NULL));
        out_cell(&table, js_get_text(check, "remedy", NULL));
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
    doctor_note(&d, DOCTOR_OK, "version", NULL, "nexus %s", NEXUS_VERSION);
    check_home(&d);
    doctor_disk(&d);
    doctor_clock(&d);
    doctor_zones(&d);
    doctor_limits(&d);
    doctor_parts(&d);
    if (!out_value(cli, d.checks, "check"))
        print_checks(cli, d.checks);
    json_decref(d.checks);
    home_fini(&d.home);
    return d.n_failed ? CLI_FAILED : CLI_DONE;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .arguments = "",
    .group = "System",
    .summary = "check database, disk, clock, zones, limits, programs, workers",
    .help = "Each check is ok, warn or fail, with what was seen and what to do about it. With and\n"
            "without a running scheduler. Exit status 1 when something fails.\n\n"
            "  nexus doctor\n  nexus doctor --home /srv/nexus -o json",
    .run = run_doctor,
};
