#include "worker/shelf.h"

#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"

void shelf_init(struct shelf *shelf)
{
    memset(shelf, 0, sizeof *shelf);
}

void shelf_fini(struct shelf *shelf)
{
    for (size_t i = 0; i < SHELF_BUCKETS; i++)
        must(!shelf->buckets[i]);
}

static struct shelf_text **find(struct shelf *shelf, uint64_t a, uint64_t b)
{
    struct shelf_text **at = &shelf->buckets[hash_u64(a ^ hash_u64(b)) % SHELF_BUCKETS];
    while (*at && ((*at)->a != a || (*at)->b != b))
        at = &(*at)->next;
    return at;
}

static void take_off(struct shelf_text **at)
{
    struct shelf_text *text = *at;
    *at = text->next;
    text->next = NULL;
    text->shelved = false;
}

struct shelf_text *shelf_put(struct shelf *shelf, uint64_t a, uint64_t b, struct wire_bytes text)
{
    struct shelf_text **at = find(shelf, a, b);
    if (*at && (*at)->n == text.n && (text.n == 0 || memcmp((*at)->bytes, text.p, text.n) == 0)) {
        (*at)->n_refs++;
        return *at;
    }
    if (*at)
        take_off(at);
    struct shelf_text *made = mem_alloc(sizeof *made + text.n + 1);
    *made = (struct shelf_text){
        .a = a, .b = b, .id = ++shelf->last_id, .n_refs = 1, .shelved = true, .n = text.n};
    if (text.n)
        memcpy(made->bytes, text.p, text.n);
    at = find(shelf, a, b);
    made->next = *at;
    *at = made;
    return made;
}

struct shelf_text *shelf_hold(struct shelf *shelf, uint64_t a, uint64_t b)
{
    struct shelf_text *text = *find(shelf, a, b);
    if (text)
        text->n_refs++;
    return text;
}

void shelf_release(struct shelf *shelf, struct shelf_text *text)
{
    if (!text)
        return;
    must(text->n_refs > 0);
    if (--text->n_refs)
        return;
    if (text->shelved) {
        struct shelf_text **at = find(shelf, text->a, text->b);
        must(*at == text);
        take_off(at);
    }
    mem_free(text);
}
