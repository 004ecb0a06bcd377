/* A binary heap in an array of the caller (a VEC). Inline, so that item size and order are
 * constants to the compiler. The order must be total: equal items come out in any order. */
#ifndef LIB_BASE_HEAP_H
#define LIB_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define HEAP_ITEM_MAX 128

/* Whether a comes out before b. */
typedef bool heap_before(const void *a, const void *b);

static inline char *heap_at(void *items, size_t size, size_t i)
{
    return (char *)items + i * size;
}

/* The last of the n items was just added: puts it in its place. */
static inline void heap_push(void *items, size_t n, size_t size, heap_before *before)
{
    char item[HEAP_ITEM_MAX];
    size_t i = n - 1;
    memcpy(item, heap_at(items, size, i), size);
    for (; i > 0 && before(item, heap_at(items, size, (i - 1) / 2)); i = (i - 1) / 2)
        memcpy(heap_at(items, size, i), heap_at(items, size, (i - 1) / 2), size);
    memcpy(heap_at(items, size, i), item, size);
}

/* Takes the first of the n items out; n - 1 are left. */
static inline void heap_pop(void *items, size_t n, size_t size, heap_before *before)
{
    char item[HEAP_ITEM_MAX];
    size_t i = 0, child;
    n--;
    if (!n)
        return;
    memcpy(item, heap_at(items, size, n), size);
    while ((child = 2 * i + 1) < n) {
        if (child + 1 < n && before(heap_at(items, size, child + 1), heap_at(items, size, child)))
            child++;
        if (!before(heap_at(items, size, child), item))
            break;
        memcpy(heap_at(items, size, i), heap_at(items, size, child), size);
        i = child;
    }
    memcpy(heap_at(items, size, i), item, size);
}

#endif
