/* Benchmark of nexus-task --child: microseconds for a round trip of flow.noop, and script tasks of
 * `true` a second beside a bare loop of posix_spawn of the same shell (session of its own, output
 * to a pipe that is read), interleaved in blocks.
 *
 *   task_round_trip [PATH-OF-NEXUS-TASK]        NEXUS_BIN names the folder otherwise */
#include <pthread.h>

#include "lib/base/clock.h"
#include "tests/child_driver.h"

#define NOOPS 20000
#define LANES 2
#define BLOCKS 20
#define BLOCK 50

static void round_trip(struct driven *d, uint64_t id, const char *definition, struct buf *frame)
{
    struct child_message start =
        driven_message(d, id, definition,
                       "{\"params\":{},\"run\":{\"id\":7},\"dag\":{\"id\":\"bench\"},"
                       "\"task\":{\"id\":\"t\",\"attempt\":1}}");
    driven_send(d, &start);
    for (;;) {
        struct child_message message = driven_receive(d, frame);
        if (message.type != CHILD_DONE)
            continue;
        if (message.u.done.outcome != CHILD_SUCCESS) {
            fprintf(stderr, "failed: %s\n", message.u.done.error.at);
            exit(1);
        }
        driven_drain(d->out_fd);
        return;
    }
}

static void bare_true(void)
{
    int out[2];
    pid_t pid;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    char *argv[] = {"/bin/sh", "-c", "true", NULL};
    must(pipe2(out, O_CLOEXEC) == 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    must(posix_spawn(&pid, argv[0], &actions, &attr, argv, environ) == 0);
    close(out[1]);
    driven_drain(out[0]);
    close(out[0]);
    must(waitpid(pid, NULL, 0) == pid);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
}

static void bench_noop(struct driven *d, struct buf *frame)
{
    for (int i = 0; i < 1000; i++)
        round_trip(d, 1, "{\"uses\":\"flow.noop\"}", frame);
    int64_t start = clock_mono_us();
    for (int i = 0; i < NOOPS; i++)
        round_trip(d, 1, NULL, frame);
    printf("flow.noop round trip: %.1f us\n", (double)(clock_mono_us() - start) / NOOPS);
}

/* Scripts are measured two at a time: two children, beside two bare loops. */
struct lane {
    struct driven *d;
    struct buf frame;
    pthread_t thread;
};

static void *bare_block(void *arg)
{
    (void)arg;
    for (int i = 0; i < BLOCK; i++)
        bare_true();
    return NULL;
}

static void *task_block(void *arg)
{
    struct lane *lane = arg;
    for (int i = 0; i < BLOCK; i++)
        round_trip(lane->d, 2, "{\"run\":\"true\"}", &lane->frame);
    return NULL;
}

/* Microseconds until both lanes have done their block. */
static int64_t both(struct lane *lanes, void *(*block)(void *arg))
{
    int64_t start = clock_mono_us();
    for (int i = 0; i < LANES; i++)
        must(pthread_create(&lanes[i].thread, NULL, block, &lanes[i]) == 0);
    for (int i = 0; i < LANES; i++)
        pthread_join(lanes[i].thread, NULL);
    return clock_mono_us() - start;
}

static void bench_scripts(struct driven *children)
{
    struct lane lanes[LANES] = {0};
    int64_t bare_us = 0, task_us = 0;
    for (int i = 0; i < LANES; i++)
        lanes[i].d = &children[i];
    for (int block = 0; block < BLOCKS; block++) {
        bare_us += both(lanes, bare_block);
        task_us += both(lanes, task_block);
    }
    double n = (double)BLOCKS * BLOCK * LANES;
    printf("script `true`, %d at a time: %.0f/s, bare posix_spawn: %.0f/s: %.0f%%\n", LANES,
           n * 1e6 / (double)task_us, n * 1e6 / (double)bare_us,
           100.0 * (double)bare_us / (double)task_us);
    for (int i = 0; i < LANES; i++)
        buf_fini(&lanes[i].frame);
}

static void start_child(struct driven *d, const char *program, struct buf *frame)
{
    snprintf(d->folder, sizeof d->folder, "/tmp/nexus-bench-XXXXXX");
    must(mkdtemp(d->folder) != NULL);
    int64_t start = clock_mono_us();
    driven_start(d, program);
    must(driven_receive(d, frame).type == CHILD_READY);
    printf("start to ready: %.1f ms\n", (double)(clock_mono_us() - start) / 1000);
}

static void end_child(struct driven *d)
{
    close(d->fd);
    close(d->out_fd);
    must(waitpid(d->pid, NULL, 0) == d->pid);
    path_remove_tree(d->folder, NULL);
    buf_fini(&d->inbox);
}

int main(int argc, char **argv)
{
    char program[PATH_MAX_BYTES];
    struct driven children[LANES] = {0};
    struct buf frame;
    buf_init(&frame);
    if (argc > 1)
        snprintf(program, sizeof program, "%s", argv[1]);
    else
        driven_program(program, sizeof program);
    for (int i = 0; i < LANES; i++)
        start_child(&children[i], program, &frame);
    bench_noop(&children[0], &frame);
    bench_scripts(children);
    for (int i = 0; i < LANES; i++)
        end_child(&children[i]);
    buf_fini(&frame);
    return 0;
}
