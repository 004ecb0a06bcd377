/* Dictionaries of texts: open addressing over an array in order of appearance. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/dict.h"

void dict_init(struct dict *dict)
{
    *dict = (struct dict){.n_slots = 64};
    arena_init(&dict->arena);
    dict->slots = mem_alloc_array(dict->n_slots, sizeof *dict->slots);
}

void dict_fini(struct dict *dict)
{
    arena_fini(&dict->arena);
    vec_fini(&dict->text);
    vec_fini(&dict->length);
    mem_free(dict->slots);
}

static uint64_t hash_text(const char *text, size_t n)
{
    uint64_t h = n * 0x9e3779b97f4a7c15ull;
    while (n > 0) {
        uint64_t w = 0;
        size_t take = n < 8 ? n : 8;
        memcpy(&w, text, take);
        h = (h ^ w) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
        text += take;
        n -= take;
    }
    return h ^ h >> 29;
}

/* The slot of that text, or the free one where it belongs. */
static size_t find_slot(const struct dict *dict, const char *text, size_t n)
{
    size_t mask = dict->n_slots - 1;
    size_t i = hash_text(text, n) & mask;
    for (; dict->slots[i]; i = (i + 1) & mask) {
        size_t code = (size_t)(dict->slots[i] - 1);
        if (dict->length.at[code] == n && memcmp(dict->text.at[code], text, n) == 0) {
            break;
        }
    }
    return i;
}

static void grow(struct dict *dict)
{
    mem_free(dict->slots);
    dict->n_slots *= 2;
    dict->slots = mem_alloc_array(dict->n_slots, sizeof *dict->slots);
    for (size_t code = 0; code < dict->text.n; code++) {
        size_t i = find_slot(dict, dict->text.at[code], dict->length.at[code]);
        dict->slots[i] = (int32_t)code + 1;
    }
}

int32_t dict_code(struct dict *dict, const char *text, size_t n, int add)
{
    size_t i = find_slot(dict, text, n);
    if (dict->slots[i] || !add) {
        return dict->slots[i] - 1;
    }
    must(dict->text.n < INT_MAX - 1 && n <= UINT32_MAX);
    vec_push(&dict->text, arena_strndup(&dict->arena, text, n));
    vec_push(&dict->length, (uint32_t)n);
    dict->slots[i] = (int32_t)dict->text.n;
    int32_t code = dict->slots[i] - 1;
    if (dict->text.n * 2 > dict->n_slots) {
        grow(dict);
    }
    return code;
}

static int compare(const void *a, const void *b, void *context)
{
    const struct dict *dict = context;
    size_t i = (size_t) * (const int32_t *)a, k = (size_t) * (const int32_t *)b;
    size_t n = dict->length.at[i], m = dict->length.at[k];
    int by_bytes = memcmp(dict->text.at[i], dict->text.at[k], n < m ? n : m);
    return by_bytes ? by_bytes : (n > m) - (n < m);
}

int32_t *dict_sorted(const struct dict *dict)
{
    int32_t *codes = mem_alloc_array(dict->text.n + 1, sizeof *codes);
    for (size_t i = 0; i < dict->text.n; i++) {
        codes[i] = (int32_t)i;
    }
    qsort_r(codes, dict->text.n, sizeof *codes, compare, (void *)(uintptr_t)dict);
    return codes;
}
