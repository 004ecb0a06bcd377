/* The scheduler ends itself at the n-th commit of a run of all kinds of tasks, for every n: before
 * the commit, after it, and after what follows it was sent. It is started again; the run must end
 * as if nothing had happened, and nothing is started twice.
 *
 * Every commit is crashed at all three points, and once with a second crash in the next scheduler
 * (under sanitizers at one point in turn, unless NEXUS_CRASH_ALL is set). NEXUS_CRASH_ONLY=POINT:N
 * runs that one alone and keeps its folder.
 *
 * timeout: 200 */
#include "tests/stack.h"

#define PARALLEL 2
#define ROUND_MS 30000
#define UNTRIGGERED 3 /* so many commits in a row that never came: the run has no more */
#define COMMITS_MAX 1000

enum round_end { ROUND_PASSED, ROUND_FAILED, ROUND_NOT_REACHED };

static const char *const points[] = {"before", "after", "sent"};

static const char settings_text[] = "pools: {one: 1}\n";

static const char lib_text[] =
    "effect() { echo \"$1 $NEXUS_RUN_ID $NEXUS_TASK_ID $NEXUS_ATTEMPT $NEXUS_LEASE ${2:-}\" "
    ">> \"$TEST_HOME/effects\"; }\n";

static const char dag_text[] =
    "id: rich\n"
    "files: [lib.sh]\n"
    "defaults: {retry_delay: 60ms}\n"
    "tasks:\n"
    "  load:\n"
    "    run: |\n"
    "      . ./lib.sh; effect start; echo n=3 >> \"$NEXUS_OUTPUT\"; effect end\n"
    "  flaky:\n"
    "    needs: load\n"
    "    retries: 2\n"
    "    run: |\n"
    "      . ./lib.sh; effect start\n"
    "      [ \"$NEXUS_ATTEMPT\" -ge 3 ]\n"
    "      echo '{\"list\": [1, 2]}' >> \"$NEXUS_OUTPUT\"; effect end\n"
    "  never:\n"
    "    needs: load\n"
    "    if: tonumber(outputs.load.n) > 5\n"
    "    run: . ./lib.sh; effect start\n"
    "  chosen:\n"
    "    needs: load\n"
    "    if: tonumber(outputs.load.n) == 3\n"
    "    run: . ./lib.sh; effect start; effect end ${{ outputs.load.n }}\n"
    "  pooled_a: &pooled\n"
    "    needs: load\n"
    "    pool: one\n"
    "    run: . ./lib.sh; effect start; sleep 0.02; effect end\n"
    "  pooled_b: *pooled\n"
    "  pooled_c: *pooled\n"
    "  skips:\n"
    "    needs: never\n"
    "    trigger_rule: all_done\n"
    "    run: . ./lib.sh; effect start; exit 99\n"
    "  broken:\n"
    "    needs: chosen\n"
    "    run: . ./lib.sh; effect start; exit 3\n"
    "  after_broken: {needs: broken, run: \". ./lib.sh; effect start\"}\n"
    "  rescue:\n"
    "    needs: broken\n"
    "    trigger_rule: all_failed\n"
    "    run: . ./lib.sh; effect start; effect end\n"
    "  alone:\n"
    "    needs: [pooled_a, pooled_b, pooled_c]\n"
    "    exclusive: true\n"
    "    run: . ./lib.sh; effect start; effect end\n"
    "  join:\n"
    "    needs: [flaky, skips, after_broken, rescue, alone]\n"
    "    trigger_rule: all_done\n"
    "    run: . ./lib.sh; effect start; effect end \"${{ json(outputs.flaky.list) }}\"\n"
    "  tidy:\n"
    "    finally: true\n"
    "    run: . ./lib.sh; effect start; effect end\n";

static const struct {
    const char *task, *state;
    unsigned n_starts, n_ends;
} expected[] = {
    {"load", "success", 1, 1},     {"flaky", "success", 3, 1},
    {"never", "skipped", 0, 0},    {"chosen", "success", 1, 1},
    {"pooled_a", "success", 1, 1}, {"pooled_b", "success", 1, 1},
    {"pooled_c", "success", 1, 1}, {"skips", "skipped", 1, 0},
    {"broken", "failed", 1, 0},    {"after_broken", "upstream_failed", 0, 0},
    {"rescue", "success", 1, 1},   {"alone", "success", 1, 1},
    {"join", "success", 1, 1},     {"tidy", "success", 1, 1},
};
#define N_EXPECTED (sizeof expected / sizeof *expected)

/* Starts again a scheduler that has crashed; once more with a crash when that is asked for. */
static char crash_again[32];

static void tend(struct stack *s)
{
    if (s->scheduler == 0 || !stack_reap(&s->scheduler, &s->scheduler_status))
        return;
    if (!WIFEXITED(s->scheduler_status) || WEXITSTATUS(s->scheduler_status) != 99)
        stack_fail(s, "the scheduler ended by itself: wait status 0x%x",
                   (unsigned)s->scheduler_status);
    stack_start_scheduler(s, crash_again[0] ? crash_again : NULL);
    crash_again[0] = 0;
}

/* A crash at the last commit comes when the run's end can be read already: the worker can only say
 * goodbye to a scheduler that is up again. */
static void settle(struct stack *s)
{
    int64_t until = clock_mono_ms() + 10000;
    do {
        clock_sleep_ms(100);
        tend(s);
        s->url[0] = 0; /* it may be another one's */
    } while (stack_call(s, "GET", "/health/ready", NULL, NULL, NULL) != 200 &&
             clock_mono_ms() < until);
}

/* The states as the API tells them. */
static void check_states(struct stack *s, uint64_t run)
{
    char path[128];
    json_t *answer, *item;
    size_t i, n = 0;
    snprintf(path, sizeof path, "/api/v1/runs/%llu/tasks?limit=100", (unsigned long long)run);
    for (int tries = 0; stack_call(s, "GET", path, NULL, NULL, &answer) != 200; tries++) {
        json_decref(answer);
        if (tries == 1000) {
            stack_fail(s, "the tasks of the run cannot be had");
            return;
        }
        tend(s);
        clock_sleep_ms(5);
    }
    json_array_foreach(json_object_get(answer, "items"), i, item)
    {
        const char *task = json_string_value(json_object_get(item, "task"));
        const char *state = json_string_value(json_object_get(item, "state"));
        for (size_t k = 0; task && state && k < N_EXPECTED; k++) {
            if (!str_eq(task, expected[k].task))
                continue;
            n++;
            if (!str_eq(state, expected[k].state))
                stack_fail(s, "task %s is %s, not %s", task, state, expected[k].state);
        }
    }
    if (n != N_EXPECTED)
        stack_fail(s, "%zu tasks of the run are told, not %zu", n, N_EXPECTED);
    json_decref(answer);
}

static void check_effects(struct stack *s)
{
    effect_list effects = {0};
    const char *in_pool = NULL;
    stack_effects(s, &effects);
    for (size_t k = 0; k < N_EXPECTED; k++) {
        unsigned n_starts = effects_count(&effects, "start", expected[k].task, 0);
        unsigned n_ends = effects_count(&effects, "end", expected[k].task, 0);
        if (n_starts != expected[k].n_starts || n_ends != expected[k].n_ends)
            stack_fail(s, "task %s was started %u times and ended %u times, not %u and %u",
                       expected[k].task, n_starts, n_ends, expected[k].n_starts,
                       expected[k].n_ends);
        for (unsigned a = 1; a <= n_starts; a++)
            if (effects_count(&effects, "start", expected[k].task, a) != 1)
                stack_fail(s, "attempt %u of %s was not started once", a, expected[k].task);
    }
    for (size_t i = 0; i < effects.n; i++) {
        const struct effect *e = &effects.at[i];
        bool end = str_eq(e->what, "end");
        if (str_eq(e->task, "join") && end && !str_eq(e->more, "[1,2]"))
            stack_fail(s, "join saw the list as %s", e->more);
        if (!str_starts(e->task, "pooled_"))
            continue;
        if (!end && in_pool)
            stack_fail(s, "%s and %s were in the pool of one", in_pool, e->task);
        in_pool = end ? NULL : e->task;
    }
    vec_fini(&effects);
}

static void check_database(struct stack *s)
{
    struct sql *sql = stack_db(s);
    if (!sql)
        return;
    stack_check_integrity(s, sql);
    stack_check_sql(s, sql, 1, "select count(*) from run");
    stack_check_sql(s, sql, 0, "select count(*) from task_instance where state < 8");
    stack_check_sql(s, sql, 0, "select count(*) from task_instance where losses > 0");
    stack_check_sql(s, sql, 1, "select max(version) from dag_version");
    if (s->said.len)
        stack_dump_sql(s, sql,
                       "select 'task', i.task, json_extract(t.value, '$.id'), 'state', i.state,"
                       " 'reason', i.reason, 'attempt', i.attempt, 'lease', i.lease, 'losses',"
                       " i.losses, i.error from task_instance i, dag_version v,"
                       " json_each(v.info, '$.tasks') t where t.key = i.task");
    sql_close(sql);
}

static enum round_end report(struct stack *s, const char *name, bool crashed, bool keep)
{
    if (s->said.len) {
        stack_dump_log(s, "nexus-scheduler.log", 3000);
        stack_dump_log(s, "nexus-worker.log", 2000);
        printf("FAILED: crash %s%s%s\n%s", name, keep ? ", kept in " : "", keep ? s->folder : "",
               buf_text(&s->said));
        return ROUND_FAILED;
    }
    return crashed ? ROUND_PASSED : ROUND_NOT_REACHED;
}

/* One run in a home of its own. crash: POINT:N; again: a second crash of the next scheduler. */
static enum round_end play(const char *crash, const char *again, bool keep)
{
    struct stack s;
    char state[16];
    stack_open(&s, "commits");
    stack_write(&s, "nexus.yaml", settings_text);
    stack_write(&s, "dags/lib.sh", lib_text);
    stack_write(&s, "dags/rich.yaml", dag_text);
    str_copy(crash_again, sizeof crash_again, again ? again : "");
    stack_start_scheduler(&s, crash);
    stack_start_worker(&s, "3");
    uint64_t run = stack_trigger(&s, "rich", "the only one", ROUND_MS, tend);
    if (run)
        stack_wait(&s, run, ROUND_MS, state, tend);
    if (run && !str_eq(state, "success"))
        stack_fail(&s, "the run's state is '%s'", state);
    if (run)
        check_states(&s, run);
    settle(&s);
    bool crashed = s.scheduler_status != -1;
    stack_end(&s, &s.worker, "the worker", 10000);
    tend(&s);
    stack_end(&s, &s.scheduler, "the scheduler", 10000);
    stack_check_orphans(&s);
    stack_check_log(&s, "nexus-scheduler.log");
    stack_check_log(&s, "nexus-worker.log");
    check_effects(&s);
    check_database(&s);
    enum round_end end = report(&s, crash ? crash : "never", crashed, keep);
    fflush(stdout);
    stack_close(&s, keep);
    return end;
}

/* ---- All rounds, some at a time, each a process of its own ---- */

struct round {
    pid_t pid;
    uint64_t commit;
};

struct rounds {
    struct round at[PARALLEL];
    unsigned n_running, n_passed, n_failed;
    uint64_t n_commits; /* the highest that was crashed */
};

static void await_one(struct rounds *rounds)
{
    int status;
    pid_t pid = wait(&status);
    must(pid > 0);
    for (unsigned i = 0; i < rounds->n_running; i++) {
        if (rounds->at[i].pid != pid)
            continue;
        int end = WIFEXITED(status) ? WEXITSTATUS(status) : (int)ROUND_FAILED;
        if (end == ROUND_PASSED)
            rounds->n_passed++;
        else if (end != ROUND_NOT_REACHED)
            rounds->n_failed++;
        if (end != ROUND_NOT_REACHED && rounds->at[i].commit > rounds->n_commits)
            rounds->n_commits = rounds->at[i].commit;
        rounds->at[i] = rounds->at[--rounds->n_running];
        return;
    }
}

static void begin(struct rounds *rounds, unsigned point, uint64_t commit, const char *again)
{
    char crash[32];
    if (rounds->n_running == PARALLEL)
        await_one(rounds);
    snprintf(crash, sizeof crash, "%s:%llu", points[point], (unsigned long long)commit);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit((int)play(crash, again, false));
    }
    rounds->at[rounds->n_running++] = (struct round){pid, commit};
}

int main(void)
{
    struct rounds rounds = {0};
    const char *only = getenv("NEXUS_CRASH_ONLY");
    bool all = getenv("NEXUS_CRASH_ALL") != NULL || stack_slower() == 1;
    if (only)
        return play(only, NULL, true) == ROUND_PASSED ? 0 : 1;
    if (play(NULL, NULL, false) != ROUND_NOT_REACHED) {
        puts("not even without a crash\n0 passed, 1 failed");
        return 1;
    }
    fflush(stdout);
    for (uint64_t n = 1; n <= rounds.n_commits + UNTRIGGERED + PARALLEL && n < COMMITS_MAX; n++) {
        char again[32];
        for (unsigned point = 0; point < 3; point++)
            if (all || n % 3 == point)
                begin(&rounds, point, n, NULL);
        snprintf(again, sizeof again, "%s:%llu", points[n % 3], (unsigned long long)(n % 5 + 1));
        if (all)
            begin(&rounds, (unsigned)((n + 1) % 3), n, again);
    }
    while (rounds.n_running)
        await_one(&rounds);
    printf("%llu commits crashed\n", (unsigned long long)rounds.n_commits);
    if (rounds.n_commits < 10) {
        puts("a run of so many tasks has more commits");
        rounds.n_failed++;
    }
    printf("%u passed, %u failed\n", rounds.n_passed, rounds.n_failed);
    return rounds.n_failed != 0;
}
