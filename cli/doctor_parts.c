/* Programs, DAG files, the scheduler and what it knows: database, workers, clocks, the key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/doctor.h"
#include "cli/part.h"
#include "cli/validate.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define MIB 1048576ll
#define LOG_LONG_MIB 256 /* of the database */
#define SKEW_MS 2000
#define CLOCK_SET_MS 2000
#define FILES_MOST 2000
#define KEY_FILE "secret.key"

/* ---- Programs and files ---- */

static void check_programs(struct doctor *d)
{
    static const char *const names[] = {"nexus-scheduler", "nexus-worker", "nexus-task"};
    char path[PATH_MAX_BYTES];
    struct nx_err err;
    for (size_t i = 0; i < 3; i++) {
        if (home_program(names[i], path, sizeof path, &err))
            doctor_note(d, DOCTOR_OK, names[i], NULL, "%s", path);
        else
            doctor_note(d, DOCTOR_FAIL, names[i], "install all of Nexus, or set NEXUS_LIBEXEC",
                        "%s", err.text);
    }
}

static void check_dags(struct doctor *d)
{
    struct validate_files files = {0};
    struct problems problems;
    size_t n_dags = 0;
    if (!path_is_folder(d->home.dags)) {
        doctor_note(d, DOCTOR_WARN, "DAG files", "`nexus init` makes one", "no folder %s",
                    d->home.dags);
        return;
    }
    json_t *catalog = validate_catalog();
    problems_init(&problems);
    validate_find(&d->cli->arena, d->home.dags, &files);
    size_t n_files = files.found.n < FILES_MOST ? files.found.n : FILES_MOST;
    for (size_t i = 0; i < n_files; i++) {
        struct spec **specs;
        size_t n;
        validate_file(files.found.at[i], catalog, &specs, &n, &problems);
        for (size_t k = 0; k < n; k++)
            spec_free(specs[k]);
        mem_free(specs);
        n_dags += n;
    }
    if (problems.n_errors)
        doctor_note(d, DOCTOR_WARN, "DAG files", "`nexus dag validate` shows them all",
                    "%zu errors in %s; the first: %s:%d: %s", problems.n_errors, d->home.dags,
                    problems.at[0].file, problems.at[0].line, problems.at[0].message);
    else
        doctor_note(d, DOCTOR_OK, "DAG files", NULL, "%zu DAGs in %zu files of %s%s", n_dags,
                    n_files, d->home.dags, n_files < files.found.n ? " (there are more)" : "");
    problems_fini(&problems);
    vec_fini(&files.found);
    json_decref(catalog);
}

static void check_key(struct doctor *d, int64_t n_secrets)
{
    const char *said = getenv("NEXUS_KEY_FILE");
    char path[PATH_MAX_BYTES];
    struct stat st;
    if (!path_join(path, sizeof path, d->home.path, said && *said ? said : KEY_FILE))
        return;
    if (stat(path, &st) != 0) {
        if (n_secrets)
            doctor_note(d, DOCTOR_FAIL, "key file",
                        "bring it back from where it is kept: nothing else opens the secrets",
                        "%s is missing, and %lld secrets are sealed with it", path,
                        (long long)n_secrets);
        return;
    }
    if (st.st_mode & 077)
        doctor_note(d, DOCTOR_FAIL, "key file", "chmod 600, and set the secrets anew",
                    "%s: others may read it (%03o)", path, (unsigned)st.st_mode & 0777);
    else if (st.st_size != 32)
        doctor_note(d, DOCTOR_FAIL, "key file", "bring the true one back",
                    "%s has %lld bytes, not 32", path, (long long)st.st_size);
    else
        doctor_note(d, DOCTOR_OK, "key file", NULL, "%s", path);
}

/* ---- The database ---- */

static void check_database(struct doctor *d, const json_t *facts)
{
    const json_t *db = json_object_get(facts, "database");
    const char *damage = js_get_text(db, "damage", NULL);
    int64_t schema = js_get_int(db, "schema", 0), known = js_get_int(db, "schema_known", 0);
    int64_t bytes = js_get_int(db, "bytes", 0), log = js_get_int(db, "log_bytes", 0);
    if (js_get_text(facts, "error", NULL)) {
        doctor_note(d, DOCTOR_FAIL, "database",
                    "restore it from a backup (`nexus backup` makes them)", "it cannot be read: %s",
                    js_get_text(facts, "error", ""));
        return;
    }
    if (!json_is_object(db)) {
        doctor_note(d, DOCTOR_OK, "database", NULL, "there is none yet");
        return;
    }
    if (damage)
        doctor_note(d, DOCTOR_FAIL, "database",
                    "stop the scheduler and restore a backup (`nexus backup` makes them)",
                    "it is damaged: %s", damage);
    else if (schema > known)
        doctor_note(d, DOCTOR_FAIL, "database", "use the newer Nexus that has written it",
                    "its schema is version %lld, and this Nexus knows %lld", (long long)schema,
                    (long long)known);
    else
        doctor_note(d, DOCTOR_OK, "database", NULL,
                    "%lld MiB, schema %lld%s, %lld MiB of it free; %s", (long long)(bytes / MIB),
                    (long long)schema, schema < known ? " (is brought up at the next start)" : "",
                    (long long)(js_get_int(db, "free_bytes", 0) / MIB),
                    js_get_bool(db, "checked", false)
                        ? "the quick check finds nothing"
                        : "too large for a quick check while the scheduler runs");
    doctor_note(d, log / MIB > LOG_LONG_MIB ? DOCTOR_WARN : DOCTOR_OK, "write-ahead log",
                "look for a program that reads nexus.db for long: it keeps the log from shrinking",
                "%lld MiB", (long long)(log / MIB));
    check_key(d, js_get_int(db, "secrets", 0));
}

/* Of a home without a scheduler: another program of ours looks. */
static json_t *read_offline(const struct doctor *d)
{
    char program[PATH_MAX_BYTES], bytes[4096];
    struct buf text = {0};
    struct nx_err err;
    int fds[2];
    size_t n;
    if (!home_program("nexus-scheduler", program, sizeof program, &err) || pipe(fds) != 0)
        return NULL;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        close(fds[0]);
        close(fds[1]);
        execl(program, program, "--check", "--home", d->home.path, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *from = fdopen(fds[0], "r");
    while (pid > 0 && from && (n = fread(bytes, 1, sizeof bytes, from)) > 0)
        buf_add(&text, bytes, n);
    if (from)
        fclose(from);
    struct part part = {.pid = pid};
    if (pid > 0)
        part_wait(&part, 1000);
    json_t *facts = js_read(buf_text(&text), text.len, program, NULL);
    buf_fini(&text);
    return facts;
}

/* ---- The scheduler and its workers ---- */

static void check_clocks(struct doctor *d, const json_t *facts)
{
    const json_t *list = json_object_get(facts, "skews"), *one;
    double set = js_get_float(facts, "clock_set_by", 0);
    size_t i;
    doctor_note(
        d, set * 1000 > CLOCK_SET_MS || set * -1000 > CLOCK_SET_MS ? DOCTOR_WARN : DOCTOR_OK,
        "clock of the scheduler",
        "let NTP keep it in small steps; `catchup` says what becomes of runs that were missed",
        "it was set by %.1f s since the scheduler started", set);
    json_array_foreach(list, i, one)
    {
        double behind = js_get_float(one, "behind", 0), ahead = js_get_float(one, "ahead", 0);
        if (behind * 1000 > SKEW_MS || ahead * 1000 > SKEW_MS)
            doctor_note(d, DOCTOR_WARN, "clock of a worker", "let NTP keep both clocks",
                        "'%s' is at least %.1f s %s", js_get_text(one, "worker", "?"),
                        behind > ahead ? behind : ahead, behind > ahead ? "behind" : "ahead");
    }
}

static void check_workers(struct doctor *d)
{
    json_t *list = NULL, *one;
    struct nx_err err;
    size_t i, n_online = 0;
    if (!api_try_list(d->cli, &list, "/workers", 0, &err)) {
        doctor_note(d, DOCTOR_FAIL, "workers", "try again", "%s", err.text);
        return;
    }
    json_array_foreach(list, i, one)
    {
        const char *id = js_get_text(one, "id", "?"), *state = js_get_text(one, "state", "?");
        const char *version = js_get_text(one, "version", "?");
        n_online += str_eq(state, "online");
        if (str_eq(state, "lost"))
            doctor_note(d, DOCTOR_WARN, "worker", "look at its log, and start it again",
                        "'%s' is lost", id);
        else if (str_eq(state, "online") && !str_eq(version, NEXUS_VERSION))
            doctor_note(d, DOCTOR_WARN, "worker",
                        "use one version: a worker of another one is given scripts only",
                        "'%s' is nexus %s, this is %s", id, version, NEXUS_VERSION);
    }
    doctor_note(d, n_online ? DOCTOR_OK : DOCTOR_WARN, "workers",
                "`nexus up` or `nexus worker` starts one", "%zu online", n_online);
    json_decref(list);
}

static void check_socket(struct doctor *d)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n =
        snprintf(address.sun_path, sizeof address.sun_path, "%s/run/dispatch.sock", d->home.path);
    bool fits = n > 0 && (size_t)n < sizeof address.sun_path;
    bool ok =
        fd >= 0 && fits && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    doctor_note(d, ok ? DOCTOR_OK : DOCTOR_FAIL, "socket of workers",
                "start the scheduler again, with a home whose path is short", "%s %s",
                address.sun_path, ok ? "takes connections" : "takes no connection");
}

static void check_address(struct doctor *d)
{
    struct nx_err err;
    char host[64];
    uint16_t port;
    if (!settings_parse_listen(d->home.listen, host, sizeof host, &port, &err))
        doctor_note(d, DOCTOR_FAIL, "address", "mend it in nexus.yaml", "%s", err.text);
    else if (!home_port_free(host, port, d->home.settings.auth == 1, &err))
        doctor_note(d, DOCTOR_WARN, "address", "choose another with --listen or in nexus.yaml",
                    "%s", err.text);
    else
        doctor_note(d, DOCTOR_OK, "address", NULL, "%s is free", d->home.listen);
}

static void check_running(struct doctor *d, const char *url, int pid)
{
    json_t *facts = NULL;
    struct nx_err err;
    doctor_note(d, DOCTOR_OK, "scheduler", NULL, "process %d answers at %s", pid, url);
    d->cli->url = arena_strdup(&d->cli->arena, url);
    check_socket(d);
    if (!api_try(d->cli, "GET", "/checks", NULL, &facts, &err)) {
        doctor_note(d, DOCTOR_FAIL, "database", "look at the scheduler's log", "%s", err.text);
        return;
    }
    if (!str_eq(js_get_text(facts, "version", ""), NEXUS_VERSION))
        doctor_note(d, DOCTOR_WARN, "scheduler's version", "restart it",
                    "it is nexus %s, this is %s", js_get_text(facts, "version", "?"),
                    NEXUS_VERSION);
    check_database(d, facts);
    check_clocks(d, facts);
    check_workers(d);
    json_decref(facts);
}

void doctor_parts(struct doctor *d)
{
    struct home_part part;
    char url[512];
    check_programs(d);
    check_dags(d);
    if (home_read_part(d->home.path, "scheduler", &part)) {
        if (part_ready(d->cli, d->home.path, part.pid, url))
            check_running(d, url, (int)part.pid);
        else
            doctor_note(d, DOCTOR_FAIL, "scheduler", "look at its log; `nexus down --now` ends it",
                        "process %d does not answer at %s", (int)part.pid, part.url);
        return;
    }
    doctor_note(d, DOCTOR_OK, "scheduler", NULL, "does not run on this home; `nexus up` starts it");
    json_t *facts = read_offline(d);
    if (facts)
        check_database(d, facts);
    json_decref(facts);
    check_address(d);
}
