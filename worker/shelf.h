/* Texts kept by reference count, found by a key of two numbers. Pure. */
#ifndef WORKER_SHELF_H
#define WORKER_SHELF_H

#include <stddef.h>
#include <stdint.h>

#include "lib/wire/wire.h"

#define SHELF_BUCKETS 4096

struct shelf_text {
    struct shelf_text *next; /* of its bucket */
    uint64_t a, b;
    uint64_t id; /* equal ids, equal texts: counts from 1, never used twice in a shelf */
    uint32_t n_refs;
    bool shelved; /* false: another text has taken the key since */
    size_t n;
    char bytes[];
};

struct shelf {
    struct shelf_text *buckets[SHELF_BUCKETS];
    uint64_t last_id;
};

void shelf_init(struct shelf *shelf);
/* Every text must have been released. */
void shelf_fini(struct shelf *shelf);

/* Holds the text under that key: the one there if it is equal, else a copy that takes its place
 * (who holds the former one keeps it). Ends with shelf_release. */
struct shelf_text *shelf_put(struct shelf *shelf, uint64_t a, uint64_t b, struct wire_bytes text);
/* Holds what is there under that key, or NULL. */
struct shelf_text *shelf_hold(struct shelf *shelf, uint64_t a, uint64_t b);
/* NULL is fine. */
void shelf_release(struct shelf *shelf, struct shelf_text *text);

#endif
