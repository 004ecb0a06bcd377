#include "lib/base/map.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/vec.h"

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *bytes = p;
    uint64_t hash = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash_u64(hash);
}

uint64_t hash_u64(uint64_t v)
{
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    return v ^ (v >> 31);
}

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_fini(struct map *map)
{
    for (size_t i = 0; i < map->n; i++)
        mem_free(map->at[i].key);
    mem_free(map->at);
    mem_free(map->slots);
    *map = (struct map){0};
}

static uint64_t entry_hash(const struct map_entry *entry)
{
    return entry->key ? entry->num : hash_u64(entry->num);
}

static void place(struct map *map, size_t index)
{
    size_t i = entry_hash(&map->at[index]) & (map->n_slots - 1);
    while (map->slots[i])
        i = (i + 1) & (map->n_slots - 1);
    map->slots[i] = (uint32_t)(index + 1);
}

static void rehash(struct map *map, size_t n_slots)
{
    mem_free(map->slots);
    map->slots = mem_alloc_array(n_slots, sizeof *map->slots);
    map->n_slots = n_slots;
    for (size_t i = 0; i < map->n; i++)
        place(map, i);
}

/* The slot that holds the key, or n_slots. */
static size_t find_slot(const struct map *map, const char *key, uint64_t num, uint64_t hash)
{
    if (!map->n_slots)
        return 0;
    for (size_t i = hash & (map->n_slots - 1); map->slots[i]; i = (i + 1) & (map->n_slots - 1)) {
        const struct map_entry *entry = &map->at[map->slots[i] - 1];
        if (key ? entry->num == hash && strcmp(entry->key, key) == 0 : entry->num == num)
            return i;
    }
    return map->n_slots;
}

static void *get(const struct map *map, const char *key, uint64_t num, uint64_t hash)
{
    size_t slot = find_slot(map, key, num, hash);
    return slot == map->n_slots ? NULL : map->at[map->slots[slot] - 1].value;
}

static void *set(struct map *map, const char *key, uint64_t num, uint64_t hash, void *value)
{
    size_t slot = find_slot(map, key, num, hash);
    if (slot != map->n_slots) {
        struct map_entry *entry = &map->at[map->slots[slot] - 1];
        void *former = entry->value;
        entry->value = value;
        return former;
    }
    must(map->n < UINT32_MAX / 2);
    vec_grow((void **)&map->at, &map->cap, map->n + 1, sizeof *map->at);
    map->at[map->n++] = (struct map_entry){key ? mem_strdup(key) : NULL, key ? hash : num, value};
    if (map->n * 2 > map->n_slots)
        rehash(map, map->n_slots ? map->n_slots * 2 : 16);
    else
        place(map, map->n - 1);
    return NULL;
}

/* Empties slot i and moves back what a search would no longer reach. */
static void close_gap(struct map *map, size_t i)
{
    size_t mask = map->n_slots - 1;
    map->slots[i] = 0;
    for (size_t j = (i + 1) & mask; map->slots[j]; j = (j + 1) & mask) {
        size_t home = entry_hash(&map->at[map->slots[j] - 1]) & mask;
        if (((j - home) & mask) < ((j - i) & mask))
            continue;
        map->slots[i] = map->slots[j];
        map->slots[j] = 0;
        i = j;
    }
}

static void *remove_key(struct map *map, const char *key, uint64_t num, uint64_t hash)
{
    size_t slot = find_slot(map, key, num, hash);
    if (slot == map->n_slots)
        return NULL;
    size_t index = map->slots[slot] - 1;
    void *value = map->at[index].value;
    mem_free(map->at[index].key);
    close_gap(map, slot);
    size_t last = map->n - 1;
    if (index != last) {
        const struct map_entry *moved = &map->at[last];
        size_t i = find_slot(map, moved->key, moved->num, entry_hash(moved));
        must(i < map->n_slots);
        map->slots[i] = (uint32_t)(index + 1);
        map->at[index] = *moved;
    }
    map->n--;
    return value;
}

static uint64_t text_hash(const char *key)
{
    return hash_bytes(key, strlen(key), 0);
}

void *map_get(const struct map *map, const char *key)
{
    return get(map, key, 0, text_hash(key));
}

void *map_set(struct map *map, const char *key, void *value)
{
    return set(map, key, 0, text_hash(key), value);
}

void *map_remove(struct map *map, const char *key)
{
    return remove_key(map, key, 0, text_hash(key));
}

void *map_get_num(const struct map *map, uint64_t key)
{
    return get(map, NULL, key, hash_u64(key));
}

void *map_set_num(struct map *map, uint64_t key, void *value)
{
    return set(map, NULL, key, hash_u64(key), value);
}

void *map_remove_num(struct map *map, uint64_t key)
{
    return remove_key(map, NULL, key, hash_u64(key));
}
