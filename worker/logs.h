/* What an attempt leaves in the home: its log, with when and from where its bytes came, resolved
 * values, metrics, and what it used (lib/wire/paths.h).
 *
 * The log is made at its first byte. Bytes are kept as they come, but for secrets (worker/mask.h).
 * The end of a line is waited for a moment (LOGS_PART_MS, LOGS_PART_MAX bytes), so that what comes
 * from stdout and from stderr at once does not get into each other's lines.
 *
 * Above `max` a notice is written and only the last NX_LOG_TAIL bytes are kept and written at the
 * end: memory is bounded whatever an attempt prints. Lines of the engine itself begin with
 * "nexus: ". When a file cannot be written the rest is dropped and `failed` says why: an attempt
 * does not fail of its log. */
#ifndef WORKER_LOGS_H
#define WORKER_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/wire/stamp.h"
#include "lib/wire/usage.h"
#include "nexus/error.h"
#include "worker/mask.h"

/* Whose log; texts are borrowed until logs_end. home NULL: nobody's, nothing is kept. */
struct logs_place {
    const char *home;
    uint64_t run;
    const char *task_id;
    int32_t map;
    uint32_t attempt;
};

#define LOGS_PART_MS 50
#define LOGS_PART_MAX 8192
#define LOGS_TAIL_STAMPS 512

/* Of stdout or stderr: what is held back. */
struct logs_stream {
    struct mask mask;
    struct buf part; /* the beginning of a line */
    int64_t part_ms; /* when it came */
};

/* The last stamp that was made, and of how many; a step between them keeps them few. */
struct logs_stamps {
    struct stamp last;
    uint64_t n;
};

struct logs {
    struct logs_place place;
    struct logs_stream out, errors;
    struct logs_stamps stamps;
    uint64_t base; /* bytes that were in the file when it was opened */
    struct buf scratch;
    struct buf metrics;                      /* lines that are not written yet */
    int fd, stamps_fd, metrics_fd, usage_fd; /* -1: not made yet */
    bool line_open;                          /* the last byte was not the end of a line */
    int64_t max;                             /* bytes before the notice; NX_LOG_MAX */
    int64_t n_written;
    int64_t n_beyond;               /* bytes that came after the notice */
    char *tail;                     /* a ring of the last of them; NULL before the notice */
    struct stamp *tail_stamps;      /* likewise, by the number of the byte beyond the notice */
    struct logs_stamps tail_marked; /* how many were put there */
    struct nx_err failed;
};

void logs_init(struct logs *logs);
void logs_fini(struct logs *logs);
/* An attempt begins; the former one has ended. */
void logs_begin(struct logs *logs, const struct logs_place *place);
/* From now on this must not appear. */
void logs_mask(struct logs *logs, const char *text, size_t n);
/* Bytes of the attempt's LOG_OUT or LOG_ERR. */
void logs_write(struct logs *logs, enum log_stream from, const char *p, size_t n);
/* "nexus: ..." as a line of its own; before what is held back as the beginning of a secret. */
void logs_note(struct logs *logs, const char *format, ...) __attribute__((format(printf, 2, 3)));
void logs_resolved(struct logs *logs, const char *json, size_t n);
void logs_metric(struct logs *logs, const char *name, double value, int64_t step, int64_t wall_ms);
void logs_usage(struct logs *logs, const struct usage_record *record);
/* Writes metrics that wait and lines whose end does not come: to be called now and then. */
void logs_flush(struct logs *logs);
/* The attempt's output is complete: writes what was held back, and the tail. */
void logs_end(struct logs *logs);

#endif
