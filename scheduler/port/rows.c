#include "scheduler/port/rows.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/apart.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

#define CHILD "nexus-task"
#define ANSWER_MAX (64u * 1024 * 1024) /* a row more than a page may have */
#define KEPT_MAX 256
#define KEPT_BYTES_MAX (32u * 1024 * 1024)

struct kept_rows {
    char *key;
    struct buf text;
    uint64_t used; /* the greatest: last */
};

struct rows {
    bool (*ending)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t ended; /* a thread has */
    unsigned n_threads, n_waiting;
    struct rows_wish *first, **last;
    struct kept_rows kept[KEPT_MAX];
    size_t n_kept, n_bytes;
    uint64_t n_uses;
};

/* ---- What is kept; with the lock held ---- */

static void forget(struct rows *rows, size_t i)
{
    struct kept_rows *kept = &rows->kept[i];
    rows->n_bytes -= kept->text.len;
    mem_free(kept->key);
    buf_fini(&kept->text);
    *kept = rows->kept[--rows->n_kept];
}

static void forget_oldest(struct rows *rows)
{
    size_t oldest = 0;
    for (size_t i = 1; i < rows->n_kept; i++) {
        if (rows->kept[i].used < rows->kept[oldest].used)
            oldest = i;
    }
    forget(rows, oldest);
}

static struct kept_rows *find(struct rows *rows, const char *key)
{
    for (size_t i = 0; i < rows->n_kept; i++) {
        if (str_eq(rows->kept[i].key, key)) {
            rows->kept[i].used = ++rows->n_uses;
            return &rows->kept[i];
        }
    }
    return NULL;
}

static void keep(struct rows *rows, const char *key, const struct buf *text)
{
    if (text->len > KEPT_BYTES_MAX / 4 || find(rows, key))
        return;
    while (rows->n_kept == KEPT_MAX || rows->n_bytes + text->len > KEPT_BYTES_MAX)
        forget_oldest(rows);
    struct kept_rows *kept = &rows->kept[rows->n_kept++];
    *kept = (struct kept_rows){.key = mem_strdup(key), .used = ++rows->n_uses};
    buf_add(&kept->text, text->data, text->len);
    rows->n_bytes += text->len;
}

bool rows_find(struct rows *rows, const char *key, struct buf *to)
{
    pthread_mutex_lock(&rows->lock);
    const struct kept_rows *kept = find(rows, key);
    if (kept)
        buf_add(to, kept->text.data, kept->text.len);
    pthread_mutex_unlock(&rows->lock);
    return kept != NULL;
}

/* ---- Children ---- */

/* What it reads comes from anybody: it gets nothing of our environment that it has no use for. */
static void choose_env(const char **env, size_t max)
{
    static const char *const wanted[] = {"NEXUS_DUCKDB=",  "LD_LIBRARY_PATH=", "ASAN_OPTIONS=",
                                         "UBSAN_OPTIONS=", "TSAN_OPTIONS=",    "LSAN_OPTIONS="};
    extern char **environ;
    size_t n = 0;
    for (char **e = environ; *e; e++) {
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted && n + 1 < max; i++) {
            if (str_starts(*e, wanted[i]))
                env[n++] = *e;
        }
    }
    env[n] = NULL;
}

/* {"error": {"code", "message"}}, if that is what it says. */
static bool take_error(const struct buf *answer, struct nx_err *err)
{
    if (!str_starts(buf_text(answer), "{\"error\":"))
        return false;
    json_t *json = json_loadb(answer->data, answer->len, 0, NULL);
    const json_t *error = json_object_get(json, "error");
    nx_fail(err, nx_code_find(js_get_text(error, "code", "")), "the file cannot be shown: %s",
            js_get_text(error, "message", "it is damaged"));
    json_decref(json);
    return true;
}

static bool judge(enum apart_end end, int status, const struct buf *answer, struct nx_err *err)
{
    bool slow = WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU;
    if (end == APART_NOT_STARTED)
        return nx_fail(err, NX_E_IO, "cannot start " CHILD ": %s", strerror(errno));
    if (end == APART_CANCELLED)
        return nx_fail(err, NX_E_BUSY, "the scheduler is stopping");
    if (end == APART_LATE || (end == APART_ENDED && slow))
        return nx_fail(err, NX_E_TIMEOUT,
                       "reading the rows took more than %d s: download the file instead",
                       NX_ROWS_MS / 1000);
    if (end == APART_TOO_LONG)
        return nx_fail(err, NX_E_LIMIT, "its rows are too long to be shown: ask for fewer");
    if (WIFSIGNALED(status))
        return nx_fail(err, NX_E_DATA, "the process that read it was ended by signal %d",
                       WTERMSIG(status));
    if (WEXITSTATUS(status) != 0 || answer->len == 0)
        return nx_fail(err, NX_E_INTERNAL, "the process that read it ended with status %d",
                       WEXITSTATUS(status));
    return !take_error(answer, err);
}

static bool read_rows(struct rows *rows, const struct rows_wish *wish, struct nx_err *err)
{
    char program[PATH_MAX_BYTES];
    const char *env[16];
    const char *argv[] = {program, "--rows", wish->request, NULL};
    const struct apart apart = {.argv = argv,
                                .env = env,
                                .in = wish->fd,
                                .out_max = ANSWER_MAX,
                                .timeout_ms = NX_ROWS_MS,
                                .cancelled = rows->ending,
                                .arg = rows->arg};
    struct buf answer;
    int status = 0;
    if (rows_find(rows, wish->key, wish->to)) /* somebody else has asked the same meanwhile */
        return true;
    if (rows->ending(rows->arg))
        return judge(APART_CANCELLED, 0, NULL, err);
    if (!path_find_program(CHILD, program, sizeof program, err))
        return nx_wrap(err, "tables are read by it");
    choose_env(env, sizeof env / sizeof *env);
    buf_init(&answer);
    enum apart_end end = apart_run(&apart, &answer, &status);
    bool ok = judge(end, status, &answer, err);
    if (ok) {
        buf_add(wish->to, answer.data, answer.len);
        pthread_mutex_lock(&rows->lock);
        keep(rows, wish->key, &answer);
        pthread_mutex_unlock(&rows->lock);
    }
    buf_fini(&answer);
    return ok;
}

/* ---- Threads: they end when nothing is wished ---- */

static void *serve(void *arg)
{
    struct rows *rows = arg;
    pthread_mutex_lock(&rows->lock);
    while (rows->first) {
        struct rows_wish *wish = rows->first;
        rows->first = wish->next;
        if (!rows->first)
            rows->last = &rows->first;
        rows->n_waiting--;
        pthread_mutex_unlock(&rows->lock);
        wish->ok = read_rows(rows, wish, wish->err);
        wish->done(wish);
        pthread_mutex_lock(&rows->lock);
    }
    rows->n_threads--;
    pthread_cond_signal(&rows->ended);
    pthread_mutex_unlock(&rows->lock);
    return NULL;
}

/* With the lock held; false: there is none that would serve. */
static bool start_thread(struct rows *rows)
{
    pthread_t thread;
    if (rows->n_threads == ROWS_CHILDREN_MAX)
        return true;
    if (pthread_create(&thread, NULL, serve, rows) != 0)
        return rows->n_threads > 0;
    pthread_detach(thread);
    rows->n_threads++;
    return true;
}

bool rows_wish(struct rows *rows, struct rows_wish *wish, struct nx_err *err)
{
    must(wish->done && !wish->next);
    pthread_mutex_lock(&rows->lock);
    bool room = rows->n_waiting < ROWS_WAITING_MAX && start_thread(rows);
    if (room) {
        *rows->last = wish;
        rows->last = &wish->next;
        rows->n_waiting++;
    }
    pthread_mutex_unlock(&rows->lock);
    return room || nx_fail(err, NX_E_BUSY, "too many tables are being read: try again in a moment");
}

struct rows *rows_new(bool (*ending)(void *arg), void *arg)
{
    struct rows *rows = mem_alloc(sizeof *rows);
    rows->ending = ending;
    rows->arg = arg;
    rows->last = &rows->first;
    pthread_mutex_init(&rows->lock, NULL);
    pthread_cond_init(&rows->ended, NULL);
    return rows;
}

void rows_end(struct rows *rows)
{
    pthread_mutex_lock(&rows->lock);
    while (rows->n_threads)
        pthread_cond_wait(&rows->ended, &rows->lock);
    pthread_mutex_unlock(&rows->lock);
}

void rows_free(struct rows *rows)
{
    if (!rows)
        return;
    must(!rows->n_threads);
    while (rows->n_kept)
        forget(rows, 0);
    pthread_mutex_destroy(&rows->lock);
    pthread_cond_destroy(&rows->ended);
    mem_free(rows);
}
