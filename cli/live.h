/* Watching a run to its end: progress while it goes on, then its result. */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <jansson.h>

#include "cli/command.h"

struct live_options {
    bool logs;         /* the tasks' output too, each line after its task's name */
    bool private_home; /* `nexus run`: no hints that need the server afterwards */
    /* Asked between two looks; true ends the watch with the text on stderr. NULL: no. */
    bool (*broken)(void *arg);
    void *arg;
};

/* Progress goes to stderr: a block redrawn on a terminal, else a line for each change. The result
 * goes to stdout, in the format asked for. Returns CLI_DONE when the run succeeded, CLI_FAILED when
 * it did not or when the watch was interrupted (Ctrl-C leaves the run alone). */
int live_watch(struct cli *cli, const char *run, const struct live_options *options);

/* Sleeps; true when SIGINT, SIGTERM or SIGHUP came, which must be blocked: live_block. */
void live_block(void);
bool live_sleep(int64_t ms);
bool live_interrupted(void); /* one of them is pending */

/* The result of a run that has ended, for people: tasks, what failed and why, what to do next. */
void live_print_result(struct cli *cli, const json_t *run, const json_t *tasks, bool hints);

/* Says that a run has no such task, with the nearest name, and returns the status; when *err is
 * about something else, says that. */
int live_no_such_task(struct cli *cli, const char *run, const char *task, struct nx_err *err);
/* A task instance, by name or name[3]; the status when there is none, which was said. */
int live_task(struct cli *cli, const char *run, const char *task, json_t **instance);

/* "load", or "load[3]" for a mapped instance; in the arena. */
const char *live_task_name(struct arena *arena, const json_t *instance);

#endif
