/* A typed growable array: `VEC(int) v = {0}; vec_push(&v, 3); v.at[0]; v.n; vec_fini(&v);` */
#ifndef LIB_BASE_VEC_H
#define LIB_BASE_VEC_H

#include <stddef.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"

/* clang-format off */
#define VEC(type) struct { type *at; size_t n, cap; }
/* clang-format on */

#define vec_push(v, item) \
    (vec_grow((void **)&(v)->at, &(v)->cap, (v)->n + 1, sizeof *(v)->at), \
     (v)->at[(v)->n++] = (item), (void)0)
/* Room for n items in all, not initialised beyond v->n. */
#define vec_reserve(v, n_items) vec_grow((void **)&(v)->at, &(v)->cap, (n_items), sizeof *(v)->at)
#define vec_pop(v) (must((v)->n > 0), (v)->at[--(v)->n])
#define vec_fini(v) (mem_free((v)->at), (v)->at = NULL, (v)->n = (v)->cap = 0, (void)0)

void vec_grow(void **at, size_t *cap, size_t needed, size_t size);

#endif
