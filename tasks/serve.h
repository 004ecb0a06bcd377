/* nexus-task --child: attempts from a worker, one after the other. */
#ifndef TASKS_SERVE_H
#define TASKS_SERVE_H

#include "nexus/error.h"
#include "tasks/runtime.h"

/* A sink that writes to the socket *(int *)arg. */
void serve_send(void *arg, const struct child_message *message);

/* Says ready and serves attempts from fd until end of file, `end` or SIGTERM. False: the stream is
 * broken. */
bool serve_run(struct runtime *runtime, int fd, struct nx_err *err);

#endif
