/* Walks over JSON text without making a tree of it: for long texts that the store itself has
 * written. A walker that meets something else stops, and says so by `bad`. */
#ifndef SCHEDULER_STORE_QUERY_SCAN_H
#define SCHEDULER_STORE_QUERY_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"

struct scan {
    const char *p; /* what comes next; ends with a zero byte */
    bool bad;
};

/* Enters an object or list: '{' or '['. False: something else is there (null, for instance), which
 * stays. */
bool scan_enter(struct scan *scan, char bracket);
/* Steps to the next member or element; false at the end of the object or list, which is passed. The
 * first call after scan_enter has `first` true and sets it false. */
bool scan_next(struct scan *scan, char end, bool *first);
/* A string that needs no escapes (a key, an id), into `to`; cut when longer. */
void scan_word(struct scan *scan, char *to, size_t size);
/* The same and the colon behind it. */
void scan_key(struct scan *scan, char *key, size_t size);
/* The value is a string: a copy in the arena; else it is passed and NULL given. */
const char *scan_text(struct scan *scan, struct arena *arena);
int64_t scan_int(struct scan *scan, int64_t fallback);
bool scan_true(struct scan *scan);
/* Passes any value. */
void scan_skip(struct scan *scan);

#endif
