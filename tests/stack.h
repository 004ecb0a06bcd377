/* A real home of Nexus for tests: scheduler and worker (or `nexus up`) as processes, requests to
 * the API, looks into nexus.db and at the effects that scripts have left in a file.
 *
 * Folders: <folder>/dags, <folder>/home, <folder>/effects; logs of the parts are <folder>/NAME.log.
 * Every process below carries TEST_HOME=<folder> in its environment, so that none is overlooked. */
#ifndef TESTS_STACK_H
#define TESTS_STACK_H

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/base/clock.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/net/fetch.h"
#include "lib/sql/sql.h"
#include "nexus/error.h"

#define STACK_PATH 512

struct stack {
    char folder[256];
    char url[128];               /* of the scheduler that is there now; "": none */
    pid_t scheduler, worker, up; /* 0: not there */
    int scheduler_status;        /* of the last one that has ended; -1: none has */
    struct fetch *fetch;
    struct buf said; /* what went wrong */
};

static inline void stack_fail(struct stack *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void stack_fail(struct stack *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_str(&s->said, "    ");
    buf_vprintf(&s->said, format, args);
    buf_char(&s->said, '\n');
    va_end(args);
}

/* How much longer than usual things may take. */
static inline int64_t stack_slower(void)
{
    const char *mode = getenv("NEXUS_MODE");
    return !mode ? 1 : strcmp(mode, "asan") == 0 ? 4 : strcmp(mode, "tsan") == 0 ? 8 : 1;
}

/* ---- Files ---- */

static inline const char *stack_path(const struct stack *s, char to[STACK_PATH], const char *name)
{
    int n = snprintf(to, STACK_PATH, "%s/%s", s->folder, name);
    must(n > 0 && n < STACK_PATH);
    return to;
}

static inline void stack_write(const struct stack *s, const char *name, const char *text)
{
    char path[STACK_PATH];
    struct nx_err err;
    if (!path_write(stack_path(s, path, name), text, strlen(text), &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static inline bool stack_read(const struct stack *s, const char *name, struct buf *to)
{
    char path[STACK_PATH];
    return path_read(stack_path(s, path, name), 256u << 20, to, NULL);
}

static inline void stack_open(struct stack *s, const char *name)
{
    static const char *const ours[] = {"NEXUS_HOME",       "NEXUS_URL",     "NEXUS_LISTEN",
                                       "NEXUS_DAGS",       "NEXUS_SLOTS",   "NEXUS_GRACE",
                                       "NEXUS_LOST_AFTER", "NEXUS_LOG_MAX", "NEXUS_LEASE"};
    const char *parent = getenv("TMPDIR");
    char path[STACK_PATH];
    *s = (struct stack){.scheduler_status = -1};
    snprintf(s->folder, sizeof s->folder, "%s/%s.XXXXXX", parent ? parent : "/tmp", name);
    must(mkdtemp(s->folder) != NULL);
    must(mkdir(stack_path(s, path, "dags"), 0755) == 0);
    must(mkdir(stack_path(s, path, "home"), 0755) == 0);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        unsetenv(ours[i]);
    setenv("TEST_HOME", s->folder, 1);
    s->fetch = fetch_new();
}

/* ---- Processes ---- */

static inline void stack_program(const char *name, char *to, size_t size)
{
    const char *bin = getenv("NEXUS_BIN");
    char folder[PATH_MAX_BYTES];
    must(path_of_program(folder, sizeof folder)); /* build/MODE/tests/crash */
    int n = bin ? snprintf(to, size, "%s/%s", bin, name)
                : snprintf(to, size, "%s/../../bin/%s", folder, name);
    must(n > 0 && (size_t)n < size);
}

/* Started in the folder; ends with this process. Its output goes to NAME.log. */
static inline pid_t stack_spawn(const struct stack *s, const char *name, const char *const *args)
{
    char program[PATH_MAX_BYTES], log[STACK_PATH], log_name[64];
    const char *argv[32] = {program};
    size_t n = 0;
    while (args[n] && n < 30) {
        argv[n + 1] = args[n];
        n++;
    }
    stack_program(name, program, sizeof program);
    snprintf(log_name, sizeof log_name, "%s.log", name);
    stack_path(s, log, log_name);
    pid_t parent = getpid(), pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (getppid() != parent || fd < 0 || chdir(s->folder) != 0)
        _exit(127);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* crash: POINT:N of --crash-at, or NULL. */
static inline void stack_start_scheduler(struct stack *s, const char *crash)
{
    const char *args[] = {"--home",      "home", "--dags", "dags", "--listen",
                          "127.0.0.1:0", NULL,   NULL,     NULL};
    if (crash) {
        args[6] = "--crash-at";
        args[7] = crash;
    }
    s->url[0] = 0;
    s->scheduler = stack_spawn(s, "nexus-scheduler", args);
}

static inline void stack_start_worker(struct stack *s, const char *slots)
{
    const char *args[] = {"--home", "home", "--slots", slots, NULL};
    s->worker = stack_spawn(s, "nexus-worker", args);
}

static inline void stack_start_up(struct stack *s, const char *slots)
{
    const char *args[] = {"up",       "--home",      "home",    "--dags", "dags",
                          "--listen", "127.0.0.1:0", "--slots", slots,    NULL};
    s->url[0] = 0;
    s->up = stack_spawn(s, "nexus", args);
}

/* Whether the process has ended (then *pid is 0). */
static inline bool stack_reap(pid_t *pid, int *status)
{
    int value = 0;
    if (*pid == 0)
        return true;
    if (waitpid(*pid, &value, WNOHANG) != *pid)
        return false;
    *pid = 0;
    if (status)
        *status = value;
    return true;
}

/* SIGTERM, and an orderly end within that time; else SIGKILL and a failure. */
static inline void stack_end(struct stack *s, pid_t *pid, const char *name, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms * stack_slower();
    int status = 0;
    if (*pid == 0)
        return;
    kill(*pid, SIGTERM);
    while (!stack_reap(pid, &status) && clock_mono_ms() < until)
        clock_sleep_ms(2);
    if (*pid) {
        stack_fail(s, "%s does not end within %lld ms of SIGTERM", name, (long long)ms);
        kill(*pid, SIGKILL);
        waitpid(*pid, NULL, 0);
        *pid = 0;
    } else if (status != 0) {
        stack_fail(s, "%s ended with wait status 0x%x", name, (unsigned)status);
    }
}

/* The number in the JSON or text file of a running part: run/scheduler.json, run/worker-X.id. */
static inline pid_t stack_pid_in(const struct stack *s, const char *name)
{
    struct buf text = {0};
    json_t *o = NULL;
    pid_t pid = 0;
    if (stack_read(s, name, &text)) {
        if (str_ends(name, ".json")) {
            o = json_loads(buf_text(&text), 0, NULL);
            pid = (pid_t)json_integer_value(json_object_get(o, "pid"));
            json_decref(o);
        } else {
            pid = (pid_t)strtol(buf_text(&text), NULL, 10);
        }
    }
    buf_fini(&text);
    return pid;
}

/* The pid of this home's worker, whoever has started it; 0: none has said its name yet. */
static inline pid_t stack_worker_pid(const struct stack *s)
{
    char path[STACK_PATH];
    struct dirent *entry;
    pid_t pid = 0;
    DIR *dir = opendir(stack_path(s, path, "home/run"));
    while (dir && (entry = readdir(dir))) {
        char name[300];
        if (!str_starts(entry->d_name, "worker-"))
            continue;
        snprintf(name, sizeof name, "home/run/%s", entry->d_name);
        pid = stack_pid_in(s, name);
    }
    if (dir)
        closedir(dir);
    return pid > 0 && kill(pid, 0) == 0 ? pid : 0;
}

/* Calls visit for every process with this entry ("NAME=value", or "NAME=" for any value) in its
 * environment; returns how many there are. */
static inline unsigned stack_each(const char *entry, void (*visit)(pid_t pid, void *arg), void *arg)
{
    unsigned n_found = 0;
    struct dirent *process;
    DIR *dir = opendir("/proc");
    must(dir != NULL);
    while ((process = readdir(dir))) {
        char path[64];
        struct buf env = {0};
        bool found = false;
        if (!isdigit((unsigned char)process->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/environ", process->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        for (ssize_t n = fd < 0 ? 0 : 1; n > 0;) {
            n = read(fd, buf_reserve(&env, 65536), 65536);
            env.len += n > 0 ? (size_t)n : 0;
        }
        if (fd >= 0)
            close(fd);
        buf_char(&env, 0);
        for (const char *p = env.data; p < env.data + env.len && !found; p += strlen(p) + 1)
            found = entry[strlen(entry) - 1] == '=' ? str_starts(p, entry) : str_eq(p, entry);
        buf_fini(&env);
        pid_t pid = (pid_t)strtol(process->d_name, NULL, 10);
        if (!found || pid == getpid())
            continue;
        n_found++;
        if (visit)
            visit(pid, arg);
    }
    closedir(dir);
    return n_found;
}

static inline void stack_kill_visited(pid_t pid, void *arg)
{
    struct stack *s = arg;
    char path[64], command[200] = "";
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, command, sizeof command - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i++)
        command[i] = command[i] ? command[i] : ' ';
    if (n > 0) /* else it is about to be gone */
        stack_fail(s, "left behind: process %d: %s", (int)pid, command);
    kill(pid, SIGKILL);
}

/* When all parts were told to end: nothing of this home may be there. */
static inline void stack_check_orphans(struct stack *s)
{
    char entry[300];
    snprintf(entry, sizeof entry, "TEST_HOME=%s", s->folder);
    stack_each(entry, stack_kill_visited, s);
}

/* ---- The API ---- */

/* Reads the address of the scheduler that runs now; false: none has said it yet. */
static inline bool stack_find_url(struct stack *s)
{
    struct buf text = {0};
    bool found = false;
    if (stack_read(s, "home/run/scheduler.json", &text)) {
        json_t *o = json_loads(buf_text(&text), 0, NULL);
        pid_t pid = (pid_t)json_integer_value(json_object_get(o, "pid"));
        const char *url = json_string_value(json_object_get(o, "url"));
        if (url && pid > 0 && kill(pid, 0) == 0 && (!s->scheduler || s->scheduler == pid))
            found = str_copy(s->url, sizeof s->url, url);
        json_decref(o);
    }
    buf_fini(&text);
    return found;
}

/* One request; the status, or 0 without an answer. *answer is the JSON of the body or NULL; may be
 * NULL itself. */
static inline int stack_call(struct stack *s, const char *method, const char *path,
                             const char *body, const char *key, json_t **answer)
{
    char url[STACK_PATH], header[128];
    const char *headers[] = {"Content-Type: application/json", NULL, NULL};
    struct fetch_response response = {0};
    struct nx_err err;
    int status = 0;
    if (answer)
        *answer = NULL;
    if (!s->url[0] && !stack_find_url(s))
        return 0;
    snprintf(url, sizeof url, "%s%s", s->url, path);
    if (key) {
        snprintf(header, sizeof header, "Idempotency-Key: %s", key);
        headers[1] = header;
    }
    struct fetch_request request = {.method = method,
                                    .url = url,
                                    .headers = headers,
                                    .body = body,
                                    .n_body = body ? strlen(body) : 0,
                                    .connect_ms = 1000,
                                    .timeout_ms = 5000 * stack_slower()};
    if (fetch_run(s->fetch, &request, &response, &err)) {
        status = response.status;
        if (answer)
            *answer = json_loadb(buf_text(&response.body), response.body.len, 0, NULL);
        fetch_response_fini(&response);
    } else {
        s->url[0] = 0;
    }
    return status;
}

/* Asks until the run is there, with one key, so that it is made once. `tend` is called between
 * tries (it starts again what has died). Returns the run's number, 0 on failure. */
static inline uint64_t stack_trigger(struct stack *s, const char *dag, const char *key, int64_t ms,
                                     void (*tend)(struct stack *s))
{
    char path[STACK_PATH];
    int64_t until = clock_mono_ms() + ms * stack_slower();
    int status = 0;
    snprintf(path, sizeof path, "/api/v1/dags/%s/runs", dag);
    while (clock_mono_ms() < until) {
        json_t *answer;
        uint64_t run = 0;
        status = stack_call(s, "POST", path, "{\"params\": {}}", key, &answer);
        const char *id = json_string_value(json_object_get(answer, "id"));
        if (id && (status == 200 || status == 201))
            run = strtoull(id, NULL, 10);
        json_decref(answer);
        if (run)
            return run;
        if (tend)
            tend(s);
        clock_sleep_ms(5);
    }
    stack_fail(s, "no run of %s could be made: status %d", dag, status);
    return 0;
}

/* Waits until the run is final and gives its state ("success", ...); "" when it took too long. */
static inline void stack_wait(struct stack *s, uint64_t run, int64_t ms, char state[16],
                              void (*tend)(struct stack *s))
{
    char path[STACK_PATH];
    int64_t until = clock_mono_ms() + ms * stack_slower();
    snprintf(path, sizeof path, "/api/v1/runs/%llu", (unsigned long long)run);
    state[0] = 0;
    while (clock_mono_ms() < until) {
        json_t *answer;
        int status = stack_call(s, "GET", path, NULL, NULL, &answer);
        const char *now = json_string_value(json_object_get(answer, "state"));
        bool final = status == 200 && now &&
                     (str_eq(now, "success") || str_eq(now, "failed") || str_eq(now, "cancelled"));
        if (final)
            str_copy(state, 16, now);
        json_decref(answer);
        if (final)
            return;
        if (tend)
            tend(s);
        clock_sleep_ms(5);
    }
    stack_fail(s, "run %llu has not ended after %lld ms", (unsigned long long)run,
               (long long)(ms * stack_slower()));
}

/* ---- The database, when nobody writes it ---- */

static inline struct sql *stack_db(struct stack *s)
{
    char path[STACK_PATH];
    struct sql *sql = NULL;
    struct nx_err err;
    if (!sql_open_reader(stack_path(s, path, "home/nexus.db"), 0, &sql, &err)) {
        stack_fail(s, "%s", err.text);
        return NULL;
    }
    return sql;
}

/* The number must be that. */
static inline void stack_check_sql(struct stack *s, struct sql *sql, int64_t expected,
                                   const char *text)
{
    int64_t got = -1;
    struct nx_err err;
    if (!sql_get_int(sql, text, &got, &err))
        stack_fail(s, "%s", err.text);
    else if (got != expected)
        stack_fail(s, "%lld, not %lld: %s", (long long)got, (long long)expected, text);
}

static inline void stack_check_integrity(struct stack *s, struct sql *sql)
{
    struct sql_stmt *stmt;
    struct nx_err err;
    bool row;
    if (!sql_prepare(sql, "pragma integrity_check", &stmt, &err)) {
        stack_fail(s, "%s", err.text);
        return;
    }
    while (sql_step(stmt, &row, &err) && row) {
        const char *said = sql_text(stmt, 0);
        if (!said || !str_eq(said, "ok"))
            stack_fail(s, "integrity_check: %s", said ? said : "");
    }
    sql_stmt_free(stmt);
}

/* Rows as text: what explains a failure. */
static inline void stack_dump_sql(struct stack *s, struct sql *sql, const char *text)
{
    struct sql_stmt *stmt;
    struct nx_err err;
    bool row;
    if (!sql_prepare(sql, text, &stmt, &err)) {
        stack_fail(s, "%s", err.text);
        return;
    }
    while (sql_step(stmt, &row, &err) && row) {
        buf_str(&s->said, "      ");
        for (int i = 0; i < sql_n_columns(stmt); i++)
            buf_printf(&s->said, "%s ", sql_is_null(stmt, i) ? "-" : sql_text(stmt, i));
        buf_char(&s->said, '\n');
    }
    sql_stmt_free(stmt);
}

/* What parts have said must not hold an end that nobody here has brought about. */
static inline void stack_check_log(struct stack *s, const char *name)
{
    static const char *const bad[] = {"Sanitizer", "runtime error", "ended with status",
                                      "assertion", "SEGV",          "ABRT"};
    struct buf text = {0};
    if (stack_read(s, name, &text) && text.len) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            if (strstr(text.data, bad[i]))
                stack_fail(s, "%s: '%s'", name, bad[i]);
        for (const char *p = text.data; (p = strstr(p, "ended by signal ")); p += 16)
            if (!str_starts(p, "ended by signal 9 "))
                stack_fail(s, "%s: %.40s", name, p);
    }
    buf_fini(&text);
}

/* The end of a part's log. */
static inline void stack_dump_log(struct stack *s, const char *name, size_t n_bytes)
{
    struct buf text = {0};
    if (stack_read(s, name, &text) && text.len) {
        size_t from = text.len > n_bytes ? text.len - n_bytes : 0;
        buf_printf(&s->said, "    ---- the end of %s:\n%s\n", name, text.data + from);
    }
    buf_fini(&text);
}

static inline void stack_close(struct stack *s, bool keep)
{
    if (!keep)
        path_remove_tree(s->folder, NULL);
    fetch_free(s->fetch);
    buf_fini(&s->said);
}

/* ---- Effects ---- */

/* A line "what run task attempt mark [more]" that a script has appended. The lease is the last
 * number of the mark: nexus:HOME:WORKER:INCARNATION:run.task.map.attempt.LEASE; */
struct effect {
    char what[16], task[65], more[128];
    uint64_t run;
    unsigned attempt, lease;
};

typedef VEC(struct effect) effect_list;

static inline void stack_effects(struct stack *s, effect_list *list)
{
    struct buf text = {0};
    char *rest = NULL;
    if (!stack_read(s, "effects", &text))
        return;
    for (char *line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct effect e = {0};
        char mark[256];
        unsigned long long run;
        int n = sscanf(line, "%15s %llu %64s %u %255s %127[^\n]", e.what, &run, e.task, &e.attempt,
                       mark, e.more);
        char *dot = n >= 5 ? strrchr(mark, '.') : NULL;
        if (!dot) {
            stack_fail(s, "not an effect: %s", line);
            continue;
        }
        e.run = run;
        e.lease = (unsigned)strtoul(dot + 1, NULL, 10);
        vec_push(list, e);
    }
    buf_fini(&text);
}

static inline unsigned effects_count(const effect_list *list, const char *what, const char *task,
                                     unsigned attempt /* 0: any */)
{
    unsigned n = 0;
    for (size_t i = 0; i < list->n; i++)
        n += str_eq(list->at[i].what, what) && str_eq(list->at[i].task, task) &&
             (attempt == 0 || list->at[i].attempt == attempt);
    return n;
}

#endif
