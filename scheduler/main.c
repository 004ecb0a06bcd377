/* nexus-scheduler: the process that decides. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/net/link.h"
#include "lib/text/conn.h"
#include "lib/text/settings.h"
#include "scheduler/dag/lua.h"
#include "scheduler/effective.h"
#include "scheduler/engine.h"
#include "scheduler/port/api.h"
#include "scheduler/port/checks.h"

#define EXIT_USAGE 2
#define EXIT_HELD 1 /* another scheduler has this home, or the port is taken */

extern char **environ;

struct options {
    const char *home, *dags, *listen, *listen_workers, *project, *auth;
    bool check;  /* say how the home is, and end */
    bool parent; /* ends with the process that started it */
    bool silent; /* sends no notifications */
    enum crash_point crash_point;
    uint64_t crash_commit;
};

struct scheduler {
    struct options options;
    struct settings settings;
    char home[PATH_MAX_BYTES], dags[PATH_MAX_BYTES], project[PATH_MAX_BYTES];
    char host[64];
    uint16_t port;
    char workers_host[64], workers_url[96]; /* "": no workers elsewhere */
    int auth;                               /* tokens are asked for */
    struct certificate certificate;
    int lock;
    struct engine *engine;
    struct api *api;
    char *effective; /* settings as JSON: borrowed by the API */
    int64_t started_ms;
};

static void usage(FILE *to)
{
    fputs(
        "usage: nexus-scheduler [--home DIR] [--dags DIR] [--listen HOST:PORT] [--project DIR]\n"
        "                       [--listen-workers HOST:PORT] [--auth off|tokens] [--parent]\n"
        "                       [--silent] [--check]\n"
        "\n"
        "  --home DIR      state: nexus.db, logs, artifacts (default .nexus)\n"
        "  --dags DIR      folder of DAG files (default dags)\n"
        "  --listen ADDR   address of the API (default " SETTINGS_LISTEN ")\n"
        "  --listen-workers ADDR\n"
        "                  where workers on other machines are welcome (default: nowhere)\n"
        "  --auth MODE     tokens: the API asks who one is; off (the default): it listens for "
        "this\n"
        "                  machine alone\n"
        "  --project DIR   where relative paths of tasks start (default: the folder that the DAG\n"
        "                  folder is in)\n"
        "  --check         print as JSON how the database of a home is that nobody holds, and end\n"
        "  --parent        end when the process that started this one ends\n"
        "  --silent        send no notifications\n",
        to);
}

static bool read_crash(struct options *options, const char *text)
{
    static const char *const points[] = {"never", "before", "after", "sent"};
    const char *colon = strchr(text, ':');
    for (int i = 1; colon && i <= 3; i++) {
        if (strncmp(text, points[i], (size_t)(colon - text)) == 0) {
            options->crash_point = (enum crash_point)i;
            options->crash_commit = strtoull(colon + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

static void read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {{"home", required_argument, NULL, 'h'},
                                          {"dags", required_argument, NULL, 'd'},
                                          {"listen", required_argument, NULL, 'l'},
                                          {"listen-workers", required_argument, NULL, 'w'},
                                          {"project", required_argument, NULL, 'p'},
                                          {"auth", required_argument, NULL, 'a'},
                                          {"parent", no_argument, NULL, 'P'},
                                          {"check", no_argument, NULL, 'k'},
                                          {"silent", no_argument, NULL, 's'},
                                          {"crash-at", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, '?'},
                                          {"version", no_argument, NULL, 'v'},
                                          {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'h')
            options->home = optarg;
        else if (c == 'd')
            options->dags = optarg;
        else if (c == 'l')
            options->listen = optarg;
        else if (c == 'w')
            options->listen_workers = optarg;
        else if (c == 'p')
            options->project = optarg;
        else if (c == 'a')
            options->auth = optarg;
        else if (c == 'P')
            options->parent = true;
        else if (c == 'k')
            options->check = true;
        else if (c == 's')
            options->silent = true;
        else if (c == 'c' && read_crash(options, optarg)) /* for the crash tests */
            continue;
        else if (c == 'v') {
            puts("nexus-scheduler " NEXUS_VERSION);
            exit(0);
        } else {
            bool asked = optind > 1 && strcmp(argv[optind - 1], "--help") == 0;
            usage(asked ? stdout : stderr);
            exit(asked ? 0 : EXIT_USAGE);
        }
    }
    if (optind < argc)
        die(EXIT_USAGE, "unexpected argument '%s'", argv[optind]);
}

/* ---- Places ---- */

static void make_absolute(char *to, const char *path,
                          bool (*make)(const char *path, struct nx_err *err))
{
    struct nx_err err;
    char resolved[PATH_MAX];
    if (!make(path, &err))
        die(EXIT_USAGE, "%s", err.text);
    if (!realpath(path, resolved))
        die(EXIT_USAGE, "cannot use %s: %s", path, strerror(errno));
    if (!str_copy(to, PATH_MAX_BYTES, resolved))
        die(EXIT_USAGE, "the path %s is too long", path);
}

static void find_places(struct scheduler *scheduler)
{
    const struct options *options = &scheduler->options;
    const struct settings *settings = &scheduler->settings;
    char run[PATH_MAX_BYTES];
    struct nx_err err;
    make_absolute(scheduler->home,
                  options->home    ? options->home
                  : settings->home ? settings->home
                                   : ".nexus",
                  path_make_private_folder);
    make_absolute(scheduler->dags,
                  options->dags    ? options->dags
                  : settings->dags ? settings->dags
                                   : "dags",
                  path_make_folders);
    if (options->project) {
        make_absolute(scheduler->project, options->project, path_make_folders);
    } else {
        str_copy(scheduler->project, sizeof scheduler->project, scheduler->dags);
        char *slash = strrchr(scheduler->project, '/');
        slash[slash == scheduler->project] = 0;
    }
    if (!path_join(run, sizeof run, scheduler->home, "run") || !path_make_folders(run, &err))
        die(EXIT_USAGE, "%s", err.text);
    const char *listen = options->listen    ? options->listen
                         : settings->listen ? settings->listen
                                            : SETTINGS_LISTEN;
    if (!settings_parse_listen(listen, scheduler->host, sizeof scheduler->host, &scheduler->port,
                               &err))
        die(EXIT_USAGE, "%s", err.text);
    scheduler->auth = settings->auth == 1;
    if (options->auth && !settings_parse_auth(options->auth, &scheduler->auth, &err))
        die(EXIT_USAGE, "--auth: %s", err.text);
}

/* Where workers elsewhere are welcome, and with which certificate; after the lock is taken. */
static void find_workers_place(struct scheduler *scheduler)
{
    const char *listen = scheduler->options.listen_workers ? scheduler->options.listen_workers
                                                           : scheduler->settings.listen_workers;
    char path[PATH_MAX_BYTES];
    uint16_t port;
    struct nx_err err;
    if (!listen)
        return;
    if (!settings_parse_listen(listen, scheduler->workers_host, sizeof scheduler->workers_host,
                               &port, &err))
        die(EXIT_USAGE, "--listen-workers: %s", err.text);
    if (!path_join(path, sizeof path, scheduler->home, "workers.pem"))
        die(EXIT_USAGE, "the path of the home is too long");
    if (!certificate_open(path, &scheduler->certificate, &err))
        die(1, "%s", err.text);
    snprintf(scheduler->workers_url, sizeof scheduler->workers_url,
             strchr(scheduler->workers_host, ':') ? "tls+tcp://[%s]:%u" : "tls+tcp://%s:%u",
             scheduler->workers_host, port);
}

static void read_text(const char *path, char *text, size_t size)
{
    struct buf buf;
    buf_init(&buf);
    str_copy(text, size, path_read(path, size - 1, &buf, NULL) ? buf_text(&buf) : "unknown");
    buf_fini(&buf);
}

/* One scheduler a home: held as long as the process lives. */
static void take_lock(struct scheduler *scheduler)
{
    char path[PATH_MAX_BYTES + 16], holder[64];
    snprintf(path, sizeof path, "%s/run/lock", scheduler->home);
    scheduler->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (scheduler->lock < 0)
        die(EXIT_USAGE, "cannot open %s: %s", path, strerror(errno));
    if (flock(scheduler->lock, LOCK_EX | LOCK_NB) != 0) {
        read_text(path, holder, sizeof holder);
        die(EXIT_HELD, "the home %s is held by another scheduler: process %s", scheduler->home,
            holder);
    }
    int n = snprintf(holder, sizeof holder, "%ld", (long)getpid());
    if (ftruncate(scheduler->lock, 0) != 0 || pwrite(scheduler->lock, holder, (size_t)n, 0) != n)
        die(EXIT_USAGE, "cannot write %s: %s", path, strerror(errno));
}

/* ---- Vars and secrets ---- */

static char *vars_json(const struct settings *settings)
{
    struct buf buf;
    buf_init(&buf);
    buf_char(&buf, '{');
    for (size_t i = 0; i < settings->n_vars; i++)
        buf_printf(&buf, "%s\"%s\":%s", i ? "," : "", settings->vars[i].name,
                   settings->vars[i].json);
    buf_char(&buf, '}');
    return buf_take(&buf, NULL);
}

static char *pools_json(const struct settings *settings)
{
    struct buf buf;
    buf_init(&buf);
    buf_char(&buf, '{');
    for (size_t i = 0; i < settings->n_pools; i++)
        buf_printf(&buf, "%s\"%s\":%lld", i ? "," : "", settings->pools[i].name,
                   (long long)settings->pools[i].slots);
    buf_char(&buf, '}');
    return buf_take(&buf, NULL);
}

/* Those of the environment, checked. */
static char *connections_json(void)
{
    char *text = settings_named(SETTINGS_CONNECTION);
    json_t *connections = json_loads(text, 0, NULL), *uri;
    const char *name;
    struct arena arena;
    arena_init(&arena);
    json_object_foreach(connections, name, uri)
    {
        struct conn conn;
        struct nx_err err;
        if (!conn_read(json_string_value(uri), &arena, &conn, &err))
            die(EXIT_USAGE, "the connection '%s' of the environment (" SETTINGS_CONNECTION "*): %s",
                name, err.text);
    }
    arena_fini(&arena);
    json_decref(connections);
    return text;
}

/* ---- Running ---- */

static void committed(void *arg, const struct core *core, const struct core_update *update,
                      uint64_t number, int64_t us)
{
    struct scheduler *scheduler = arg;
    if (scheduler->api)
        api_committed(scheduler->api, core, update, number, us);
}

static void turned(void *arg, int64_t us)
{
    struct scheduler *scheduler = arg;
    if (scheduler->api)
        api_turned(scheduler->api, us);
}

static void ready(void *arg)
{
    struct scheduler *scheduler = arg;
    api_set_ready(scheduler->api);
}

/* Who looks for the scheduler of this home finds it here. */
/* Who can read the home's files may do everything: `nexus` finds this token there. It is good until
 * the scheduler ends, and kept nowhere else. */
static void make_local_token(const struct scheduler *scheduler)
{
    char path[PATH_MAX_BYTES + 32], text[TOKEN_TEXT_MAX], hash[BULK_HASH + 1];
    struct token_owner owner = {.name = AUTH_LOCAL, .role = ROLE_ADMIN};
    struct nx_err err;
    snprintf(path, sizeof path, "%s/run/token", scheduler->home);
    if (!scheduler->auth) {
        unlink(path);
        return;
    }
    tokens_make(ROLE_ADMIN, text, owner.id, hash);
    tokens_put(engine_tokens(scheduler->engine), &owner, hash);
    if (!path_write_private(path, text, strlen(text), &err))
        die(1, "%s", err.text);
    crypt_wipe(text, sizeof text);
}

static void announce(const struct scheduler *scheduler, const char *url)
{
    char path[PATH_MAX_BYTES + 32], text[512], since[TIME_TEXT_MAX];
    struct nx_err err;
    snprintf(path, sizeof path, "%s/run/scheduler.json", scheduler->home);
    int n = snprintf(text, sizeof text, "{\"url\": \"%s\", \"pid\": %ld, \"started_at\": \"%s\"}\n",
                     url, (long)getpid(), time_format(since, scheduler->started_ms));
    if (!path_write(path, text, (size_t)n, &err))
        die(EXIT_USAGE, "%s", err.text);
}

/* NULL without one. */
static const char *host_of(const char *url, char *to, size_t size)
{
    const char *host = url ? strstr(url, "://") : NULL;
    if (!host || !str_copy(to, size, host + 3))
        return NULL;
    to[strcspn(to, to[0] == '[' ? "/" : ":/")] = 0;
    return to;
}

static char *describe_settings(const struct scheduler *scheduler)
{
    const struct options *options = &scheduler->options;
    return effective_json(&(struct effective){
        .settings = &scheduler->settings,
        .listen_flag = options->listen,
        .workers_flag = options->listen_workers,
        .home_flag = options->home,
        .dags_flag = options->dags,
        .project_flag = options->project,
        .auth_flag = options->auth,
        .home = scheduler->home,
        .dags = scheduler->dags,
        .project = scheduler->project,
        .auth = scheduler->auth != 0,
    });
}

static void open_all(struct scheduler *scheduler)
{
    struct nx_err err;
    char host[256];
    const struct settings *settings = &scheduler->settings;
    char *vars = vars_json(settings), *secrets = settings_named(SETTINGS_SECRET);
    char *connections = connections_json();
    if (strlen(vars) + strlen(secrets) > NX_VARS_MAX)
        die(EXIT_USAGE,
            "vars and secrets together are larger than %d bytes: they travel with every "
            "run; pass paths instead",
            NX_VARS_MAX);
    const char *key_file = getenv("NEXUS_KEY_FILE");
    key_file = key_file && *key_file ? key_file : NULL;
    char *pools_text = pools_json(settings);
    const struct engine_config config = {
        .home = scheduler->home,
        .dags = scheduler->dags,
        .project = scheduler->project,
        .pools = pools_text,
        .vars = vars,
        .secrets = secrets,
        .connections = connections,
        .key_file = key_file,
        .retention = &settings->retention,
        .lost_after_ms = settings->lost_after_ms,
        .notify_delay_ms = settings->notify_delay_ms,
        .public_url = settings->public_url,
        .silent = scheduler->options.silent,
        .elsewhere_url = scheduler->workers_url[0] ? scheduler->workers_url : NULL,
        .certificate = &scheduler->certificate,
        .crash_point = scheduler->options.crash_point,
        .crash_commit = scheduler->options.crash_commit,
        .committed = committed,
        .turned = turned,
        .ready = ready,
        .arg = scheduler,
    };
    if (!engine_open(&config, &scheduler->engine, &err))
        die(err.code == NX_E_BUSY ? EXIT_HELD : 1, "%s", err.text);
    scheduler->effective = describe_settings(scheduler);
    const struct api_config api = {
        .home = scheduler->home,
        .dags = scheduler->dags,
        .project = scheduler->project,
        .host = scheduler->host,
        .port = scheduler->port,
        .inbox = engine_inbox(scheduler->engine),
        .started_ms = scheduler->started_ms,
        .fixed = {pools_text, vars, secrets, connections},
        .key_file = key_file,
        .retention = settings->retention,
        .settings = scheduler->effective,
        .tokens = engine_tokens(scheduler->engine),
        .workers_host = scheduler->workers_host,
        .workers_port = engine_workers_port(scheduler->engine),
        .certificate = scheduler->certificate.text,
        .auth = scheduler->auth != 0,
        .secure = settings->public_url && str_starts(settings->public_url, "https://"),
        .public_host = host_of(settings->public_url, host, sizeof host),
    };
    if (!api_open(&api, &scheduler->api, &err))
        die(err.code == NX_E_BUSY ? EXIT_HELD : 1, "%s", err.text);
    mem_free(vars);
    mem_free(secrets);
    mem_free(connections);
    mem_free(pools_text);
}

/* Signals are taken by a thread of their own, which posts what they mean. */
static void *watch_signals(void *arg)
{
    struct scheduler *scheduler = arg;
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &signal);
    struct message *message = message_new(MSG_STOP);
    inbox_post(engine_inbox(scheduler->engine), message);
    sigwait(&set, &signal); /* the second one does not wait for anything */
    _exit(128 + signal);
}

static void block_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

int main(int argc, char **argv)
{
    struct scheduler scheduler = {0};
    struct nx_err err;
    pthread_t watcher;
    char url[128];
    if (argc == 2 && strcmp(argv[1], LUA_CHILD_OPTION) == 0)
        return lua_child();
    log_open("scheduler", LOG_INFO);
    read_options(&scheduler.options, argc, argv);
    if (scheduler.options.check)
        return checks_print(scheduler.options.home ? scheduler.options.home : ".nexus");
    clock_begin(true);
    scheduler.started_ms = clock_wall_ms();
    if (scheduler.options.parent)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    block_signals();
    settings_init(&scheduler.settings);
    if (!settings_load(&scheduler.settings,
                       scheduler.options.project ? scheduler.options.project : ".", &err))
        die(EXIT_USAGE, "%s", err.text);
    find_places(&scheduler);
    take_lock(&scheduler);
    find_workers_place(&scheduler);
    link_begin();
    open_all(&scheduler);
    const char *host = str_eq(scheduler.host, "0.0.0.0") ? "127.0.0.1"
                       : str_eq(scheduler.host, "::")    ? "::1"
                                                         : scheduler.host;
    snprintf(url, sizeof url, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host,
             api_port(scheduler.api));
    engine_set_url(scheduler.engine, url);
    make_local_token(&scheduler);
    announce(&scheduler, url);
    if (scheduler.workers_url[0])
        log_info("workers on other machines are welcome on %s (port %u)", scheduler.workers_url,
                 engine_workers_port(scheduler.engine));
    log_info("listening on %s, home %s, DAG files in %s", url, scheduler.home, scheduler.dags);
    if (pthread_create(&watcher, NULL, watch_signals, &scheduler) != 0)
        die(1, "cannot start a thread");
    pthread_detach(watcher);
    engine_run(scheduler.engine);
    log_info("stopping");
    api_stop(scheduler.api);
    engine_close(scheduler.engine);
    api_close(scheduler.api);
    mem_free(scheduler.effective);
    settings_fini(&scheduler.settings);
    log_info("stopped");
    return 0;
}
