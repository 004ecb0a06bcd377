/* The worker's book of leases: what it was given, what runs, what has ended. Pure.
 *
 * The worker's half of the dispatch protocol: applies the scheduler's orders, says what to start
 * and what to stop, and fills reports. The agent drives it with real processes, the simulation with
 * pretended ones. Time comes as an argument: now_ms never goes back; wall_ms is only passed on.
 *
 *   reply -> ledger_reply -> queued -> ledger_next -> running -> ledger_ended -> done
 *                              |                        |                          |
 *                           give_back                ledger_stop_next         acknowledged
 *                              v                        v                          v
 *                            backs --- acknowledged -> gone <-----------------------
 *
 * A lease is known by its instance and number. Results and given-back leases stay in the reports
 * until a reply acknowledges one that had them. All leases of a worker that holds
 * LEDGER_LEASES_MAX are kept; further orders are left above `seen` and come again later. */
#ifndef WORKER_LEDGER_H
#define WORKER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/wire/wire.h"
#include "nexus/ids.h"

#define LEDGER_LEASES_MAX 4096
#define LEDGER_ERROR_MAX 4096 /* bytes kept of a result's error */

struct ledger;

struct ledger_config {
    uint32_t slots;       /* attempts at once; 1 or more */
    uint64_t incarnation; /* random, not 0 */
    int64_t lease_ttl_ms; /* until a reply says another; 0: NX_LEASE_TTL_MS */
};

/* What ledger_next hands out. Texts borrow from the ledger, until ledger_ended of this lease. */
struct ledger_start {
    struct wire_order order;      /* its WIRE_LEASE order */
    uint64_t definition_id;       /* equal ids, equal definitions */
    struct wire_bytes definition; /* JSON */
    struct wire_bytes run;        /* JSON */
};

enum ledger_why {
    LEDGER_STOP_CANCEL, /* the scheduler ordered it: report it as cancelled */
    LEDGER_STOP_FORGET, /* nobody wants its result */
    LEDGER_STOP_TTL,    /* exclusive, and no answer for lease_ttl: report it as lost */
    LEDGER_STOP_NOW     /* ledger_stop_all: report it as lost (the worker goes away) */
};

struct ledger_stop {
    struct nx_inst_id inst;
    uint32_t lease;
    enum ledger_why why;
};

struct ledger *ledger_new(const struct ledger_config *config, int64_t now_ms);
void ledger_free(struct ledger *ledger);

/* Takes a reply to a report or a listen: acknowledgements, then orders, the next number only. One
 * that is refused or of an older epoch changes nothing. Copies what it keeps. */
void ledger_reply(struct ledger *ledger, const struct wire_reply *reply, int64_t now_ms);

/* The next lease to start, in order of arrival, when a slot is free; it is running from now on and
 * has to end with ledger_ended. An instance whose former lease is still being stopped waits; an
 * exclusive one is not started without an answer within lease_ttl, but given back. */
bool ledger_next(struct ledger *ledger, int64_t now_ms, int64_t wall_ms,
                 struct ledger_start *start);
/* progress: 0..1000, or more: unknown, what was known stays. `text` is cut to
 * WIRE_PROGRESS_TEXT_MAX. Nothing when that lease does not run. The next report says it. */
void ledger_progress(struct ledger *ledger, struct nx_inst_id inst, uint32_t lease,
                     uint16_t progress, const char *text);
/* A running lease has ended: result->inst and lease name it, attempt and started_ms are filled
 * from the order; outputs (at most NX_OUTPUTS_MAX) and error are copied. Its slot is free.
 * duration_us counts for the mean. */
void ledger_ended(struct ledger *ledger, const struct wire_result *result, int64_t duration_us);

/* The next look at what a waiting task waits for (its WIRE_POKE order), when none is under way; it
 * takes no slot, and has to end with ledger_looked. */
bool ledger_look(struct ledger *ledger, struct ledger_start *start);
/* It has ended. result: success or failed; outputs and error are copied. NULL: what it looked for
 * is not there yet. */
void ledger_looked(struct ledger *ledger, const struct wire_result *result);

/* The next running lease that has to be stopped; each is told once. */
bool ledger_stop_next(struct ledger *ledger, int64_t now_ms, struct ledger_stop *stop);
/* Everything that runs is to be stopped (the worker is told to go at once). */
void ledger_stop_all(struct ledger *ledger);
/* Gives back what is queued, now and from now on; reports say so. */
void ledger_drain(struct ledger *ledger);

/* Fills a report: everything but worker, host, version, catalog, queues, pid, gpus, memory_bytes
 * and ipc, for which it leaves 16 KiB of NX_MESSAGE_MAX. Results that do not fit are in hand as
 * done. Lists are in the arena, texts borrow from the ledger until the next call that changes it.
 * Each call is a new seq; at most one report should be on its way. */
void ledger_report(struct ledger *ledger, int64_t now_ms, struct arena *arena,
                   struct wire_report *report);
/* Fills a listen, but worker. */
void ledger_listen(struct ledger *ledger, struct wire_report *listen);
/* Whether there is something that the last report has not said: send one now. */
bool ledger_changed(const struct ledger *ledger);

/* Whether that is more than starts. A start may wait a little: when the attempt is a short one its
 * result is the news, and one report (and one commit) does for both. The start of a later attempt
 * does not wait: what was lost before may be what kills workers, and only known starts tell. */
bool ledger_urgent(const struct ledger *ledger);
/* Microseconds for which the slots have work without a word from the scheduler, as far as the mean
 * of recent attempts tells: the report may wait a part of that for more results. 0: hurry. */
int64_t ledger_work_us(const struct ledger *ledger);

/* The time at which ledger_stop_next has something new to say without another call; INT64_MAX. */
int64_t ledger_deadline(const struct ledger *ledger);
/* Attempts that occupy a slot; leases that wait; results and given-back leases that are not
 * acknowledged. */
uint32_t ledger_running(const struct ledger *ledger);
uint32_t ledger_queued(const struct ledger *ledger);
uint32_t ledger_unacknowledged(const struct ledger *ledger);
uint64_t ledger_epoch(const struct ledger *ledger);
bool ledger_draining(const struct ledger *ledger);

#endif
