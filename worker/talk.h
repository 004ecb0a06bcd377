/* The worker's talk with the scheduler: reports when something has changed and every second, and a
 * parked listen; the answers go to the ledger. Both are sent again by the link until they are
 * answered, so a scheduler that is away costs time and nothing else. */
#ifndef WORKER_TALK_H
#define WORKER_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "nexus/error.h"
#include "worker/ledger.h"

struct talk;

/* Texts are borrowed. */
struct talk_config {
    const char *url; /* ipc:///path, tcp://host:port, or with a token tls+tcp://host:port */
    const char *token, *certificate; /* of a scheduler elsewhere; NULL */
    const char *worker, *host, *version, *catalog, *queues;
    uint32_t pid, gpus;
    int64_t memory_bytes;
    bool ipc;
};

/* on_url is called on the loop with the scheduler's HTTP address. */
bool talk_open(uv_loop_t *loop, const struct talk_config *config, struct ledger *ledger,
               void (*on_url)(void *arg, const char *url, size_t n), void *arg, struct talk **talk,
               struct nx_err *err);
/* Sends what is due: to be called before the loop sleeps. */
void talk_pump(struct talk *talk);
/* Whether the scheduler has acknowledged all that the ledger has to say. */
bool talk_settled(const struct talk *talk);
/* The loop has to run once more for its handle. NULL is fine. */
void talk_close(struct talk *talk);

#endif
