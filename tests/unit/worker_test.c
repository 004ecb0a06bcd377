/* The real nexus-worker and nexus-task against a scheduler of one page. */
#include <ctype.h>
#include <dirent.h>

#include "lib/base/str.h"
#include "tests/fake_scheduler.h"
#include "tests/unit/test.h"

static int set_up(void **state)
{
    struct fake *f = malloc(sizeof *f);
    fake_open(f);
    fake_start_worker(f, "2");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fake *f = *state;
    fake_close(f);
    free(f);
    return 0;
}

/* {"run": script} */
static const char *script(char *to, size_t size, const char *text)
{
    snprintf(to, size, "{\"id\": \"t\", \"run\": \"%s\", \"shell\": \"sh\", \"env\": {}}", text);
    return to;
}

static void run_script(struct fake *f, uint32_t task, const char *text,
                       void (*tune)(struct wire_order *order))
{
    char definition[1024];
    fake_lease(f, task, script(definition, sizeof definition, text), tune);
}

static char *read_log(struct fake *f, const char *name)
{
    static struct buf text;
    char path[256];
    snprintf(path, sizeof path, "%s/logs/1/%s", f->home, name);
    buf_clear(&text);
    if (!path_read(path, 1 << 30, &text, NULL))
        return NULL;
    return (char *)buf_text(&text);
}

/* Reads /proc/PID/NAME; its zeros are spaces. */
static bool read_proc(const char *pid, const char *name, char *to, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, to, size - 1);
    close(fd);
    for (ssize_t i = 0; i < n; i++)
        to[i] = to[i] ? to[i] : ' ';
    to[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* How many processes of this test's workers have that text in their command line: others may run
 * the same test beside it. */
static unsigned count_processes(const struct fake *f, const char *text)
{
    static char line[4096], env[65536];
    unsigned n = 0;
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    while ((entry = readdir(dir)))
        n += isdigit((unsigned char)entry->d_name[0]) &&
             read_proc(entry->d_name, "cmdline", line, sizeof line) && strstr(line, text) &&
             read_proc(entry->d_name, "environ", env, sizeof env) && strstr(env, f->home);
    closedir(dir);
    return n;
}

/* Waits for a file that a script makes, so that the test knows that it runs. */
static bool wait_file(const char *path, int seconds)
{
    int64_t until = clock_mono_ms() + seconds * 1000;
    while (!path_exists(path) && clock_mono_ms() < until)
        clock_sleep_ms(10);
    return path_exists(path);
}

static pid_t read_pid(const char *path)
{
    struct buf text = {0};
    must(path_read(path, 100, &text, NULL));
    pid_t pid = (pid_t)strtol(buf_text(&text), NULL, 10);
    buf_fini(&text);
    return pid;
}

static void a_thousand_scripts_end_with_their_outputs(void **state)
{
    struct fake *f = *state;
    char definition[256];
    enum { N = 1000 };
    for (uint32_t i = 0; i < N; i++) {
        snprintf(definition, sizeof definition,
                 "{\"run\": \"echo n=%u >> $NEXUS_OUTPUT\", \"shell\": \"sh\"}", i);
        fake_lease(f, i, definition, NULL);
    }
    assert_true(fake_wait(f, N, 120));
    for (uint32_t i = 0; i < N; i++) {
        struct fake_result got = fake_result(f, i);
        char expected[32];
        snprintf(expected, sizeof expected, "%u", i);
        assert_int_equal(got.r.outcome, NX_AO_SUCCESS);
        assert_int_equal(got.r.exit_code, 0);
        assert_non_null(strstr(got.outputs, expected));
        assert_true(got.r.started_ms > 0 && got.r.finished_ms >= got.r.started_ms);
    }
    assert_int_equal(fake_stop_worker(f, SIGTERM), 0);
}

static void a_script_that_fails_is_failed_and_99_is_skipped(void **state)
{
    struct fake *f = *state;
    run_script(f, 0, "echo out; echo err >&2; exit 3", NULL);
    run_script(f, 1, "exit 99", NULL);
    fake_lease(f, 2, "{\"uses\": \"no.such\", \"with\": {}}", NULL);
    assert_true(fake_wait(f, 3, 30));
    struct fake_result a = fake_result(f, 0), b = fake_result(f, 1), c = fake_result(f, 2);
    assert_int_equal(a.r.outcome, NX_AO_FAILED);
    assert_int_equal(a.r.exit_code, 3);
    assert_int_equal(b.r.outcome, NX_AO_SKIPPED);
    assert_int_equal(c.r.outcome, NX_AO_FAILED);
    assert_int_equal(c.r.flags & WIRE_RESULT_PERMANENT, WIRE_RESULT_PERMANENT);
    const char *log = read_log(f, "t0/1.log");
    assert_non_null(log);
    assert_non_null(strstr(log, "out\n"));
    assert_non_null(strstr(log, "err\n"));
}

static void a_child_that_is_killed_loses_one_attempt_with_the_reason(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/pid", f->home);
    snprintf(text, sizeof text, "echo $PPID > %s.new; mv %s.new %s; sleep 4711", path, path, path);
    run_script(f, 0, text, NULL);
    assert_true(wait_file(path, 20));
    kill(read_pid(path), SIGKILL);
    assert_true(fake_wait(f, 1, 20));
    struct fake_result got = fake_result(f, 0);
    assert_int_equal(got.r.outcome, NX_AO_LOST);
    assert_non_null(strstr(got.error, "SIGKILL"));
    assert_int_equal(count_processes(f, "sleep 4711"), 0);
    run_script(f, 1, "true", NULL);
    assert_true(fake_wait(f, 2, 20));
    assert_int_equal(fake_result(f, 1).r.outcome, NX_AO_SUCCESS);
}

static void short_timeout(struct wire_order *order)
{
    order->timeout_ms = 500;
    order->grace_ms = 500;
}

static void a_script_that_ignores_sigterm_is_killed_after_its_grace(void **state)
{
    struct fake *f = *state;
    int64_t before = clock_mono_ms();
    run_script(f, 0, "trap '' TERM; echo begun; while :; do sleep 0.05 4712; done; true",
               short_timeout);
    assert_true(fake_wait(f, 1, 30));
    struct fake_result got = fake_result(f, 0);
    int64_t took = clock_mono_ms() - before;
    assert_int_equal(got.r.outcome, NX_AO_TIMEOUT);
    assert_non_null(strstr(got.error, "500ms"));
    assert_true(took >= 1000 && took < 5000);
    assert_int_equal(count_processes(f, "4712"), 0);
    const char *log = read_log(f, "t0/1.log");
    assert_non_null(strstr(log, "begun\n"));
    assert_non_null(strstr(log, "nexus: stopping: it ran longer than its timeout of 500ms"));
    assert_non_null(strstr(log, "nexus: killed"));
}

static void a_script_that_heeds_sigterm_ends_at_its_timeout(void **state)
{
    struct fake *f = *state;
    run_script(f, 0, "sleep 4713", short_timeout);
    assert_true(fake_wait(f, 1, 30));
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_TIMEOUT);
    assert_int_equal(count_processes(f, "sleep 4713"), 0);
}

static void cancel_ends_what_runs_and_what_waits(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    snprintf(text, sizeof text, "touch %s; sleep 4714", path);
    run_script(f, 0, text, NULL);
    run_script(f, 1, "sleep 4714", NULL);
    run_script(f, 2, "sleep 4714", NULL);
    assert_true(wait_file(path, 20));
    fake_order(f, WIRE_CANCEL, 2);
    fake_order(f, WIRE_CANCEL, 1);
    fake_order(f, WIRE_CANCEL, 0);
    assert_true(fake_wait(f, 3, 20));
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(fake_result(f, i).r.outcome, NX_AO_CANCELLED);
    assert_int_equal(fake_result(f, 2).r.started_ms, 0);
    assert_int_equal(count_processes(f, "sleep 4714"), 0);
}

static void a_daemon_left_behind_is_killed_before_the_end_is_reported(void **state)
{
    struct fake *f = *state;
    run_script(f, 0, "setsid sh -c 'exec sleep 4715' & setsid -f sleep 4715; echo left", NULL);
    assert_true(fake_wait(f, 1, 20));
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_SUCCESS);
    assert_int_equal(count_processes(f, "sleep 4715"), 0);
    assert_non_null(strstr(read_log(f, "t0/1.log"), "nexus: "));
}

static void small_memory(struct wire_order *order)
{
    order->memory_bytes = 200ll * 1024 * 1024;
}

static void an_attempt_above_its_memory_limit_is_killed(void **state)
{
    struct fake *f = *state;
    run_script(f, 0, "tail /dev/zero", small_memory);
    run_script(f, 1, "sleep 1", small_memory);
    assert_true(fake_wait(f, 2, 60));
    struct fake_result got = fake_result(f, 0);
    assert_int_equal(got.r.outcome, NX_AO_MEMORY);
    assert_non_null(strstr(got.error, "200.0 MiB"));
    assert_true(got.r.max_rss_bytes > 200ll * 1024 * 1024);
    assert_int_equal(fake_result(f, 1).r.outcome, NX_AO_SUCCESS);
}

/* Peak of the worker's resident memory, in KiB. */
static long peak_kb(pid_t pid)
{
    char path[64];
    struct buf text = {0};
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    must(path_read(path, 1 << 20, &text, NULL));
    const char *line = strstr(buf_text(&text), "VmHWM:");
    long kb = line ? strtol(line + 6, NULL, 10) : -1;
    buf_fini(&text);
    return kb;
}

static void a_gigabyte_of_output_is_capped_and_costs_no_memory(void **state)
{
    struct fake *f = *state;
    char path[256];
    struct stat st;
    run_script(f, 0, "true", NULL);
    assert_true(fake_wait(f, 1, 20));
    long before = peak_kb(f->worker);
    run_script(f, 1, "head -c 1000000000 /dev/zero; echo the end", NULL);
    assert_true(fake_wait(f, 2, 120));
    assert_int_equal(fake_result(f, 1).r.outcome, NX_AO_SUCCESS);
    assert_true(peak_kb(f->worker) - before < 20 * 1024);
    snprintf(path, sizeof path, "%s/logs/1/t1/1.log", f->home);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > NX_LOG_MAX && st.st_size < NX_LOG_MAX + 2 * NX_LOG_TAIL);
    FILE *file = fopen(path, "r");
    char end[9] = "";
    fseek(file, -8, SEEK_END);
    assert_int_equal(fread(end, 1, 8, file), 8);
    fclose(file);
    assert_string_equal(end, "the end\n");
}

static void a_killed_worker_leaves_orphans_and_the_next_one_ends_them_first(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    snprintf(text, sizeof text, "touch %s; sleep 4716", path);
    run_script(f, 0, text, NULL);
    assert_true(wait_file(path, 20));
    assert_int_equal(fake_stop_worker(f, SIGKILL), -SIGKILL);
    fake_start_worker(f, "2");
    int64_t until = clock_mono_ms() + 10000;
    while (fake_count(f).n_incarnations < 2 && clock_mono_ms() < until)
        clock_sleep_ms(10);
    assert_int_equal(fake_count(f).n_incarnations, 2);
    assert_int_equal(count_processes(f, "sleep 4716"), 0); /* before it asked for work */
    run_script(f, 1, "true", NULL);
    assert_true(fake_wait(f, 1, 20));
}

static void a_second_worker_of_the_same_name_is_refused(void **state)
{
    struct fake *f = *state;
    int status;
    run_script(f, 0, "true", NULL);
    assert_true(fake_wait(f, 1, 20));
    pid_t first = f->worker;
    fake_start_worker(f, "2");
    assert_int_equal(waitpid(f->worker, &status, 0), f->worker);
    assert_int_equal(WEXITSTATUS(status), 1);
    f->worker = first;
}

static void draining_finishes_what_runs_and_gives_the_rest_back(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    snprintf(text, sizeof text, "touch %s; sleep 1", path);
    for (uint32_t i = 0; i < 5; i++)
        run_script(f, i, text, NULL);
    assert_true(wait_file(path, 20));
    clock_sleep_ms(200); /* both slots are in use */
    assert_int_equal(fake_stop_worker(f, SIGTERM), 0);
    assert_int_equal(fake_count(f).n_results, 2);
    assert_true(fake_count(f).n_backs >= 3);
    assert_true(fake_count(f).draining);
}

static void a_second_sigterm_stops_what_runs(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    snprintf(text, sizeof text, "touch %s; sleep 4717", path);
    run_script(f, 0, text, NULL);
    assert_true(wait_file(path, 20));
    kill(f->worker, SIGTERM);
    clock_sleep_ms(200);
    assert_int_equal(fake_stop_worker(f, SIGTERM), 0);
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_LOST);
    assert_int_equal(count_processes(f, "sleep 4717"), 0);
}

static void results_wait_for_a_scheduler_that_is_away(void **state)
{
    struct fake *f = *state;
    char text[512], path[128], done[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    snprintf(done, sizeof done, "%s/done", f->home);
    snprintf(text, sizeof text, "touch %s; sleep 0.5; touch %s", path, done);
    run_script(f, 0, text, NULL);
    assert_true(wait_file(path, 20));
    pthread_mutex_lock(&f->lock);
    f->deaf = true;
    pthread_mutex_unlock(&f->lock);
    assert_true(wait_file(done, 20));
    fake_restart(f);
    assert_true(fake_wait(f, 1, 20));
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_SUCCESS);
    run_script(f, 1, "true", NULL);
    assert_true(fake_wait(f, 2, 20));
}

/* Pids of the worker's nexus-task children. */
static size_t find_children(pid_t worker, pid_t *pids, size_t max)
{
    size_t n = 0;
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    while ((entry = readdir(dir)) && n < max) {
        char path[300], name[64];
        int parent = 0;
        struct buf text = {0};
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        if (isdigit((unsigned char)entry->d_name[0]) && path_read(path, 65536, &text, NULL) &&
            sscanf(buf_text(&text), "%*d (%60[^)]) %*c %d", name, &parent) == 2 &&
            parent == worker && strcmp(name, "nexus-task") == 0)
            pids[n++] = (pid_t)strtol(entry->d_name, NULL, 10);
        buf_fini(&text);
    }
    closedir(dir);
    return n;
}

static void children_killed_at_random_cost_their_own_attempts_and_nothing_else(void **state)
{
    struct fake *f = *state;
    enum { N = 400, KILLS = 25 };
    unsigned n_killed = 0, n_lost = 0;
    for (uint32_t i = 0; i < N; i++)
        run_script(f, i, i % 2 ? "sleep 0.004721" : "echo line", NULL);
    assert_true(fake_wait(f, 1, 30)); /* it has started */
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pids[8];
        size_t n = find_children(f->worker, pids, 8);
        clock_sleep_ms(7 + i % 13);
        if (n && kill(pids[i % n], SIGKILL) == 0)
            n_killed++;
    }
    assert_true(fake_wait(f, N, 60));
    for (uint32_t i = 0; i < N; i++) {
        struct fake_result got = fake_result(f, i);
        n_lost += got.r.outcome == NX_AO_LOST;
        assert_true(got.r.outcome == NX_AO_LOST || got.r.outcome == NX_AO_SUCCESS);
    }
    assert_true(n_killed > 0 && n_lost <= n_killed);
    assert_int_equal(count_processes(f, "sleep 0.004721"), 0);
    assert_int_equal(fake_stop_worker(f, SIGTERM), 0);
}

static void exclusive(struct wire_order *order)
{
    order->flags = WIRE_LEASE_EXCLUSIVE;
    order->grace_ms = 300;
}

static void an_exclusive_attempt_is_stopped_when_the_scheduler_is_silent(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    snprintf(text, sizeof text, "touch %s; sleep 4718", path);
    pthread_mutex_lock(&f->lock);
    f->lease_ttl_ms = 1500;
    pthread_mutex_unlock(&f->lock);
    run_script(f, 0, text, exclusive);
    run_script(f, 1, "sleep 4719", NULL);
    assert_true(wait_file(path, 20));
    pthread_mutex_lock(&f->lock);
    f->deaf = true;
    pthread_mutex_unlock(&f->lock);
    int64_t until = clock_mono_ms() + 10000;
    while (count_processes(f, "sleep 4718") > 0 && clock_mono_ms() < until)
        clock_sleep_ms(50);
    assert_int_equal(count_processes(f, "sleep 4718"), 0);
    assert_true(count_processes(f, "sleep 4719") > 0); /* any other goes on */
    /* A new scheduler hears of both. */
    fake_restart(f);
    assert_true(fake_wait(f, 1, 20));
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_LOST);
    fake_order(f, WIRE_CANCEL, 1);
    assert_true(fake_wait(f, 2, 20));
    assert_int_equal(fake_result(f, 1).r.outcome, NX_AO_CANCELLED);
}

static void secrets_do_not_reach_the_log(void **state)
{
    struct fake *f = *state;
    fake_lease(
        f, 0,
        "{\"run\": \"echo first $PW; printf hun; sleep 0.1; printf ter2; echo; echo $PW >&2\", "
        "\"shell\": \"sh\", \"env\": {\"PW\": \"${{ secrets.password }}\"}}",
        NULL);
    assert_true(fake_wait(f, 1, 20));
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_SUCCESS);
    assert_string_equal(read_log(f, "t0/1.log"), "first ***\n***\n***\n");
    const char *resolved = read_log(f, "t0/1.resolved.json");
    assert_non_null(resolved);
    assert_null(strstr(resolved, "hunter2"));
}

static void a_silent_no_op_leaves_nothing_in_the_home(void **state)
{
    struct fake *f = *state;
    char path[128];
    fake_lease(f, 0, "{\"uses\": \"flow.noop\", \"with\": {}}", NULL);
    assert_true(fake_wait(f, 1, 20));
    assert_int_equal(fake_result(f, 0).r.outcome, NX_AO_SUCCESS);
    snprintf(path, sizeof path, "%s/logs", f->home);
    assert_false(path_exists(path));
    assert_int_equal(fake_stop_worker(f, SIGTERM), 0);
    snprintf(path, sizeof path, "%s/work/w1", f->home);
    assert_false(path_exists(path));
}

static void a_worker_ends_with_the_program_that_started_it(void **state)
{
    struct fake *f = *state;
    char text[512], path[128];
    snprintf(path, sizeof path, "%s/begun", f->home);
    fake_stop_worker(f, SIGTERM);
    pid_t parent = fork();
    if (parent == 0) {
        fake_start_worker(f, "2");
        FILE *file = fopen(path, "w");
        fprintf(file, "%d", (int)f->worker);
        fclose(file);
        for (;;)
            pause();
    }
    assert_true(wait_file(path, 10));
    clock_sleep_ms(100);
    pid_t worker = read_pid(path);
    unlink(path);
    snprintf(text, sizeof text, "touch %s; sleep 4720", path);
    run_script(f, 0, text, NULL);
    assert_true(wait_file(path, 20));
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    int64_t until = clock_mono_ms() + 10000;
    while ((kill(worker, 0) == 0 || count_processes(f, "sleep 4720")) && clock_mono_ms() < until)
        clock_sleep_ms(20);
    assert_int_not_equal(kill(worker, 0), 0);
    assert_int_equal(count_processes(f, "sleep 4720"), 0);
}

int main(int argc, char **argv)
{
#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORKER(a_thousand_scripts_end_with_their_outputs),
        WITH_WORKER(a_script_that_fails_is_failed_and_99_is_skipped),
        WITH_WORKER(a_child_that_is_killed_loses_one_attempt_with_the_reason),
        WITH_WORKER(a_script_that_ignores_sigterm_is_killed_after_its_grace),
        WITH_WORKER(a_script_that_heeds_sigterm_ends_at_its_timeout),
        WITH_WORKER(cancel_ends_what_runs_and_what_waits),
        WITH_WORKER(a_daemon_left_behind_is_killed_before_the_end_is_reported),
        WITH_WORKER(an_attempt_above_its_memory_limit_is_killed),
        WITH_WORKER(a_gigabyte_of_output_is_capped_and_costs_no_memory),
        WITH_WORKER(a_killed_worker_leaves_orphans_and_the_next_one_ends_them_first),
        WITH_WORKER(a_second_worker_of_the_same_name_is_refused),
        WITH_WORKER(draining_finishes_what_runs_and_gives_the_rest_back),
        WITH_WORKER(a_second_sigterm_stops_what_runs),
        WITH_WORKER(results_wait_for_a_scheduler_that_is_away),
        WITH_WORKER(children_killed_at_random_cost_their_own_attempts_and_nothing_else),
        WITH_WORKER(an_exclusive_attempt_is_stopped_when_the_scheduler_is_silent),
        WITH_WORKER(secrets_do_not_reach_the_log),
        WITH_WORKER(a_silent_no_op_leaves_nothing_in_the_home),
        WITH_WORKER(a_worker_ends_with_the_program_that_started_it),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
