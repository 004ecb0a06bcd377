/* nexus run FILE: one run of one file, with scheduler and worker of its own in a temporary home. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/part.h"
#include "cli/table.h"
#include "cli/tail.h"
#include "cli/trigger.h"
#include "cli/validate.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

#define START_MS 20000 /* until the scheduler is ready */
#define LOAD_MS 3000   /* and, when it is, knows the DAG */
#define LOAD_POLL_MS 5
#define END_MS 3000

struct once {
    struct cli *cli;
    char file[PATH_MAX_BYTES];    /* absolute */
    char project[PATH_MAX_BYTES]; /* where relative paths of its tasks start */
    char home[PATH_MAX_BYTES];
    char dags[PATH_MAX_BYTES + 16];
    char url[512], slots[16];
    const char *dag;
    VEC(struct spec_file) files; /* that belong to its DAGs; texts in the arena */
    struct part scheduler, worker;
};

/* The folder that `dags/` is in, or the file's own. */
static void find_project(struct once *once)
{
    str_copy(once->project, sizeof once->project, once->file);
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(once->project, '/');
        if (slash)
            *slash = 0;
        if (i == 0 && !str_ends(once->project, "/dags"))
            break;
    }
    if (!once->project[0])
        str_copy(once->project, sizeof once->project, "/");
}

static void keep_files(struct once *once, const struct spec *spec)
{
    for (size_t i = 0; i < spec->n_files; i++) {
        struct spec_file file = spec->files[i];
        file.path = arena_strdup(&once->cli->arena, file.path);
        file.source = arena_strdup(&once->cli->arena, file.source);
        vec_push(&once->files, file);
    }
}

/* Checks the file before anything is started, and finds which of its DAGs is meant. */
static int check_file(struct once *once, const char *file)
{
    struct problems problems;
    struct spec **specs;
    VEC(const char *) ids = {0};
    size_t n;
    struct buf text = {0};
    const char *wanted = cli_get(once->cli, "dag");
    json_t *catalog = validate_catalog();
    problems_init(&problems);
    bool ok = validate_file(file, catalog, &specs, &n, &problems);
    validate_print(&problems, once->cli->color, &text);
    fputs(buf_text(&text), stderr);
    buf_fini(&text);
    for (size_t i = 0; i < n; i++) {
        vec_push(&ids, (const char *)arena_strdup(&once->cli->arena, specs[i]->id));
        if (str_eq(wanted, specs[i]->id))
            once->dag = ids.at[i];
        keep_files(once, specs[i]);
        spec_free(specs[i]);
    }
    mem_free(specs);
    int status = ok ? CLI_DONE : CLI_FAILED;
    if (ok && wanted && !once->dag)
        status = cli_no_such("DAG", wanted, ids.at, n, "nexus dag validate");
    else if (ok && !wanted && n != 1)
        status = cli_fail(CLI_USAGE, "%s holds %zu DAGs; --dag says which one runs", file, n);
    else if (ok && !wanted)
        once->dag = ids.at[0];
    vec_fini(&ids);
    problems_fini(&problems);
    json_decref(catalog);
    return status;
}

/* `path` in the folder of DAG files, as a link to that file. */
static int link_file(const struct once *once, const char *path, const char *source)
{
    char link[PATH_MAX_BYTES], folder[PATH_MAX_BYTES], target[PATH_MAX];
    struct nx_err err;
    if (!path_join(link, sizeof link, once->dags, path) || !realpath(source, target))
        return cli_fail(CLI_FAILED, "cannot find %s: %s", source, strerror(errno));
    str_copy(folder, sizeof folder, link);
    *strrchr(folder, '/') = 0;
    if (!path_make_folders(folder, &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    if (symlink(target, link) != 0 && errno != EEXIST)
        return cli_fail(CLI_FAILED, "cannot make the link %s: %s", link, strerror(errno));
    return CLI_DONE;
}

static int make_home(struct once *once)
{
    const char *root = getenv("TMPDIR");
    snprintf(once->home, sizeof once->home, "%s/nexus-run-XXXXXX", root && *root ? root : "/tmp");
    if (strlen(once->home) > 80)
        return cli_fail(CLI_FAILED, "TMPDIR is too long for the sockets in it: %s", root);
    if (!mkdtemp(once->home))
        return cli_fail(CLI_FAILED, "cannot make a temporary home: %s", strerror(errno));
    snprintf(once->dags, sizeof once->dags, "%s/dags", once->home);
    int status = link_file(once, path_base(once->file), once->file);
    for (size_t i = 0; !status && i < once->files.n; i++)
        status = link_file(once, once->files.at[i].path, once->files.at[i].source);
    return status;
}

static int start_part(struct once *once, struct part *part, const char *name, const char *log)
{
    struct nx_err err;
    char path[PATH_MAX_BYTES + 16];
    if (!part_init(part, name, &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    snprintf(path, sizeof path, "%s/%s", once->home, log);
    part->output_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    part_arg(part, "--home", once->home);
    part_arg(part, "--project", once->project);
    if (str_eq(name, "nexus-scheduler")) {
        part_arg(part, "--dags", once->dags);
        part_arg(part, "--listen", "127.0.0.1:0");
        part_flag(part, "--silent");
    } else {
        part_arg(part, "--slots", once->slots);
    }
    bool ok = part_start(part, &err);
    if (part->output_fd >= 0)
        close(part->output_fd);
    return ok ? CLI_DONE : cli_fail(CLI_FAILED, "%s", err.text);
}

/* Why a part has ended: its last words. */
static int say_broken(struct once *once, const char *name, const char *log)
{
    char path[PATH_MAX_BYTES + 16];
    struct buf text = {0}, end = {0};
    snprintf(path, sizeof path, "%s/%s", once->home, log);
    (void)path_read(path, 64 * 1024 * 1024, &text, NULL);
    tail_lines(buf_text(&text), text.len, 10, "  ", &end);
    int status = cli_fail(CLI_FAILED, "%s ended:\n%s", name, buf_text(&end));
    buf_fini(&text);
    buf_fini(&end);
    return status;
}

/* live_watch asks it: has one of our parts died? */
static bool is_broken(void *arg)
{
    struct once *once = arg;
    if (part_wait(&once->scheduler, 0))
        say_broken(once, once->scheduler.name, "scheduler.log");
    else if (part_wait(&once->worker, 0))
        say_broken(once, once->worker.name, "worker.log");
    else
        return false;
    return true;
}

/* Until the scheduler answers and knows the DAG. */
static int await_dag(struct once *once)
{
    struct nx_err err = {.code = NX_E_TIMEOUT, .text = "it does not answer"};
    int64_t until = clock_mono_ms() + START_MS;
    json_t *dag = NULL;
    while (clock_mono_ms() < until) {
        if (is_broken(once))
            return CLI_FAILED;
        if (!once->cli->url && part_ready(once->cli, once->home, once->scheduler.pid, once->url)) {
            once->cli->url = once->url;
            until = clock_mono_ms() + LOAD_MS;
        }
        if (once->cli->url) {
            const char *path = api_path(&once->cli->arena, "/dags/%s", once->dag);
            if (api_try(once->cli, "GET", path, NULL, &dag, &err)) {
                json_decref(dag);
                return CLI_DONE;
            }
        }
        if (live_sleep(LOAD_POLL_MS))
            return cli_fail(CLI_FAILED, "interrupted");
    }
    return cli_fail(CLI_FAILED, "the scheduler has not taken %s: %s", once->file, err.text);
}

static int trigger_and_watch(struct once *once)
{
    json_t *params = NULL, *run = NULL, *body = json_object();
    struct live_options options = {
        .logs = true, .private_home = true, .broken = is_broken, .arg = once};
    int status = trigger_params(once->cli, &params);
    if (status) {
        json_decref(body);
        return status;
    }
    trigger_fit_dag(once->cli, once->dag, params);
    json_object_set_new(body, "params", params);
    json_object_set_new(body, "date", js_string(cli_get(once->cli, "date")));
    json_object_set_new(body, "note", json_null());
    const char *path = api_path(&once->cli->arena, "/dags/%s/runs", once->dag);
    status = api_send(once->cli, "POST", path, body, &run);
    if (status)
        return status;
    const char *id = arena_strdup(&once->cli->arena, js_get_text(run, "id", "?"));
    json_decref(run);
    return live_watch(once->cli, id, &options);
}

static void end_parts(struct once *once)
{
    struct nx_err err;
    part_signal(&once->worker, SIGTERM);
    if (!part_wait(&once->worker, END_MS))
        part_signal(&once->worker, SIGKILL);
    part_signal(&once->scheduler, SIGTERM);
    if (!part_wait(&once->scheduler, END_MS))
        part_signal(&once->scheduler, SIGKILL);
    part_wait(&once->worker, END_MS);
    part_wait(&once->scheduler, END_MS);
    if (!once->home[0])
        return;
    if (cli_given(once->cli, "keep"))
        fprintf(stderr, "nexus: its home is kept: %s\n", once->home);
    else if (!path_remove_tree(once->home, &err))
        cli_fail(CLI_DONE, "%s", err.text);
}

static int run_once(struct once *once)
{
    int64_t slots = cli_number(once->cli, "slots", sysconf(_SC_NPROCESSORS_ONLN));
    if (slots < 1 || slots > NX_SLOTS_MAX)
        return cli_fail(CLI_USAGE, "--slots: from 1 to %d", NX_SLOTS_MAX);
    snprintf(once->slots, sizeof once->slots, "%d", (int)slots);
    live_block();
    int status = make_home(once);
    if (!status)
        status = start_part(once, &once->scheduler, "nexus-scheduler", "scheduler.log");
    if (!status)
        status = start_part(once, &once->worker, "nexus-worker", "worker.log");
    if (!status)
        status = await_dag(once);
    if (!status)
        status = trigger_and_watch(once);
    return status;
}

static int run_run(struct cli *cli)
{
    struct once once = {.cli = cli};
    char absolute[PATH_MAX];
    json_t *params = NULL;
    int status = trigger_params(cli, &params);
    json_decref(params);
    if (!status)
        status = check_file(&once, cli_arg(cli, 0));
    if (!status &&
        (!realpath(cli_arg(cli, 0), absolute) || !str_copy(once.file, sizeof once.file, absolute)))
        status = cli_fail(CLI_USAGE, "%s: %s", cli_arg(cli, 0), strerror(errno));
    if (!status) {
        find_project(&once);
        status = run_once(&once);
        end_parts(&once);
    }
    vec_fini(&once.files);
    cli->url = NULL;
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'p', "param", "KEY=VALUE", "a param of the DAG; may be repeated", false, true},
    {0, "date", "T", "the start of the run's data interval", false, false},
    {0, "dag", "DAG", "which one, when the file holds several", false, false},
    {'s', "slots", "N", "tasks at a time (default: the number of CPUs)", true, false},
    {0, "keep", NULL, "keep its temporary home: database, logs, artifacts", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_run = {
    .name = "run",
    .arguments = "FILE",
    .group = "Start and stop",
    .summary = "one run of one file, here and now; needs no server",
    .help =
        "Checks the file, starts a scheduler and a worker in a temporary home, shows the tasks'\n"
        "output as it comes and ends with the run's result. Exit status 1 when the run does\n"
        "not succeed. Notifications are not sent.\n\n"
        "  nexus run dags/hello.yaml\n  nexus run dags/hello.yaml -p name=you -o json",
    .options = options,
    .run = run_run,
};
