/* Hash maps to pointers: by text (the map keeps its own copy of the key) and by 64-bit number.
 * Iteration order is that of insertion as long as nothing is removed (a removal moves the last
 * entry into the gap), so it never depends on an address. */
#ifndef LIB_BASE_MAP_H
#define LIB_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    char *key;    /* map_text; owned by the map */
    uint64_t num; /* map_num: the key; map_text: its hash */
    void *value;
};

struct map {
    struct map_entry *at; /* n entries, for iteration */
    size_t n, cap;
    uint32_t *slots; /* index into at, plus 1 */
    size_t n_slots;
};

void map_init(struct map *map);
void map_fini(struct map *map); /* the values are the caller's */

/* Text keys. set replaces and returns the former value or NULL. */
void *map_get(const struct map *map, const char *key);
void *map_set(struct map *map, const char *key, void *value);
void *map_remove(struct map *map, const char *key);

/* Number keys; one map uses either these or the ones above. */
void *map_get_num(const struct map *map, uint64_t key);
void *map_set_num(struct map *map, uint64_t key, void *value);
void *map_remove_num(struct map *map, uint64_t key);

/* FNV-1a, 64 bits: for tables and jitter, not for content. */
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);
uint64_t hash_u64(uint64_t v);

#endif
