/* nexus-worker: takes leases from the scheduler and runs them in nexus-task children. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/net/link.h"
#include "lib/text/settings.h"
#include "nexus/limits.h"
#include "worker/agent.h"
#include "worker/join.h"

#define USAGE 2
#define HELD 1
#define HELD_WAIT_MS 3000
#define QUEUES_MAX 2048

static const char HELP[] =
    "usage: nexus-worker --home DIR [options]\n"
    "       nexus-worker --join FILE [options]\n"
    "  --home DIR      where Nexus keeps its state\n"
    "  --url URL       the scheduler (default ipc://<home>/run/dispatch.sock)\n"
    "  --join FILE     the scheduler is on another machine: `nexus token create --worker` makes\n"
    "                  the file; --home is then this worker's own (default .nexus-worker)\n"
    "  --cache SIZE    artifacts kept here then, about so much (default 10G)\n"
    "  --name NAME     this worker's name, one of its own in this home (default: the host's)\n"
    "  --slots N       attempts at once (default: processors)\n"
    "  --queue A,B     queues that it serves (default: default)\n"
    "  --memory SIZE   memory that tasks may ask for (default: all)\n"
    "  --gpus N        GPUs that tasks may ask for (default: 0)\n"
    "  --project DIR   the folder that tasks see as theirs (default: .)\n"
    "  --parent[=PID]  end together with the program that started it\n"
    "  --debug, --version, --help\n";

struct options {
    const char *home, *url, *join, *name, *queues, *project;
    int64_t slots, gpus, memory_bytes, cache_bytes;
    pid_t parent;
    enum log_level level;
};

static int64_t number(const char *name, const char *value, int64_t least, int64_t most)
{
    int64_t v;
    if (!str_parse_int(value, &v) || v < least || v > most)
        die(USAGE, "--%s %s: a number from %lld to %lld is needed", name, value, (long long)least,
            (long long)most);
    return v;
}

static void take_option(struct options *options, const char *name, const char *value)
{
    if (str_eq(name, "home"))
        options->home = value;
    else if (str_eq(name, "url"))
        options->url = value;
    else if (str_eq(name, "name"))
        options->name = value;
    else if (str_eq(name, "join"))
        options->join = value;
    else if (str_eq(name, "queues") || str_eq(name, "queue"))
        options->queues = value;
    else if (str_eq(name, "project"))
        options->project = value;
    else if (str_eq(name, "slots"))
        options->slots = number(name, value, 1, NX_SLOTS_MAX);
    else if (str_eq(name, "gpus"))
        options->gpus = number(name, value, 0, 1024);
    else if (str_eq(name, "parent"))
        options->parent = value ? (pid_t)number(name, value, 1, INT_MAX) : getppid();
    else if (str_eq(name, "debug"))
        options->level = LOG_DEBUG;
    else if (str_eq(name, "cache")) {
        if (!str_parse_size(value, &options->cache_bytes) || options->cache_bytes <= 0)
            die(USAGE, "--cache %s: a size such as 10G is needed", value);
    } else if (!str_parse_size(value, &options->memory_bytes) || options->memory_bytes <= 0)
        die(USAGE, "--memory %s: a size such as 8G is needed", value);
}

static const char *make_own_home(void)
{
    static const char home[] = ".nexus-worker";
    struct nx_err err;
    if (!path_make_private_folder(home, &err))
        die(1, "%s", err.text);
    return home;
}

static void read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        {"home", required_argument, NULL, 0},    {"url", required_argument, NULL, 0},
        {"name", required_argument, NULL, 0},    {"slots", required_argument, NULL, 0},
        {"queues", required_argument, NULL, 0},  {"queue", required_argument, NULL, 0},
        {"join", required_argument, NULL, 0},    {"cache", required_argument, NULL, 0},
        {"memory", required_argument, NULL, 0},  {"gpus", required_argument, NULL, 0},
        {"project", required_argument, NULL, 0}, {"parent", optional_argument, NULL, 0},
        {"debug", no_argument, NULL, 0},         {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    int i = 0, c;
    while ((c = getopt_long(argc, argv, "", table, &i)) != -1) {
        if (c == 'v' || c == 'h') {
            fputs(c == 'v' ? "nexus-worker " NEXUS_VERSION "\n" : HELP, stdout);
            exit(0);
        }
        if (c != 0) {
            fputs(HELP, stderr);
            exit(USAGE);
        }
        take_option(options, table[i].name, optarg);
    }
    if (optind < argc)
        die(USAGE, "'%s' is not an option; see --help", argv[optind]);
    if (options->join && options->url)
        die(USAGE, "--join and --url: the join file says where the scheduler is");
    if (options->join && !options->home)
        options->home = make_own_home();
    if (!options->home)
        die(USAGE, "--home DIR or --join FILE is needed");
}

/* The host's name as an id: lower case, other characters as '-'. */
static void default_name(char *to, size_t size)
{
    if (gethostname(to, size) != 0)
        to[0] = 0;
    to[size - 1] = 0;
    for (char *p = to; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
        else if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '_')
            *p = '-';
    }
    if (!str_is_id(to, true))
        str_copy(to, size, "worker");
}

/* One that was killed together with its `nexus up` takes a moment to be gone. */
static bool lock_soon(int fd)
{
    int64_t until = clock_mono_ms() + HELD_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (clock_mono_ms() >= until)
            return false;
        clock_sleep_ms(5);
    }
    return true;
}

/* Holds run/worker-<name>.id for as long as this process lives. */
static void hold_name(const char *home, const char *name)
{
    char path[PATH_MAX_BYTES], folder[PATH_MAX_BYTES], text[64] = "";
    struct nx_err err;
    if (!path_join(folder, sizeof folder, home, "run") ||
        snprintf(path, sizeof path, "%s/worker-%s.id", folder, name) >= (int)sizeof path)
        die(USAGE, "--home %s is too long", home);
    if (!path_make_folders(folder, &err))
        die(1, "%s", err.text);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        die(1, "cannot open %s: %s", path, strerror(errno));
    if (!lock_soon(fd)) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? strcspn(text, "\n") : 0] = 0;
        die(HELD, "worker '%s' of this home runs already (process %s); give another --name", name,
            text[0] ? text : "unknown");
    }
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)n) != n)
        die(1, "cannot write %s: %s", path, strerror(errno));
    /* Never closed: the lock ends with the process. */
}

static void find_program(char *to, size_t size)
{
    static const char *const places[] = {"nexus-task", "../libexec/nexus/nexus-task",
                                         "../lib/nexus/nexus-task"};
    char folder[PATH_MAX_BYTES];
    if (!path_of_program(folder, sizeof folder))
        die(1, "cannot tell where this program is");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (path_join(to, size, folder, places[i]) && access(to, X_OK) == 0)
            return;
    die(1, "nexus-task is neither in %s nor in %s/../libexec/nexus", folder, folder);
}

/* The hash of what nexus-task says of its operators. */
static void hash_catalog(const char *program, char hex[SHA256_HEX])
{
    char *argv[] = {(char *)program, "--catalog", NULL};
    char bytes[65536];
    struct sha256 sha;
    int fds[2], status = 0;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe2(fds, O_CLOEXEC) != 0)
        die(1, "cannot make a pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    int e = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (e != 0)
        die(1, "cannot start %s: %s", program, strerror(e));
    sha256_init(&sha);
    for (ssize_t n; (n = read(fds[0], bytes, sizeof bytes)) != 0;) {
        if (n > 0)
            sha256_add(&sha, bytes, (size_t)n);
        else if (errno != EINTR)
            break;
    }
    close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        die(1, "%s --catalog failed", program);
    sha256_end_hex(&sha, hex);
}

/* Five descriptors a child, and those of its log, stamps, metrics and usage while they are open.
 */
static void allow_files(int64_t slots)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)slots * 9 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed)
        log_warn("%lld slots need %llu open files; the limit is %llu (ulimit -n)", (long long)slots,
                 (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
}

/* Who starts a worker to end with him may have asked the kernel for that. SIGKILL would leave the
 * attempts' processes behind: SIGTERM instead, upon which the agent sees that he is gone. */
static void find_parent(struct options *options)
{
    int number = 0;
    if (!options->parent && prctl(PR_GET_PDEATHSIG, &number) == 0 && number != 0)
        options->parent = getppid();
}

static void prepare_process(struct options *options)
{
    allow_files(options->slots);
    find_parent(options);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    if (options->parent && prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        die(1, "cannot watch the parent: %s", strerror(errno));
    if (options->parent && getppid() != options->parent)
        die(1, "the program that started this worker is gone");
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            die(1, "cannot open /dev/null");
}

static void absolute(char to[PATH_MAX], const char *option, const char *path)
{
    if (!realpath(path, to) || !path_is_folder(to))
        die(USAGE, "--%s %s: %s", option, path, errno ? strerror(errno) : "not a folder");
}

/* As DAG files may name them, so that a task can come here. */
static void check_queues(const char *queues)
{
    char name[NX_ID_MAX + 1];
    if (strlen(queues) > QUEUES_MAX)
        die(USAGE, "--queue: at most %d bytes", QUEUES_MAX);
    for (const char *p = queues;; p++) {
        size_t n = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name), p);
        if (n > NX_ID_MAX || !str_is_id(name, true))
            die(USAGE,
                "--queue %s: '%s' is no name of a queue: lower case letters, digits, _ and -, a "
                "letter first; several with a comma between them",
                queues, name);
        p += n;
        if (!*p)
            return;
    }
}

/* What nexus.yaml and NEXUS_LOG_MAX say; -1: nothing. */
static int64_t log_max(const char *folder)
{
    struct settings settings;
    struct nx_err err;
    settings_init(&settings);
    if (!settings_load(&settings, folder, &err))
        die(USAGE, "%s", err.text);
    int64_t bytes = settings.log_max_bytes;
    settings_fini(&settings);
    return bytes;
}

int main(int argc, char **argv)
{
    static char home[PATH_MAX], project[PATH_MAX];
    static struct join join;
    char name[NX_ID_MAX + 1], url[PATH_MAX_BYTES], program[PATH_MAX_BYTES], catalog[SHA256_HEX];
    struct nx_err err;
    struct options options = {.queues = "default",
                              .project = ".",
                              .slots = sysconf(_SC_NPROCESSORS_ONLN),
                              .memory_bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE),
                              .level = LOG_INFO};
    log_open("nexus-worker", LOG_INFO);
    read_options(argc, argv, &options);
    log_open("nexus-worker", options.level);
    clock_begin(true);
    if (options.join && !path_make_private_folder(options.home, &err))
        die(USAGE, "--home: %s", err.text);
    absolute(home, "home", options.home);
    absolute(project, "project", options.project);
    default_name(name, sizeof name);
    if (options.name &&
        (!str_is_id(options.name, true) || !str_copy(name, sizeof name, options.name)))
        die(USAGE, "--name %s: a name such as worker-1 is needed", options.name);
    if (options.slots > NX_SLOTS_MAX)
        options.slots = NX_SLOTS_MAX;
    prepare_process(&options);
    if (snprintf(url, sizeof url, "ipc://%s/run/dispatch.sock", home) >= (int)sizeof url)
        die(USAGE, "--home %s is too long", home);
    check_queues(options.queues);
    hold_name(home, name);
    if (options.join && (!join_read(options.join, &join, &err) || !join_home(&join, home, &err)))
        die(1, "%s", err.text);
    find_program(program, sizeof program);
    hash_catalog(program, catalog);
    struct agent_config config = {.home = home,
                                  .project = project,
                                  .url = options.join  ? join.url
                                         : options.url ? options.url
                                                       : url,
                                  .join = options.join ? &join : NULL,
                                  .cache_max_bytes = options.cache_bytes,
                                  .name = name,
                                  .queues = options.queues,
                                  .program = program,
                                  .catalog = catalog,
                                  .slots = (uint32_t)options.slots,
                                  .gpus = (uint32_t)options.gpus,
                                  .memory_bytes = options.memory_bytes,
                                  .log_max_bytes = log_max(project),
                                  .parent = options.parent};
    link_begin();
    if (!agent_run(&config, &err))
        die(1, "%s", err.text);
    return 0;
}
