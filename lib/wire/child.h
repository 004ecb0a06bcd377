/* Messages between nexus-worker and a nexus-task child, over a SOCK_STREAM socketpair that is the
 * child's descriptor 3. Pure: encodes into a buffer, decodes from bytes, checks every bound.
 *
 *   frame = length u32 | type u8 | ticket u64 | body        (little-endian; length counts what
 * follows) text  = length u32 | bytes | 0                          (the zero is not counted)
 *
 *   worker                                     child (one attempt at a time)
 *                               <-- ready      once, when it can take work
 *   start  -->                                 definition: only if child_known_take says so
 *                               <-- masks      before the attempt's first byte of output
 *                               <-- resolved   what with, run and env became
 *                               <-- progress, metric ...
 *   cancel -->                                 any time; ignored when its ticket is not running
 *                               <-- done       exactly one per start; everything the attempt wrote
 *                                              to stdout and stderr is in the pipe by then
 *   end    -->                                 the child exits with 0; so it does at end of file
 *
 * A child answers SIGTERM as cancel of the running attempt and exits after it (at once when idle).
 */
#ifndef LIB_WIRE_CHILD_H
#define LIB_WIRE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

#define CHILD_PROTOCOL 2
#define CHILD_FD 3
#define CHILD_MESSAGE_MAX (24u * 1024 * 1024) /* of `length`; a larger message is not encoded */
#define CHILD_MASKS_MAX 32768 /* more than NX_VARS_MAX bytes of secrets can be written as */
#define CHILD_HEAD 4          /* bytes of the length */

enum child_type {
    CHILD_START = 1,
    CHILD_CANCEL,
    CHILD_END,
    CHILD_READY = 16,
    CHILD_PROGRESS,
    CHILD_METRIC,
    CHILD_MASKS,
    CHILD_RESOLVED,
    CHILD_DONE
};

/* Decoded texts borrow from the frame; at[n] is 0, and no byte before it is (except in masks).
 * When encoding, at may be NULL: the empty text. */
struct child_text {
    const char *at;
    size_t n;
};

struct child_text child_text(const char *s); /* s may be NULL */

struct child_start {
    uint64_t definition_id;       /* equal ids, equal definitions: for the life of a child */
    struct child_text definition; /* the task as JSON; empty: sent before under this id */
    struct child_text context;    /* params, run, dag, task, outputs, vars, secrets, item, index */
    struct child_text key;        /* "run.task_id.map.attempt", for messages */
    struct child_text mark;       /* value of NEXUS_LEASE for every process of the attempt */
    struct child_text work;       /* the attempt's folder; made by the child when first used, empty
                                     at each start, removed when the child ends; fastest when it is
                                     the same for all attempts of a child */
    struct child_text artifacts;  /* root of the artifact store */
    struct child_text project;    /* the folder that `dags/` is in */
    struct child_text files;      /* the folder with the DAG version's `files:`; empty: none */
    struct child_text url;        /* the scheduler's HTTP address; empty: none */
    uint32_t cpus;                /* >= 1 */
    uint32_t outputs_max;         /* bytes of the outputs' JSON */
    int64_t memory_bytes;         /* 0: no limit */
    int64_t timeout_ms;           /* for information; 0: none. The worker enforces it */
};

struct child_ready {
    uint16_t protocol;
    struct child_text version; /* of nexus-task */
};

struct child_progress {
    double fraction; /* 0..1; negative: unknown */
    struct child_text text;
};

struct child_metric {
    struct child_text name;
    double value;
    int64_t step; /* < 0: none */
};

/* Secret values that must not appear in the attempt's log. Encoding: n texts. Decoding: read them
 * in turn with child_masks_next. */
struct child_masks {
    uint32_t n;
    const struct child_text *texts; /* encoding only */
    struct child_text raw;          /* decoding only: what is not read yet */
};

/* What the attempt's expressions became: {"with"} or {"run", "variables", "env"}, secrets as "***".
 * Not sent when the definition has no expressions: it says it all. */
struct child_resolved {
    struct child_text json;
};

enum child_outcome {
    CHILD_SUCCESS,
    CHILD_FAILED,
    CHILD_SKIPPED,
    CHILD_CANCELLED,
    CHILD_NOT_YET, /* of a look: what it looks for is not there */
    CHILD_OUTCOMES
};

struct child_done {
    enum child_outcome outcome;
    bool permanent;            /* failed, and a retry cannot help */
    bool retire;               /* replace this child: it has grown */
    struct child_text code;    /* failed: nx_code_info's name, else empty */
    struct child_text error;   /* failed: the message; skipped: the reason */
    int32_t exit_code;         /* of a script; -1: none */
    int32_t signal;            /* that ended a script; 0: none */
    struct child_text outputs; /* a JSON object; empty: none */
    int64_t max_rss_bytes;
    int64_t cpu_us; /* user and system, of the attempt with its processes */
};

struct child_message {
    enum child_type type;
    uint64_t ticket; /* of the attempt: the worker's choice, not 0, never twice for one child; 0 in
                        end and ready */
    union {
        struct child_start start;
        struct child_ready ready;
        struct child_progress progress;
        struct child_metric metric;
        struct child_masks masks;
        struct child_resolved resolved;
        struct child_done done;
    } u; /* cancel and end have no body */
};

/* Appends one frame. False with NX_E_LIMIT, the buffer as before, when it is above
 * CHILD_MESSAGE_MAX. */
bool child_encode(struct buf *to, const struct child_message *message, struct nx_err *err);

/* How many bytes the first frame in the n bytes at p takes, head included; 0: not all there yet.
 * False with NX_E_DATA: not a frame (too long or too short); the stream is of no use any more. */
bool child_frame(const void *p, size_t n, size_t *frame_bytes, struct nx_err *err);

/* Decodes the frame of n bytes at p (as child_frame measured it). NX_E_DATA on anything that no
 * encoder makes: unknown type, bad length, trailing bytes, a zero inside a text. A metric may be
 * NaN. */
bool child_decode(const void *p, size_t n, struct child_message *message, struct nx_err *err);

/* The next mask; false after the last. */
bool child_masks_next(struct child_masks *masks, struct child_text *text);

/* Which definitions a child has: the same table on both sides, so that they always agree. */
#define CHILD_KNOWN 256

struct child_known {
    uint64_t ids[CHILD_KNOWN];
    bool used[CHILD_KNOWN];
};

/* The slot of this definition. *is_new: it was not there (another may have been in the slot) and
 * is now: the worker sends the text, the child stores it. */
size_t child_known_take(struct child_known *known, uint64_t definition_id, bool *is_new);

#endif
