/* Rounds of SIGKILL at random moments under a run of 1,000 tasks whose scripts write what they do
 * to a file: scheduler, worker, nexus-task or `nexus up` itself, which starts again what dies (the
 * test starts `nexus up` again). Afterwards every effect is there, nothing was accepted twice or is
 * stuck, nothing was started more often than the kills explain, and no process is left. Some rounds
 * are a storm: the scheduler alone, killed and started again every few moments.
 *
 * NEXUS_KILL_ROUNDS: how many rounds (default 25; under sanitizers 4). NEXUS_KILL_SEED: the first
 * seed (default 1); with NEXUS_KILL_ROUNDS=1 that round alone. A failing round prints its seed.
 *
 * timeout: 1800 */
#include "lib/base/map.h"
#include "lib/base/rng.h"
#include "tests/stack.h"

#define LAYERS 20
#define WIDTH 50
#define TASKS (LAYERS * WIDTH)
#define ROUND_MS 60000
#define KILLS_MAX 6

/* A task loses at most 3 attempts before it fails for good: no more kills than that may hit it. */
#define WORKER_KILLS_MAX 2

/* A storm: the scheduler alone, killed and started again at once, many times. */
#define STORM_KILLS 30
#define STORM_GAP_MS 120
#define GAP_MS 500

enum victim { SCHEDULER, WORKER, CHILD, UP, VICTIMS };

static const char *const victim_names[] = {"scheduler", "worker", "nexus-task", "nexus up"};

struct round {
    struct stack stack;
    struct rng rng;
    unsigned n_wanted[VICTIMS], n_killed[VICTIMS];
    unsigned hits[TASKS]; /* children killed while they ran this task */
    bool is_storm;        /* without `nexus up`, which would wait longer and longer */
    unsigned n_unknown;   /* children killed while they ran nothing that could be told */
    uint64_t run;
};

/* ---- The DAG ---- */

static void task_name(char to[16], unsigned i)
{
    snprintf(to, 16, "t%02u_%02u", i / WIDTH, i % WIDTH);
}

static int task_number(const char *name)
{
    unsigned layer, i;
    if (sscanf(name, "t%2u_%2u", &layer, &i) != 2 || layer >= LAYERS || i >= WIDTH)
        return -1;
    return (int)(layer * WIDTH + i);
}

static bool fails_first(unsigned i)
{
    return i % 37 == 5;
}

/* What a task needs: two of the layer before. */
static unsigned need(unsigned i, unsigned which)
{
    unsigned layer = i / WIDTH, k = i % WIDTH;
    return (layer - 1) * WIDTH + (which == 0 ? k : (k * 7 + 3) % WIDTH);
}

static void write_dag(struct round *round)
{
    struct buf text = {0};
    char name[16], a[16], b[16];
    buf_str(&text, "id: layers\ndefaults: {retries: 3, retry_delay: 20ms}\ntasks:\n");
    for (unsigned i = 0; i < TASKS; i++) {
        task_name(name, i);
        buf_printf(&text, "  %s:\n", name);
        if (i >= WIDTH) {
            task_name(a, need(i, 0));
            task_name(b, need(i, 1));
            buf_printf(&text, "    needs: [%s, %s]\n", a, b);
        }
        buf_str(&text, "    run: |\n"
                       "      e() { echo \"$1 $NEXUS_RUN_ID $NEXUS_TASK_ID $NEXUS_ATTEMPT "
                       "$NEXUS_LEASE ${2:-}\" >> \"$TEST_HOME/effects\"; }\n"
                       "      e start\n");
        if (fails_first(i))
            buf_str(&text, "      if [ \"$NEXUS_ATTEMPT\" = 1 ]; then e fail; exit 1; fi\n");
        buf_str(&text, "      echo \"token=$NEXUS_ATTEMPT-$$\" >> \"$NEXUS_OUTPUT\"\n");
        if (i >= WIDTH)
            buf_printf(&text, "      e saw ${{ outputs.%s.token }}/${{ outputs.%s.token }}\n", a,
                       b);
        buf_str(&text, "      e end \"$NEXUS_ATTEMPT-$$\"\n");
    }
    stack_write(&round->stack, "dags/layers.yaml", buf_text(&text));
    buf_fini(&text);
}

/* ---- Kills ---- */

/* `nexus up` that was killed is started again; it must not end by itself. */
static void tend(struct stack *s)
{
    int status = 0;
    if (s->scheduler && stack_reap(&s->scheduler, &status)) {
        stack_fail(s, "the scheduler ended by itself: wait status 0x%x", (unsigned)status);
        stack_start_scheduler(s, NULL);
    }
    if (s->up == 0 || !stack_reap(&s->up, &status))
        return;
    stack_fail(s, "`nexus up` ended by itself: wait status 0x%x", (unsigned)status);
    stack_start_up(s, "4");
}

static void kill_up(struct round *round)
{
    struct stack *s = &round->stack;
    kill(s->up, SIGKILL);
    waitpid(s->up, NULL, 0);
    s->up = 0;
    stack_start_up(s, "4");
}

static void kill_scheduler(struct stack *s)
{
    kill(s->scheduler, SIGKILL);
    waitpid(s->scheduler, NULL, 0);
    stack_start_scheduler(s, NULL);
}

/* The children of a process that are called that; the n-th, counted round, or 0. */
static pid_t child_of(pid_t parent, const char *name, uint64_t n)
{
    char path[64], comm[32];
    struct buf text = {0}, one = {0};
    VEC(pid_t) found = {0};
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    if (path_read(path, 1 << 20, &text, NULL)) {
        for (char *p = text.data, *end; p && *p; p = end) {
            long pid = strtol(p, &end, 10);
            if (end == p)
                break;
            snprintf(path, sizeof path, "/proc/%ld/comm", pid);
            buf_clear(&one);
            if (path_read(path, sizeof comm, &one, NULL) && str_starts(one.data, name))
                vec_push(&found, (pid_t)pid);
        }
    }
    pid_t pid = found.n ? found.at[n % found.n] : 0;
    vec_fini(&found);
    buf_fini(&text);
    buf_fini(&one);
    return pid;
}

/* The task that a (stopped) nexus-task runs, by the mark of its script; -1: it cannot be told. */
static int task_of(pid_t pid)
{
    char path[64], name[65];
    struct buf env = {0};
    int task = -1;
    pid_t script = child_of(pid, "", 0);
    snprintf(path, sizeof path, "/proc/%d/environ", (int)script);
    if (script && path_read(path, 1 << 20, &env, NULL)) {
        for (const char *p = env.data; p < env.data + env.len; p += strlen(p) + 1) {
            const char *dot = str_starts(p, "NEXUS_LEASE=") ? strchr(p, '.') : NULL;
            if (dot && sscanf(dot + 1, "%64[^.]", name) == 1)
                task = task_number(name);
        }
    }
    buf_fini(&env);
    return task;
}

static bool kill_child(struct round *round)
{
    pid_t worker = stack_worker_pid(&round->stack);
    pid_t child = worker ? child_of(worker, "nexus-task", rng_next(&round->rng) >> 8) : 0;
    if (!child || kill(child, SIGSTOP) != 0)
        return false;
    clock_sleep_ms(1); /* now it starts and ends nothing */
    int task = task_of(child);
    if (task >= 0 && round->hits[task] > 0) { /* once is enough for one task */
        kill(child, SIGCONT);
        return false;
    }
    if (task >= 0)
        round->hits[task]++;
    else
        round->n_unknown++;
    kill(child, SIGKILL);
    return true;
}

static bool kill_one(struct round *round, enum victim victim)
{
    struct stack *s = &round->stack;
    pid_t pid = 0;
    switch (victim) {
    case SCHEDULER:
        if (round->is_storm) {
            kill_scheduler(s);
            return true;
        }
        pid = stack_pid_in(s, "home/run/scheduler.json");
        break;
    case WORKER:
        pid = stack_worker_pid(s);
        break;
    case CHILD:
        return kill_child(round);
    default:
        kill_up(round);
        return true;
    }
    return pid > 0 && kill(pid, SIGKILL) == 0;
}

/* What a round kills, and how often: its seed says it. */
static void plan(struct round *round, uint64_t seed)
{
    struct rng *rng = &round->rng;
    unsigned *n = round->n_wanted;
    switch (seed % 6) {
    case 5:
        round->is_storm = true;
        n[SCHEDULER] = STORM_KILLS;
        break;
    case 0:
        n[SCHEDULER] = 2 + (unsigned)rng_below(rng, 4);
        break;
    case 1:
        n[WORKER] = 1 + (unsigned)rng_below(rng, WORKER_KILLS_MAX);
        break;
    case 2:
        n[CHILD] = 1 + (unsigned)rng_below(rng, KILLS_MAX);
        break;
    case 3:
        n[UP] = 1 + (unsigned)rng_below(rng, WORKER_KILLS_MAX);
        break;
    default:
        n[SCHEDULER] = (unsigned)rng_below(rng, 3);
        n[CHILD] = (unsigned)rng_below(rng, 4);
        n[rng_below(rng, 2) ? WORKER : UP] = 1;
    }
}

/* Kills what is planned at random moments until the run has ended. */
static void rage(struct round *round)
{
    struct stack *s = &round->stack;
    int64_t until = clock_mono_ms() + ROUND_MS * stack_slower();
    for (;;) {
        unsigned left[VICTIMS], n_left = 0;
        for (unsigned v = 0; v < VICTIMS; v++)
            n_left += left[v] = round->n_wanted[v] - round->n_killed[v];
        if (n_left == 0 || clock_mono_ms() >= until)
            return;
        int64_t gap_ms = (round->is_storm ? STORM_GAP_MS : GAP_MS) * stack_slower();
        clock_sleep_ms(1 + (int64_t)rng_below(&round->rng, (uint64_t)gap_ms));
        tend(s);
        uint64_t choice = rng_below(&round->rng, n_left);
        unsigned victim = 0;
        while (choice >= left[victim])
            choice -= left[victim++];
        char path[64];
        json_t *answer = NULL;
        snprintf(path, sizeof path, "/api/v1/runs/%llu", (unsigned long long)round->run);
        bool told = stack_call(s, "GET", path, NULL, NULL, &answer) == 200;
        const char *state = json_string_value(json_object_get(answer, "state"));
        bool ended = told && state && !str_eq(state, "running");
        json_decref(answer);
        if (ended)
            return;
        round->n_killed[victim] += kill_one(round, (enum victim)victim);
    }
}

/* ---- Checks ---- */

struct row {
    bool there;
    int64_t state, attempt, lease, failures, losses;
    char token[64];
};

static void read_rows(struct round *round, struct sql *sql, struct row *rows)
{
    static const char text[] =
        "select json_extract(t.value, '$.id'), i.state, i.attempt, i.lease, i.failures, i.losses,"
        " json_extract(o.json, '$.token')"
        " from run r join dag_version v on v.version = r.version"
        " join json_each(v.info, '$.tasks') t"
        " join task_instance i on i.run = r.run and i.task = t.key"
        " left join output o on o.run = i.run and o.task = i.task";
    struct sql_stmt *stmt;
    struct nx_err err;
    bool more;
    if (!sql_prepare(sql, text, &stmt, &err)) {
        stack_fail(&round->stack, "%s", err.text);
        return;
    }
    while (sql_step(stmt, &more, &err) && more) {
        const char *name = sql_text(stmt, 0), *token = sql_text(stmt, 6);
        int i = name ? task_number(name) : -1;
        if (i < 0)
            continue;
        rows[i] = (struct row){true,
                               sql_int(stmt, 1),
                               sql_int(stmt, 2),
                               sql_int(stmt, 3),
                               sql_int(stmt, 4),
                               sql_int(stmt, 5),
                               ""};
        str_copy(rows[i].token, sizeof rows[i].token, token ? token : "");
    }
    sql_stmt_free(stmt);
}

struct seen {
    unsigned n_starts, n_fails, n_ends, n_accepted;
};

/* One line of the effects beside the rows. */
static void check_effect(struct round *round, const struct effect *e, const struct row *rows,
                         struct seen *seen, struct map *leases)
{
    struct stack *s = &round->stack;
    int i = task_number(e->task);
    if (i < 0 || e->run != round->run) {
        stack_fail(s, "an effect of run %llu, task %s", (unsigned long long)e->run, e->task);
        return;
    }
    const struct row *row = &rows[i];
    if (e->lease > row->lease)
        stack_fail(s, "%s: lease %u in the effects, %lld is the last", e->task, e->lease,
                   (long long)row->lease);
    if (str_eq(e->what, "start")) {
        seen[i].n_starts++;
        if (map_set_num(leases, (uint64_t)i << 32 | e->lease, s))
            stack_fail(s, "%s: lease %u was started twice", e->task, e->lease);
    } else if (str_eq(e->what, "fail")) {
        seen[i].n_fails++;
    } else if (str_eq(e->what, "saw")) {
        char tokens[130];
        snprintf(tokens, sizeof tokens, "%s/%s", rows[need((unsigned)i, 0)].token,
                 rows[need((unsigned)i, 1)].token);
        if (!str_eq(e->more, tokens))
            stack_fail(s, "%s saw the outputs %s, accepted were %s", e->task, e->more, tokens);
    } else {
        seen[i].n_ends++;
        seen[i].n_accepted += e->lease == row->lease && str_eq(e->more, row->token);
    }
}

static void check_task(struct round *round, unsigned i, const struct row *row,
                       const struct seen *seen)
{
    struct stack *s = &round->stack;
    char name[16];
    task_name(name, i);
    unsigned hits =
        round->n_killed[WORKER] + round->n_killed[UP] + round->hits[i] + round->n_unknown;
    if (!row->there || row->state != 8)
        stack_fail(s, "%s is not a success: state %lld, %lld failures, %lld losses", name,
                   (long long)row->state, (long long)row->failures, (long long)row->losses);
    if (seen->n_accepted != 1)
        stack_fail(s, "%s: the accepted lease %lld has %u effects", name, (long long)row->lease,
                   seen->n_accepted);
    if (row->failures > (fails_first(i) ? 1 : 0))
        stack_fail(s, "%s: %lld failures", name, (long long)row->failures);
    if (seen->n_starts > 1 + row->failures + hits)
        stack_fail(s, "%s was started %u times: %lld failures and at most %u kills", name,
                   seen->n_starts, (long long)row->failures, hits);
    if (hits == 0 && (seen->n_ends != 1 || row->losses != 0 || seen->n_fails != row->failures))
        stack_fail(s, "%s: %u ends, %u failures seen, %lld kept, %lld losses, but no kill", name,
                   seen->n_ends, seen->n_fails, (long long)row->failures, (long long)row->losses);
    if (row->losses > hits)
        stack_fail(s, "%s: %lld losses, at most %u kills", name, (long long)row->losses, hits);
}

static void check(struct round *round)
{
    struct stack *s = &round->stack;
    struct row *rows = mem_alloc_array(TASKS, sizeof *rows);
    struct seen *seen = mem_alloc_array(TASKS, sizeof *seen);
    effect_list effects = {0};
    struct map leases;
    map_init(&leases);
    struct sql *sql = stack_db(s);
    if (sql) {
        stack_check_integrity(s, sql);
        stack_check_sql(s, sql, 1, "select count(*) from run");
        stack_check_sql(s, sql, 3, "select state from run");
        stack_check_sql(s, sql, TASKS, "select count(*) from task_instance where state = 8");
        stack_check_sql(s, sql, 0, "select count(*) from task_instance where state < 8");
        /* Of a superseded attempt: failed or lost, never a success. */
        stack_check_sql(s, sql, 0, "select count(*) from attempt where outcome not in (2, 5)");
        read_rows(round, sql, rows);
        stack_effects(s, &effects);
        for (size_t i = 0; i < effects.n; i++)
            check_effect(round, &effects.at[i], rows, seen, &leases);
        for (unsigned i = 0; i < TASKS; i++)
            check_task(round, i, &rows[i], &seen[i]);
        if (s->said.len)
            stack_dump_sql(s, sql,
                           "select 'task', task, 'state', state, 'reason', reason, 'attempt',"
                           " attempt, 'lease', lease, 'failures', failures, 'losses', losses, error"
                           " from task_instance where state <> 8 limit 20");
        sql_close(sql);
    }
    map_fini(&leases);
    vec_fini(&effects);
    mem_free(rows);
    mem_free(seen);
}

/* ---- A round ---- */

/* Its worker is there again: whatever a killed one has left has been swept. */
static void await_worker(struct stack *s)
{
    char what[] = "/api/v1/workers";
    int64_t until = clock_mono_ms() + 20000 * stack_slower();
    while (stack_worker_pid(s) == 0 || stack_call(s, "GET", what, NULL, NULL, NULL) == 0) {
        if (clock_mono_ms() >= until) {
            stack_fail(s, "the worker does not come back");
            return;
        }
        tend(s);
        clock_sleep_ms(5);
    }
}

static void begin(struct round *round)
{
    struct stack *s = &round->stack;
    if (round->is_storm) {
        stack_start_scheduler(s, NULL);
        stack_start_worker(s, "4");
    } else {
        stack_start_up(s, "4");
    }
}

static void end(struct round *round)
{
    struct stack *s = &round->stack;
    stack_end(s, &s->up, "nexus up", 15000);
    stack_end(s, &s->worker, "the worker", 15000);
    stack_end(s, &s->scheduler, "the scheduler", 15000);
    stack_check_orphans(s);
    stack_check_log(s, "nexus.log");
    stack_check_log(s, "nexus-scheduler.log");
    stack_check_log(s, "nexus-worker.log");
}

static bool play(uint64_t seed)
{
    struct round *round = mem_alloc(sizeof *round);
    struct stack *s = &round->stack;
    char state[16] = "";
    int64_t start_ms = clock_mono_ms();
    rng_init(&round->rng, seed);
    plan(round, seed);
    stack_open(s, "kills");
    write_dag(round);
    begin(round);
    round->run = stack_trigger(s, "layers", "the only one", 20000, tend);
    if (round->run) {
        rage(round);
        stack_wait(s, round->run, ROUND_MS, state, tend);
        if (state[0] && !str_eq(state, "success"))
            stack_fail(s, "the run's state is '%s'", state);
        await_worker(s);
    }
    end(round);
    check(round);
    bool failed = s->said.len > 0;
    printf("%s: seed %llu, %.1f s, killed:", failed ? "FAILED" : "passed", (unsigned long long)seed,
           (double)(clock_mono_ms() - start_ms) / 1000);
    for (unsigned v = 0; v < VICTIMS; v++)
        if (round->n_killed[v])
            printf(" %s %u", victim_names[v], round->n_killed[v]);
    puts("");
    if (failed) {
        stack_dump_log(s, "nexus.log", 4000);
        printf("%.12000s\n", buf_text(&s->said));
    }
    fflush(stdout);
    stack_close(s, failed && getenv("NEXUS_KILL_KEEP"));
    mem_free(round);
    return !failed;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    uint64_t n = number_of("NEXUS_KILL_ROUNDS", stack_slower() == 1 ? 25 : 4);
    uint64_t first = number_of("NEXUS_KILL_SEED", 1);
    unsigned n_failed = 0;
    for (uint64_t seed = first; seed < first + n; seed++)
        n_failed += !play(seed);
    printf("%llu passed, %u failed\n", (unsigned long long)(n - n_failed), n_failed);
    return n_failed != 0;
}
