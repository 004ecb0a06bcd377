/* An arena: many allocations with one lifetime, freed together. */
#ifndef LIB_BASE_ARENA_H
#define LIB_BASE_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *blocks;
    size_t n_bytes; /* handed out so far */
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);
/* Frees all but one block: for a lifetime that repeats (a turn, a request). */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t n_bytes);
void *arena_array(struct arena *arena, size_t n, size_t size);
void *arena_dup(struct arena *arena, const void *p, size_t n_bytes);
char *arena_strdup(struct arena *arena, const char *s);
char *arena_strndup(struct arena *arena, const char *s, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
