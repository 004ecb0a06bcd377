#include "lib/base/arena.h"

#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"

/* A block is as large as all before it: a small lifetime (one of 10,000 DAGs) costs little. */
#define BLOCK_MIN 1024
#define BLOCK_MAX (64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    max_align_t data[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
}

void arena_fini(struct arena *arena)
{
    free_blocks(arena->blocks);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    if (kept) {
        free_blocks(kept->next);
        kept->next = NULL;
        memset(kept->data, 0, kept->used);
        kept->used = 0;
    }
    arena->n_bytes = 0;
}

static size_t block_bytes(const struct arena *arena, size_t n_bytes)
{
    size_t size = arena->n_bytes < BLOCK_MIN ? BLOCK_MIN : arena->n_bytes;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    return n_bytes > size ? n_bytes : size;
}

void *arena_alloc(struct arena *arena, size_t n_bytes)
{
    size_t align = sizeof(max_align_t);
    must(n_bytes <= SIZE_MAX / 2);
    n_bytes = (n_bytes + align - 1) / align * align;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < n_bytes) {
        size_t size = block_bytes(arena, n_bytes);
        block = mem_alloc(sizeof *block + size);
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *p = (char *)block->data + block->used;
    block->used += n_bytes;
    arena->n_bytes += n_bytes;
    return p;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
    must(size == 0 || n <= SIZE_MAX / 2 / size);
    return arena_alloc(arena, n * size);
}

void *arena_dup(struct arena *arena, const void *p, size_t n_bytes)
{
    void *q = arena_alloc(arena, n_bytes);
    if (n_bytes)
        memcpy(q, p, n_bytes);
    return q;
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
    char *q = arena_alloc(arena, n + 1);
    if (n)
        memcpy(q, s, n);
    return q;
}

char *arena_strdup(struct arena *arena, const char *s)
{
    return arena_strndup(arena, s, strlen(s));
}
