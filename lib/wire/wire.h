/* The messages between scheduler and worker: encode and decode. Pure.
 *
 * Little-endian integers and length-prefixed bytes. Decoding borrows: texts and byte ranges point
 * into the message, arrays into the arena. The decoder takes any bytes and never reads beyond
 * them; a message that is too long, too short or of another version is NX_E_INVALID. */
#ifndef LIB_WIRE_WIRE_H
#define LIB_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "nexus/error.h"
#include "nexus/ids.h"

#define WIRE_VERSION 3
#define WIRE_PROGRESS_TEXT_MAX 120 /* bytes of UTF-8 without zero */

struct wire_bytes {
    const char *p; /* not ended by 0 */
    size_t n;
};

enum wire_kind {
    WIRE_REPORT = 1, /* worker: something changed, or a second has passed */
    WIRE_LISTEN = 2, /* worker: parked until there are orders */
    WIRE_REPLY = 3   /* scheduler */
};

enum wire_hand_state { WIRE_HAND_QUEUED, WIRE_HAND_RUNNING, WIRE_HAND_DONE };

/* A lease that the worker holds. */
struct wire_hand {
    struct nx_inst_id inst;
    uint32_t lease;
    uint8_t state;      /* enum wire_hand_state */
    int64_t started_ms; /* wall clock of the worker; 0: not started */
    uint16_t progress;  /* 0..1000; 65535: none said */
    uint8_t has_text;   /* `text` is what the progress says now; 0: what it said before */
    struct wire_bytes text;
};

enum wire_result_flag {
    WIRE_RESULT_PERMANENT = 1 /* no retry can help */
};

/* How an attempt ended; repeated in every report until it is acknowledged. */
struct wire_result {
    struct nx_inst_id inst;
    uint32_t lease;
    uint32_t attempt;
    uint8_t outcome; /* enum nx_attempt_outcome */
    uint8_t code;    /* enum nx_code of the error */
    uint8_t flags;
    int32_t exit_code; /* of a script; -1: none */
    int32_t signal;    /* that ended it; 0: none */
    int64_t started_ms, finished_ms;
    int64_t max_rss_bytes, cpu_us;
    struct wire_bytes outputs; /* a JSON object, or empty */
    struct wire_bytes error;   /* text, or empty */
};

/* A lease handed back without having been started. */
struct wire_back {
    struct nx_inst_id inst;
    uint32_t lease;
};

enum wire_poke_state {
    WIRE_POKE_HAND,    /* it waits for its turn, or is under way */
    WIRE_POKE_NOT_YET, /* what it looks for is not there */
    WIRE_POKE_ENDED    /* it is there (success), or the look failed: see the result */
};

/* A look at what a waiting task waits for. The outcome is repeated until it is acknowledged. */
struct wire_poke {
    uint64_t number;           /* of the look */
    uint8_t state;             /* enum wire_poke_state */
    struct wire_result result; /* WIRE_POKE_ENDED: success or failed */
};

struct wire_report {
    uint8_t kind; /* WIRE_REPORT or WIRE_LISTEN; a listen has only the fields up to `seen` */
    struct wire_bytes worker; /* id: at most NX_ID_MAX of a-z, 0-9, - and _ */
    uint64_t incarnation;     /* random, made at the worker's start; not 0 */
    uint64_t epoch;           /* of the scheduler, as the worker knows it; 0: none yet */
    uint64_t seq;             /* of this report; strictly rising; for a listen: its own count */
    uint64_t seen;            /* the highest order applied in this epoch; 0: none */
    /* What the worker is. */
    struct wire_bytes host;
    struct wire_bytes version;
    struct wire_bytes catalog; /* hash of its operators' catalog */
    struct wire_bytes queues;  /* comma-separated */
    uint32_t pid;
    uint32_t slots;
    uint32_t gpus;
    int64_t memory_bytes;
    uint8_t ipc;      /* it is on this machine: lost_after is the short one */
    uint8_t draining; /* it asks for no more work (SIGTERM) */
    /* How it fares. */
    uint32_t n_free;   /* slots that are free now and have nothing queued for them */
    uint32_t n_queued; /* leases in hand, not started */
    uint64_t starved;  /* how often a slot ended and found its queue empty */
    uint32_t mean_us;  /* mean duration of recent attempts; 0: unknown */
    /* Not in the message: the receiver's word of where it came from, and with which token (its id);
     * empty on ipc. */
    struct wire_bytes address, token;
    uint32_t n_hands, n_results, n_backs, n_pokes;
    const struct wire_hand *hands;
    const struct wire_result *results;
    const struct wire_back *backs;
    const struct wire_poke *pokes;
};

enum wire_order_kind {
    WIRE_LEASE = 1,     /* run this */
    WIRE_GIVE_BACK = 2, /* hand it back if it has not been started */
    WIRE_CANCEL = 3,    /* stop it; reported as cancelled (or as what it was, if that came first) */
    WIRE_DRAIN = 4,     /* finish what runs, ask for nothing; lease field 0: resume */
    WIRE_FORGET = 5,    /* drop it and say nothing: the scheduler does not know it */
    WIRE_POKE = 6       /* look whether what the task waits for is there */
};

enum wire_lease_flag { WIRE_LEASE_EXCLUSIVE = 1, WIRE_LEASE_SCRIPT = 2 };

struct wire_order {
    uint64_t number; /* per incarnation and epoch, from 1, without gaps */
    uint8_t kind;
    struct nx_inst_id inst;
    uint32_t lease;
    uint64_t poke; /* WIRE_POKE only: number of the look */
    /* WIRE_LEASE and WIRE_POKE only */
    uint32_t attempt, max_attempts;
    uint8_t flags;
    uint64_t version; /* of the DAG: (version, inst.task) names the definition */
    uint32_t cpus_milli, gpus;
    int64_t memory_bytes, timeout_ms, grace_ms;
    struct wire_bytes task_id;
    struct wire_bytes outputs; /* JSON object {task: outputs} of the referenced tasks, or empty;
                                  {"artifact": "sha256:..."} text when it is larger than inline */
    struct wire_bytes item;    /* of a mapped instance: JSON value, at most NX_CONTEXT_INLINE_MAX */
};

/* A task's definition (JSON), once a message. */
struct wire_definition {
    uint64_t version;
    uint32_t task;
    struct wire_bytes text;
};

/* What all leases of a run share (JSON: params, run, dag, vars), once a message. */
struct wire_run {
    struct nx_run_id run;
    struct wire_bytes text;
};

struct wire_reply {
    uint64_t ack;    /* the report's seq; 0 for a listen */
    uint64_t epoch;  /* the scheduler's */
    uint8_t refused; /* not understood or not welcome: `text` says why; nothing else is set */
    uint8_t more;    /* more orders wait: report again at once */
    struct wire_bytes text;
    struct wire_bytes url;  /* the scheduler's HTTP address, for scripts */
    struct wire_bytes home; /* what names this home: workers compare before they share its files */
    uint32_t lease_ttl_ms;
    uint32_t n_definitions, n_runs, n_orders;
    const struct wire_definition *definitions;
    const struct wire_run *runs;
    const struct wire_order *orders;
};

void wire_encode_report(struct buf *buf, const struct wire_report *report);
bool wire_decode_report(const void *p, size_t n, struct arena *arena, struct wire_report *report,
                        struct nx_err *err);

/* A reply is written piece by piece, so that the sender can stop at NX_MESSAGE_MAX: begin, then
 * definitions, runs and orders in any order (what an order names before it), then end. */
struct wire_reply_writer {
    struct buf *buf;
    size_t start;
    uint32_t n_definitions, n_runs, n_orders;
};

void wire_reply_begin(struct wire_reply_writer *writer, struct buf *buf,
                      const struct wire_reply *head);
void wire_reply_definition(struct wire_reply_writer *writer,
                           const struct wire_definition *definition);
void wire_reply_run(struct wire_reply_writer *writer, const struct wire_run *run);
void wire_reply_order(struct wire_reply_writer *writer, const struct wire_order *order);
void wire_reply_end(struct wire_reply_writer *writer, bool more);
/* Bytes so far, and what an order would add at most. */
size_t wire_reply_size(const struct wire_reply_writer *writer);
size_t wire_order_size(const struct wire_order *order);

bool wire_decode_reply(const void *p, size_t n, struct arena *arena, struct wire_reply *reply,
                       struct nx_err *err);

/* Bytes that a result adds to a report: the sender splits before NX_MESSAGE_MAX. */
size_t wire_result_size(const struct wire_result *result);
size_t wire_poke_size(const struct wire_poke *poke);

/* Orders that carry what an attempt needs. */
static inline bool wire_starts(uint8_t kind)
{
    return kind == WIRE_LEASE || kind == WIRE_POKE;
}

static inline struct wire_bytes wire_text(const char *s, size_t n)
{
    return (struct wire_bytes){s, n};
}

#endif
