/* What the scheduler's side knows for `nexus doctor`, as JSON: of a running one by the API, else by
 * `nexus-scheduler --check`. */
#ifndef SCHEDULER_PORT_CHECKS_H
#define SCHEDULER_PORT_CHECKS_H

/* Of a home whose scheduler does not run, to stdout; the exit status. */
int checks_print(const char *home);

#endif
