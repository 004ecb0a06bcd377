#include "cli/live.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/tail.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/states.h"

#define POLL_FIRST_MS 50
#define POLL_LAST_MS 1000
#define REDRAW_MS 100
#define IDLE_MS 2000         /* without anything that runs: then it is said why */
#define UNREACHABLE_MS 60000 /* a server that starts again is waited for */
#define TASKS_SHOWN_MAX 10   /* lines of the redrawn block */
#define TASKS_READ_MAX 2000  /* of a larger run, only what is running is read while it does */
#define PROGRESS_MS 2000     /* between lines on how far such a run is */

struct live {
    struct cli *cli;
    const char *run_id;
    const struct live_options *options;
    bool redraw;
    size_t n_drawn;   /* lines of the block on the screen */
    struct buf block; /* being drawn: written at once, so that nothing flickers */
    json_t *run, *tasks;
    struct map seen;    /* task name -> its last state and attempt as text */
    struct map offsets; /* "task/attempt" -> struct tail of its log */
    int64_t poll_ms, lost_since_ms, drawn_ms;
    bool large;            /* its tasks are not told one by one: more than TASKS_READ_MAX */
    int64_t progress_ms;   /* when it was told last how far a large run is; 0: not yet */
    int64_t idle_since_ms; /* nothing runs since then; 0: something does */
    struct buf idle_why;   /* what was said of that, by codes */
    struct arena scratch;  /* of one look */
};

static void signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

void live_block(void)
{
    sigset_t set;
    signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool live_sleep(int64_t ms)
{
    sigset_t set;
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    signals(&set);
    return sigtimedwait(&set, NULL, &wait) > 0;
}

bool live_interrupted(void)
{
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, SIGINT) || sigismember(&set, SIGTERM) || sigismember(&set, SIGHUP);
}

const char *live_task_name(struct arena *arena, const json_t *instance)
{
    const char *task = js_get_text(instance, "task", "?");
    int64_t map = js_get_int(instance, "map_index", -1);
    return map < 0 ? task : arena_printf(arena, "%s[%lld]", task, (long long)map);
}

static bool is_final(const char *state)
{
    int found = nx_task_state_find(state);
    return found >= 0 && nx_task_state_final((enum nx_task_state)found);
}

static bool run_is_final(const json_t *run)
{
    int found = nx_run_state_find(js_get_text(run, "state", ""));
    return found >= 0 && nx_run_state_final((enum nx_run_state)found);
}

static int64_t count_of(const json_t *run, const char *state)
{
    return js_get_int(json_object_get(run, "counts"), state, 0);
}

static int64_t total_of(const json_t *run, int64_t *ended)
{
    int64_t total = 0;
    const char *state;
    json_t *n;
    *ended = 0;
    json_object_foreach(json_object_get(run, "counts"), state, n)
    {
        total += json_integer_value(n);
        *ended += is_final(state) ? json_integer_value(n) : 0;
    }
    return total;
}

/* ---- The redrawn block ---- */

static void erase_block(struct live *live)
{
    if (live->n_drawn)
        buf_printf(&live->block, "\033[%zuA\033[J", live->n_drawn);
    live->n_drawn = 0;
}

static void flush_block(struct live *live)
{
    fflush(stdout);
    fwrite(buf_text(&live->block), 1, live->block.len, stderr);
    buf_clear(&live->block);
}

/* One line, cut to the terminal: what is beyond would wrap and break the redrawing. */
static void draw_line(struct live *live, const char *text, enum out_color color)
{
    struct buf line = {0};
    size_t room = live->cli->width > 1 ? (size_t)live->cli->width - 1 : 79;
    char *cut = arena_strdup(&live->scratch, text);
    for (size_t n = strlen(cut); n && out_width(cut) > room;) {
        do
            n--;
        while (n && ((unsigned char)cut[n] & 0xc0) == 0x80);
        cut[n] = 0;
    }
    out_add(&line, live->cli->color, color, cut);
    buf_printf(&live->block, "%s\n", buf_text(&line));
    buf_fini(&line);
    live->n_drawn++;
}

static void bar(struct buf *to, int64_t done, int64_t total)
{
    int64_t filled = total > 0 ? done * 10 / total : 0;
    for (int64_t i = 0; i < 10; i++)
        buf_str(to, i < filled ? "▮" : "▯");
}

static void draw_head(struct live *live)
{
    struct buf line = {0};
    char span[40];
    int64_t ended, total = total_of(live->run, &ended), failed = count_of(live->run, "failed");
    const char *state = js_get_text(live->run, "state", "?");
    int64_t ms = out_span_ms(js_get_text(live->run, "started_at", NULL), NULL, clock_wall_ms());
    buf_printf(&line, "%s %s  %s %s %s  ", js_get_text(live->run, "dag", "?"), live->run_id,
               out_state_glyph(state), state, out_duration(span, sizeof span, ms));
    bar(&line, ended, total);
    buf_printf(&line, " %lld/%lld", (long long)ended, (long long)total);
    if (failed)
        buf_printf(&line, "  %lld failed", (long long)failed);
    draw_line(live, buf_text(&line), out_state_color(state));
    buf_fini(&line);
}

static void draw_task(struct live *live, const json_t *task)
{
    struct buf line = {0};
    char span[40];
    const char *state = js_get_text(task, "state", "?");
    const json_t *progress = json_object_get(task, "progress");
    double fraction = js_get_float(progress, "fraction", -1);
    buf_printf(&line, "  %s %-20s ", out_state_glyph(state), live_task_name(&live->scratch, task));
    if (str_eq(state, "running")) {
        int64_t ms = out_span_ms(js_get_text(task, "started_at", NULL), NULL, clock_wall_ms());
        buf_str(&line, out_duration(span, sizeof span, ms));
        if (fraction >= 0)
            buf_printf(&line, "  %d%%", (int)(fraction * 100));
        const char *text = js_get_text(progress, "text", "");
        buf_str(&line, "  ");
        out_safe(&line, text, strlen(text));
    } else {
        const char *why = js_get_text(task, "error", NULL);
        why = why ? why : js_get_text(json_object_get(task, "reason"), "text", "");
        buf_printf(&line, "%s  ", state);
        out_safe(&line, why, strcspn(why, "\n"));
    }
    draw_line(live, buf_text(&line), out_state_color(state));
    buf_fini(&line);
}

static bool is_shown(const json_t *task, int pass)
{
    const char *state = js_get_text(task, "state", "");
    if (pass == 0)
        return str_eq(state, "failed");
    if (pass == 1)
        return str_eq(state, "running") || str_eq(state, "stopping");
    return str_eq(state, "retrying") || str_eq(state, "queued") || str_eq(state, "leased") ||
           str_eq(state, "deferred");
}

static void draw(struct live *live)
{
    size_t i;
    json_t *task;
    erase_block(live);
    draw_head(live);
    for (int pass = 0; pass < 3; pass++) {
        json_array_foreach(live->tasks, i, task)
        {
            if (is_shown(task, pass) && live->n_drawn <= TASKS_SHOWN_MAX)
                draw_task(live, task);
        }
    }
    flush_block(live);
}

/* ---- Changes and logs ---- */

static void say_change(const json_t *task, const char *name)
{
    char span[40];
    struct buf line = {0};
    const char *state = js_get_text(task, "state", "?");
    int64_t attempt = js_get_int(task, "attempt", 0);
    buf_printf(&line, "%s: %s", name, state);
    if (str_eq(state, "running") && attempt > 1)
        buf_printf(&line, " (attempt %lld)", (long long)attempt);
    const char *started = js_get_text(task, "started_at", NULL);
    if (is_final(state) && started)
        buf_printf(&line, " in %s",
                   out_duration(span, sizeof span,
                                out_span_ms(started, js_get_text(task, "finished_at", NULL),
                                            clock_wall_ms())));
    const char *error = js_get_text(task, "error", NULL);
    if (error && (str_eq(state, "failed") || str_eq(state, "retrying"))) {
        buf_str(&line, ": ");
        out_safe(&line, error, strcspn(error, "\n"));
    }
    fprintf(stderr, "%s\n", buf_text(&line));
    buf_fini(&line);
}

/* States too short-lived to be worth a line of their own. */
static bool is_quiet(const char *state)
{
    return str_eq(state, "waiting") || str_eq(state, "deciding") || str_eq(state, "queued") ||
           str_eq(state, "leased");
}

static void show_log(struct live *live, const json_t *task, const char *name)
{
    int64_t attempt = js_get_int(task, "attempt", 0);
    if (attempt < 1)
        return;
    const char *key = arena_printf(&live->scratch, "%s/%lld", name, (long long)attempt);
    struct tail *tail = map_get(&live->offsets, key);
    if (!tail) {
        tail = mem_alloc(sizeof *tail);
        tail_init(tail, name);
        map_set(&live->offsets, key, tail);
    }
    bool ended = is_final(js_get_text(task, "state", ""));
    if (tail->ended)
        return;
    struct buf lines = {0};
    tail_read(live->cli, tail, live->run_id, name, attempt, &lines);
    if (ended) {
        tail_finish(tail, &lines);
        tail->ended = true;
    }
    if (lines.len) {
        erase_block(live);
        flush_block(live);
        fwrite(lines.data, 1, lines.len, live->cli->format == CLI_TABLE ? stdout : stderr);
        fflush(stdout);
    }
    buf_fini(&lines);
}

static void look_at_task(struct live *live, const json_t *task)
{
    const char *name = live_task_name(&live->scratch, task);
    const char *state = js_get_text(task, "state", "?");
    int64_t attempt = js_get_int(task, "attempt", 0);
    char *now = arena_printf(&live->scratch, "%s %lld", state, (long long)attempt);
    const char *before = map_get(&live->seen, name);
    bool changed = !str_eq(before, now);
    if (live->options->logs && !is_quiet(state))
        show_log(live, task, name);
    if (!changed)
        return;
    map_set(&live->seen, name, arena_strdup(&live->cli->arena, now));
    live->poll_ms = POLL_FIRST_MS;
    if (!live->redraw && !live->large && !is_quiet(state))
        say_change(task, name);
}

/* How far a large run is, where it is not drawn. */
static void say_progress(struct live *live)
{
    int64_t now = clock_mono_ms(), ended, total = total_of(live->run, &ended);
    int64_t failed = count_of(live->run, "failed");
    if (live->redraw || !live->large ||
        (live->progress_ms && now - live->progress_ms < PROGRESS_MS))
        return;
    live->progress_ms = now;
    fprintf(stderr, "%lld of %lld ended", (long long)ended, (long long)total);
    if (failed)
        fprintf(stderr, ", %lld failed", (long long)failed);
    fputc('\n', stderr);
}

/* ---- When nothing runs ---- */

static bool is_idle(const json_t *run)
{
    static const char *const busy[] = {"deciding", "leased", "running", "stopping"};
    for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) {
        if (count_of(run, busy[i]))
            return false;
    }
    return true;
}

/* The first reason of each task that waits for more than the others of its run. */
static void add_reasons(struct live *live, const json_t *list, struct buf *codes, struct buf *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const json_t *reason = json_array_get(json_object_get(item, "reasons"), 0);
        const char *code = js_get_text(reason, "code", ""), *why = js_get_text(reason, "text", "");
        if (str_eq(js_get_text(item, "state", ""), "waiting") && codes->len)
            continue;
        const char *name = live_task_name(&live->scratch, item);
        buf_printf(codes, "%s %s\n", name, code);
        buf_printf(text, "nexus: %s waits: ", name);
        out_safe(text, why, strlen(why));
        buf_char(text, '\n');
    }
}

/* Says why nothing of the run runs, when that lasts, and again when the reason has changed. */
static void look_idle(struct live *live)
{
    int64_t now = clock_mono_ms();
    json_t *list = NULL;
    struct buf codes = {0}, text = {0};
    struct nx_err err;
    if (!is_idle(live->run)) {
        live->idle_since_ms = 0;
        buf_clear(&live->idle_why);
        return;
    }
    if (!live->idle_since_ms)
        live->idle_since_ms = now;
    if (now - live->idle_since_ms < IDLE_MS)
        return;
    const char *path = api_path(&live->scratch, "/runs/%s/explain", live->run_id);
    if (!api_try_list(live->cli, &list, path, TASKS_SHOWN_MAX, &err))
        return;
    add_reasons(live, list, &codes, &text);
    if (!str_eq(buf_text(&codes), buf_text(&live->idle_why))) {
        erase_block(live);
        flush_block(live);
        fputs(buf_text(&text), stderr);
        buf_clear(&live->idle_why);
        buf_str(&live->idle_why, buf_text(&codes));
    }
    json_decref(list);
    buf_fini(&codes);
    buf_fini(&text);
}

/* ---- The watch ---- */

static bool read_now(struct live *live, struct nx_err *err)
{
    struct arena *arena = &live->scratch;
    json_t *run = NULL, *tasks = NULL;
    int64_t ended;
    if (!api_try(live->cli, "GET", api_path(arena, "/runs/%s", live->run_id), NULL, &run, err))
        return false;
    bool all = total_of(run, &ended) <= TASKS_READ_MAX;
    live->large = !all;
    const char *path =
        api_path(arena, all ? "/runs/%s/tasks" : "/runs/%s/tasks?state=running", live->run_id);
    if (!api_try_list(live->cli, &tasks, path, all ? 0 : 50, err)) {
        json_decref(run);
        return false;
    }
    json_decref(live->run);
    json_decref(live->tasks);
    live->run = run;
    live->tasks = tasks;
    return true;
}

/* True when the watch is over; *status then holds its exit status. */
static bool look(struct live *live, int *status)
{
    struct nx_err err;
    arena_reset(&live->scratch);
    if (!read_now(live, &err)) {
        int64_t now = clock_mono_ms();
        bool away =
            err.code == NX_E_UNREACHABLE || err.code == NX_E_TIMEOUT || err.code == NX_E_BUSY;
        if (away && live->run && !live->lost_since_ms) {
            live->lost_since_ms = now;
            erase_block(live);
            flush_block(live);
            fputs("nexus: the server does not answer; trying again for a minute\n", stderr);
        }
        if (away && live->run && now - live->lost_since_ms < UNREACHABLE_MS)
            return false;
        *status = api_fail(live->cli, &err);
        return true;
    }
    live->lost_since_ms = 0;
    size_t i;
    json_t *task;
    json_array_foreach(live->tasks, i, task) look_at_task(live, task);
    say_progress(live);
    if (run_is_final(live->run)) {
        erase_block(live);
        flush_block(live);
        *status = str_eq(js_get_text(live->run, "state", ""), "success") ? CLI_DONE : CLI_FAILED;
        return true;
    }
    look_idle(live);
    if (live->redraw && clock_mono_ms() - live->drawn_ms >= REDRAW_MS) {
        live->drawn_ms = clock_mono_ms();
        draw(live);
    }
    return false;
}

static int detach(struct live *live)
{
    erase_block(live);
    flush_block(live);
    if (live->options->private_home)
        return cli_fail(CLI_FAILED, "interrupted; the run ends with this program");
    return cli_fail(CLI_FAILED,
                    "run %s goes on; `nexus runs watch %s` returns to it, "
                    "`nexus runs cancel %s` ends it",
                    live->run_id, live->run_id, live->run_id);
}

static void finish(struct live *live)
{
    struct nx_err err;
    json_t *all = NULL;
    const char *path = api_path(&live->scratch, "/runs/%s/tasks", live->run_id);
    if (live->large && api_try_list(live->cli, &all, path, 0, &err)) {
        json_decref(live->tasks);
        live->tasks = all;
    }
    if (live->cli->format == CLI_TABLE) {
        live_print_result(live->cli, live->run, live->tasks, !live->options->private_home);
        return;
    }
    json_object_set(live->run, "tasks", live->tasks);
    out_value(live->cli, live->run, "id");
}

int live_watch(struct cli *cli, const char *run, const struct live_options *options)
{
    struct live live = {.cli = cli, .run_id = run, .options = options, .poll_ms = POLL_FIRST_MS};
    int status = CLI_DONE;
    bool interrupted = false;
    arena_init(&live.scratch);
    live.redraw = cli->tty_out && isatty(STDERR_FILENO);
    live_block();
    while (!look(&live, &status)) {
        if (options->broken && options->broken(options->arg)) {
            status = CLI_FAILED;
            interrupted = true;
            break;
        }
        if (live_sleep(live.poll_ms)) {
            status = detach(&live);
            interrupted = true;
            break;
        }
        live.poll_ms = live.poll_ms * 5 / 4;
        if (live.poll_ms > POLL_LAST_MS)
            live.poll_ms = POLL_LAST_MS;
    }
    if (!interrupted && live.run && run_is_final(live.run))
        finish(&live);
    json_decref(live.run);
    json_decref(live.tasks);
    arena_fini(&live.scratch);
    buf_fini(&live.block);
    buf_fini(&live.idle_why);
    for (size_t i = 0; i < live.offsets.n; i++) {
        tail_fini(live.offsets.at[i].value);
        mem_free(live.offsets.at[i].value);
    }
    map_fini(&live.offsets);
    map_fini(&live.seen);
    return status;
}
