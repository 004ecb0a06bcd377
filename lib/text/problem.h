/* Problems of a file: collected, so that all mistakes are reported at once. */
#ifndef LIB_TEXT_PROBLEM_H
#define LIB_TEXT_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"

enum problem_severity { PROBLEM_ERROR, PROBLEM_WARNING };

struct problem {
    const char *file;
    int line, column; /* from 1; 0: the file as a whole */
    enum problem_severity severity;
    const char *message;
    const char *hint; /* the way out, or NULL */
};

struct problems {
    struct arena arena; /* owns the texts */
    struct problem *at;
    size_t n, cap;
    size_t n_errors;  /* of severity error, those beyond the bound included */
    size_t n_dropped; /* beyond NX_DAG_ERRORS_MAX: counted, not kept */
};

void problems_init(struct problems *problems);
void problems_fini(struct problems *problems);

/* Adds one and returns it (NULL when it was dropped), so that problem_hint can follow. */
struct problem *problem_add(struct problems *problems, enum problem_severity severity,
                            const char *file, int line, int column, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* Sets the hint; `problem` may be NULL. */
void problem_hint(struct problems *problems, struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* By file (in order of first appearance), line and column; equal places keep their order. */
void problems_sort(struct problems *problems);
/* Leaves one of those that follow each other and are the same in all. */
void problems_fold(struct problems *problems);

/* "dags/a.yaml:12:5: error: message (hint)". */
void problem_text(const struct problem *problem, struct buf *to);
/* {file line column severity message hint}, all keys always there. */
json_t *problem_json(const struct problem *problem);
json_t *problems_json(const struct problems *problems);

#endif
