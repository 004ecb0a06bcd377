#include "lib/base/vec.h"

#include <stdint.h>

void vec_grow(void **at, size_t *cap, size_t needed, size_t size)
{
    if (needed <= *cap)
        return;
    size_t n = *cap ? *cap : 8;
    while (n < needed)
        n *= 2;
    must(n <= SIZE_MAX / 2 / size);
    *at = mem_realloc(*at, n * size);
    *cap = n;
}
