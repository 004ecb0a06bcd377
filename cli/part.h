/* Parts of Nexus (nexus-scheduler, nexus-worker) as children of this program: they end with it,
 * however it ends. */
#ifndef CLI_PART_H
#define CLI_PART_H

#include <sys/types.h>

#include "cli/home.h"

#define PART_ARGS_MAX 16

struct part {
    const char *name; /* "nexus-scheduler" */
    char program[PATH_MAX_BYTES];
    const char *argv[PART_ARGS_MAX + 1]; /* borrowed texts */
    size_t n_argv;
    int output_fd; /* its stdout and stderr; -1: ours */
    pid_t pid;     /* 0: does not run */
    int64_t started_ms;
    int64_t start_at_ms; /* when it is to be started again */
    int64_t backoff_ms;
    unsigned n_starts;
};

/* Finds the program. */
bool part_init(struct part *part, const char *name, struct nx_err *err);
void part_arg(struct part *part, const char *option, const char *value);
void part_flag(struct part *part, const char *option); /* one that takes nothing */
bool part_start(struct part *part, struct nx_err *err);
/* Sends the signal if it runs. */
void part_signal(const struct part *part, int number);
/* Waits at most so long for its end; true when it has ended (also when it never ran). */
bool part_wait(struct part *part, int64_t ms);
/* In words how a process ended: "with status 75 (a commit failed)", "by signal 9 (Killed)". */
const char *part_end_text(const struct part *part, int status, char *to, size_t size);

/* Whether the scheduler with that pid answers /health/ready; url (512 bytes) gets its address. */
bool part_ready(struct cli *cli, const char *home, pid_t pid, char *url);

#endif
