/* Benchmark of nexus-worker with its children against a scheduler of one page that stores nothing:
 * no-op tasks a second, and what each part costs of CPU a task. The fake scheduler shares the
 * processors: its own CPU is printed too.
 *
 *   worker_throughput [TASKS [SLOTS [WINDOW [DEFINITION]]]]
 *
 * DEFINITION: the task as JSON, e.g. '{"run": "true", "shell": "sh"}' (a no-op otherwise).
 * NEXUS_BIN names the folder of the programs. */
#include <sys/resource.h>

#include "tests/fake_scheduler.h"

#define WARM 500

static double cpu_s(const struct rusage *u)
{
    return (double)u->ru_utime.tv_sec + (double)u->ru_stime.tv_sec +
           ((double)u->ru_utime.tv_usec + (double)u->ru_stime.tv_usec) / 1e6;
}

/* User and system time of a process so far. */
static double process_cpu_s(pid_t pid)
{
    char path[64];
    struct buf text = {0};
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (path_read(path, 65536, &text, NULL)) {
        const char *p = strrchr(buf_text(&text), ')');
        if (p)
            sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    }
    buf_fini(&text);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

int main(int argc, char **argv)
{
    /* As the scheduler's loader writes it. */
    static const char definition[] =
        "{\"id\": \"t\", \"uses\": \"flow.noop\", \"run\": null, \"shell\": null, \"with\": {}, "
        "\"env\": {}, \"timeout_ms\": 0, \"exclusive\": false, \"cpus\": null, "
        "\"memory_bytes\": 0, \"gpus\": 0, \"files\": [], \"refs\": [], \"vars\": false, "
        "\"secrets\": false}";
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 50000;
    struct rusage before, after, children;
    struct fake f;
    fake_open(&f);
    f.auto_definition = argc > 4 ? argv[4] : definition;
    f.window = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : NX_PREFETCH_MAX;
    fake_start_worker(&f, argc > 2 ? argv[2] : "2");
    /* Warm. */
    f.n_auto = WARM;
    if (!fake_wait(&f, WARM, 30))
        return 1;
    getrusage(RUSAGE_SELF, &before);
    double worker_before = process_cpu_s(f.worker);
    unsigned reports_before = fake_count(&f).n_reports;
    int64_t start_us = clock_mono_us();
    pthread_mutex_lock(&f.lock);
    f.n_auto = WARM + n;
    pthread_mutex_unlock(&f.lock);
    bool ok = fake_wait(&f, WARM + n, 120);
    double s = (double)(clock_mono_us() - start_us) / 1e6;
    double worker_s = process_cpu_s(f.worker) - worker_before;
    unsigned n_reports = fake_count(&f).n_reports - reports_before;
    getrusage(RUSAGE_SELF, &after);
    fake_stop_worker(&f, SIGTERM);
    getrusage(RUSAGE_CHILDREN, &children);
    printf("%u tasks: %.0f/s; CPU us a task: worker %.1f, fake scheduler %.1f, "
           "worker and children since their start %.1f; %.1f tasks a report\n",
           n, n / s, worker_s * 1e6 / n, (cpu_s(&after) - cpu_s(&before)) * 1e6 / n,
           cpu_s(&children) * 1e6 / (n + WARM), (double)n / n_reports);
    fake_close(&f);
    return ok ? 0 : 1;
}
