/* nexus doctor: what is looked at, and how findings are noted. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <jansson.h>

#include "cli/home.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    struct cli *cli;
    struct home home;
    json_t *checks;
    size_t n_failed;
};

/* A finding: what was seen, and (NULL: nothing) what to do about it. */
void doctor_note(struct doctor *d, enum doctor_state state, const char *what, const char *remedy,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* doctor_machine.c */
void doctor_disk(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_zones(struct doctor *d);
void doctor_limits(struct doctor *d);
/* doctor_parts.c: programs, DAG files, scheduler, database, workers, key file. */
void doctor_parts(struct doctor *d);

#endif
