#include "lib/base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"

void *mem_try_alloc(size_t n_bytes)
{
    return calloc(1, n_bytes ? n_bytes : 1);
}

void *mem_alloc(size_t n_bytes)
{
    void *p = mem_try_alloc(n_bytes);
    must(p != NULL);
    return p;
}

void *mem_alloc_array(size_t n, size_t size)
{
    must(size == 0 || n <= SIZE_MAX / size);
    return mem_alloc(n * size);
}

void *mem_realloc(void *p, size_t n_bytes)
{
    void *q = realloc(p, n_bytes ? n_bytes : 1);
    must(q != NULL);
    return q;
}

void *mem_dup(const void *p, size_t n_bytes)
{
    void *q = mem_alloc(n_bytes);
    if (n_bytes)
        memcpy(q, p, n_bytes);
    return q;
}

char *mem_strndup(const char *s, size_t n)
{
    char *q = mem_alloc(n + 1);
    if (n)
        memcpy(q, s, n);
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
    free(p);
}
