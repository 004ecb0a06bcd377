/* The floors: what the machine and the libraries give by themselves, on the same file system.
 *
 *   floors                               all of them
 *   floors commit | link | child [N]     N of one kind; one line of JSON, in microseconds
 *   floors commits                       commits again and again, as many as each line read says
 *   floors spawn N LANES PROGRAM [ARG]   N processes, LANES at a time, output read from a pipe, a
 *                                         session of its own each; seconds, seconds of CPU
 *
 * commit: one row of about 100 bytes, SQLite as lib/sql opens it (WAL, synchronous=FULL), with its
 * checkpoints. link: one request and its reply between two processes. child: flow.noop in a warm
 * nexus-task. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>

#include "lib/net/link.h"
#include "lib/sql/sql.h"
#include "tests/bench/bench.h"
#include "tests/child_driver.h"

static void stop(const struct nx_err *err)
{
    fprintf(stderr, "floors: %s\n", err->text);
    exit(1);
}

/* ---- One commit ---- */

/* A log that has been written before is overwritten, as that of a scheduler that has run for a
 * while; one that grows costs the file system's journal too. */
static void lengthen_log(struct sql *sql)
{
    struct nx_err err;
    int n_log, n_done;
    if (!sql_exec(sql,
                  "create table filler (b blob); insert into filler values (zeroblob(6000000))",
                  &err) ||
        !sql_exec(sql, "drop table filler", &err) || !sql_checkpoint(sql, &n_log, &n_done, &err))
        stop(&err);
}

struct log {
    char folder[256];
    struct sql *sql;
    struct sql_stmt *put;
};

static void log_start(struct log *log)
{
    struct nx_err err;
    char path[300];
    snprintf(log->folder, sizeof log->folder, "%s/floor-XXXXXX", bench_folder());
    must(mkdtemp(log->folder) != NULL);
    snprintf(path, sizeof path, "%s/floor.db", log->folder);
    if (!sql_open_writer(path, &log->sql, &err) ||
        !sql_exec(log->sql, "create table t (a integer primary key, b text) strict", &err) ||
        !sql_prepare(log->sql, "insert into t (b) values (?1)", &log->put, &err))
        stop(&err);
    lengthen_log(log->sql);
}

static void log_end(struct log *log)
{
    sql_stmt_free(log->put);
    sql_close(log->sql);
    path_remove_tree(log->folder, NULL);
}

static void commit_times(struct log *log, struct samples *samples, int n)
{
    struct nx_err err;
    char text[80];
    int n_log, n_done;
    memset(text, 'x', sizeof text);
    for (int i = 0; i < n; i++) {
        int64_t start = clock_mono_us();
        sql_bind_text_n(log->put, 1, text, sizeof text);
        if (!sql_begin(log->sql, &err) || !sql_run(log->put, &err) || !sql_commit(log->sql, &err))
            stop(&err);
        vec_push(&samples->us, (double)(clock_mono_us() - start));
        if (sql_log_pages(log->sql) >= 1000 && !sql_checkpoint(log->sql, &n_log, &n_done, &err))
            stop(&err);
    }
}

static void measure_commit(struct samples *samples, int n)
{
    struct log log;
    log_start(&log);
    commit_times(&log, samples, n);
    log_end(&log);
}

/* ---- One request and its reply ---- */

#define REQUEST_BYTES 200

/* `arg`: where the server stands once link_listen has returned. */
static void echo(void *arg, unsigned context, const void *bytes, size_t n)
{
    struct link_server **server = arg;
    while (!__atomic_load_n(server, __ATOMIC_ACQUIRE))
        ;
    link_reply(*server, context, bytes, n);
}

static pid_t start_echo(const char *url)
{
    pid_t parent = getpid(), pid = fork();
    must(pid >= 0);
    if (pid)
        return pid;
    struct link_server *server, *listening = NULL;
    struct nx_err err;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (!link_listen(url, 4, echo, &listening, &server, &err))
        stop(&err);
    __atomic_store_n(&listening, server, __ATOMIC_RELEASE);
    for (;;)
        pause();
}

struct asking {
    struct link_client *client;
    struct samples *samples;
    char request[REQUEST_BYTES];
    int64_t start;
    int left;
    sem_t done;
};

static void on_reply(void *arg, unsigned slot, enum nx_code code, const void *bytes, size_t n)
{
    struct asking *asking = arg;
    (void)bytes;
    if (code != NX_OK)
        return;
    must(n == REQUEST_BYTES);
    vec_push(&asking->samples->us, (double)(clock_mono_us() - asking->start));
    if (--asking->left <= 0) {
        sem_post(&asking->done);
        return;
    }
    asking->start = clock_mono_us();
    link_request(asking->client, slot, asking->request, REQUEST_BYTES);
}

static void ask_times(struct asking *asking, int n)
{
    asking->left = n;
    asking->start = clock_mono_us();
    link_request(asking->client, 0, asking->request, REQUEST_BYTES);
    while (sem_wait(&asking->done) != 0)
        ;
}

static void measure_link(struct samples *samples, int n)
{
    struct asking asking = {.samples = samples};
    struct nx_err err;
    char path[256], url[300];
    snprintf(path, sizeof path, "%s/floor-%ld.sock", bench_folder(), (long)getpid());
    snprintf(url, sizeof url, "ipc://%s", path);
    pid_t pid = start_echo(url); /* before this process has threads */
    sem_init(&asking.done, 0, 0);
    if (!link_dial(url, 2, on_reply, &asking, &asking.client, &err))
        stop(&err);
    ask_times(&asking, 100);
    samples->us.n = 0;
    ask_times(&asking, n);
    link_client_close(asking.client);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(path);
    sem_destroy(&asking.done);
}

/* ---- One round trip to a child ---- */

static void noop(struct driven *d, struct buf *frame)
{
    struct child_message start =
        driven_message(d, 1, "{\"uses\":\"flow.noop\"}",
                       "{\"params\":{},\"run\":{\"id\":7},\"dag\":{\"id\":\"bench\"},"
                       "\"task\":{\"id\":\"t\",\"attempt\":1}}");
    driven_send(d, &start);
    while (driven_receive(d, frame).type != CHILD_DONE)
        ;
}

static void measure_child(struct samples *samples, int n)
{
    struct driven d = {0};
    struct buf frame;
    char program[PATH_MAX_BYTES];
    buf_init(&frame);
    driven_program(program, sizeof program);
    snprintf(d.folder, sizeof d.folder, "/tmp/nexus-floor-XXXXXX");
    must(mkdtemp(d.folder) != NULL);
    driven_start(&d, program);
    must(driven_receive(&d, &frame).type == CHILD_READY);
    for (int i = -100; i < n; i++) {
        int64_t start = clock_mono_us();
        noop(&d, &frame);
        if (i >= 0)
            vec_push(&samples->us, (double)(clock_mono_us() - start));
    }
    close(d.fd);
    close(d.out_fd);
    waitpid(d.pid, NULL, 0);
    path_remove_tree(d.folder, NULL);
    buf_fini(&frame);
    buf_fini(&d.inbox);
}

/* ---- Processes ---- */

struct lane {
    pthread_t thread;
    char **argv;
    int n;
};

static void spawn_one(char **argv)
{
    int out[2], status;
    pid_t pid;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    must(pipe2(out, O_CLOEXEC) == 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    must(posix_spawnp(&pid, argv[0], &actions, &attr, argv, environ) == 0);
    close(out[1]);
    driven_drain(out[0]);
    close(out[0]);
    must(waitpid(pid, &status, 0) == pid && status == 0);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
}

static void *run_lane(void *arg)
{
    struct lane *lane = arg;
    for (int i = 0; i < lane->n; i++)
        spawn_one(lane->argv);
    return NULL;
}

/* Seconds. */
static double measure_spawn(int n, int n_lanes, char **argv)
{
    struct lane lanes[64] = {0};
    must(n_lanes > 0 && n_lanes <= 64);
    int64_t start = clock_mono_us();
    for (int i = 0; i < n_lanes; i++) {
        lanes[i].argv = argv;
        lanes[i].n = n / n_lanes + (i < n % n_lanes);
        must(pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) == 0);
    }
    for (int i = 0; i < n_lanes; i++)
        pthread_join(lanes[i].thread, NULL);
    return (double)(clock_mono_us() - start) / 1e6;
}

/* ---- Telling ---- */

struct floor {
    const char *name, *help;
    void (*measure)(struct samples *samples, int n);
    int n;
};

static const struct floor floors[] = {
    {"commit", "one commit", measure_commit, 300},
    {"link", "one request and reply (ipc)", measure_link, 2000},
    {"child", "flow.noop in a warm child", measure_child, 2000},
};
#define N_FLOORS (sizeof floors / sizeof *floors)

static void tell_samples(const struct floor *floor, struct samples *samples, bool json)
{
    samples_sort(samples);
    printf(json ? "{\"floor\": \"%s\", \"n\": %zu, \"mean\": %.2f, \"p50\": %.1f, \"p99\": %.1f}\n"
                : "%-32s n %-6zu mean %8.1f us   p50 %8.1f us   p99 %8.1f us\n",
           json ? floor->name : floor->help, samples->us.n, samples_mean(samples),
           samples_at(samples, 0.5), samples_at(samples, 0.99));
    fflush(stdout);
    vec_fini(&samples->us);
}

static void tell(const struct floor *floor, int n, bool json)
{
    struct samples samples = {0};
    floor->measure(&samples, n);
    tell_samples(floor, &samples, json);
}

/* One log for all answers: what is measured in turn with the scheduler is as old as its own. */
static int answer_commits(void)
{
    struct log log;
    char line[32];
    log_start(&log);
    while (fgets(line, sizeof line, stdin)) {
        struct samples samples = {0};
        commit_times(&log, &samples, atoi(line));
        tell_samples(&floors[0], &samples, true);
    }
    log_end(&log);
    return 0;
}

static int tell_all(void)
{
    char *argv[] = {"/bin/sh", "-c", "true", NULL};
    for (size_t i = 0; i < N_FLOORS; i++)
        tell(&floors[i], floors[i].n, false);
    double s = measure_spawn(1000, 2, argv);
    printf("%-32s n 1000   %.0f a second, two at a time\n", "posix_spawn of sh -c true", 1000 / s);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return tell_all();
    if (strcmp(argv[1], "commits") == 0)
        return answer_commits();
    if (strcmp(argv[1], "spawn") == 0 && argc > 4) {
        struct rusage children;
        double s = measure_spawn(atoi(argv[2]), atoi(argv[3]), argv + 4);
        getrusage(RUSAGE_CHILDREN, &children);
        printf("%.6f %.6f\n", s, (bench_cpu_us() + bench_us(&children)) / 1e6);
        return 0;
    }
    for (size_t i = 0; i < N_FLOORS; i++) {
        if (strcmp(argv[1], floors[i].name) == 0) {
            tell(&floors[i], argc > 2 ? atoi(argv[2]) : floors[i].n, true);
            return 0;
        }
    }
    fprintf(stderr, "floors: there is no '%s'\n", argv[1]);
    return 2;
}
