/* The worker's looks at what waiting tasks wait for: which were ordered, the one that is under way,
 * and what came of them until it is acknowledged. A part of the ledger. Pure. */
#ifndef WORKER_POKES_H
#define WORKER_POKES_H

#include "worker/ledger.h"
#include "worker/shelf.h"

#define POKES_OUTPUTS_MAX 4096 /* bytes of a look's outputs */

struct poke_entry;

struct pokes {
    struct shelf *definitions, *runs; /* the ledger's */
    struct poke_entry *first, *last;
    struct poke_entry *under_way; /* or NULL */
    uint32_t n;
    bool left_out; /* the last report had no room for some outcome */
};

void pokes_fini(struct pokes *pokes);
/* A WIRE_POKE order; its texts are on the shelves. */
void pokes_take(struct pokes *pokes, const struct wire_order *order);
/* The next one to begin when none is under way; ends with pokes_ended. */
bool pokes_next(struct pokes *pokes, struct ledger_start *start);
/* The one under way has ended. result NULL: what it looked for is not there yet. */
void pokes_ended(struct pokes *pokes, const struct wire_result *result);
void pokes_acknowledge(struct pokes *pokes, uint64_t ack);
/* Another scheduler orders its own: these are nobody's any more. */
void pokes_forget(struct pokes *pokes);
/* Adds them to a report of that number; returns the bytes that they take, which are bounded. */
size_t pokes_report(struct pokes *pokes, uint64_t seq, struct arena *arena,
                    struct wire_report *report);

#endif
