/* How long things are kept: the `retention` of a DAG file and of nexus.yaml.
 *
 *     retention: {runs: 90d, keep: 100, logs: 30d}      or, for runs alone: retention: 90d
 *
 * As text in the store: {"runs_ms", "keep", "logs_ms"}, without what is not said. */
#ifndef LIB_TEXT_RETENTION_H
#define LIB_TEXT_RETENTION_H

#include "lib/text/yaml.h"

#define RETENTION_UNSAID (-1)
#define RETENTION_EVER 0 /* said: no bound */
#define RETENTION_KEEP_MAX 10000

struct retention {
    int64_t runs_ms; /* ended runs go when they ended so long ago */
    int64_t keep;    /* at most so many ended runs of a DAG stay */
    int64_t logs_ms; /* logs of ended runs go */
};

void retention_init(struct retention *retention); /* nothing is said */
/* Adds problems for what is wrong. */
void retention_read(const struct yaml_node *node, struct problems *problems,
                    struct retention *retention);
/* To be freed with mem_free; NULL: nothing is said. */
char *retention_text(const struct retention *retention);
/* NULL and what cannot be read: nothing is said. */
void retention_parse(const char *text, struct retention *retention);
/* What is not said is as the other says; what neither says has no bound. */
void retention_fill(struct retention *retention, const struct retention *other);

#endif
