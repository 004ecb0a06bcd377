/* Heap memory: allocation aborts when there is none, except in the try_ variants. */
#ifndef LIB_BASE_MEM_H
#define LIB_BASE_MEM_H

#include <stddef.h>

/* Zeroed. A size of 0 gives a pointer that may be freed. */
void *mem_alloc(size_t n_bytes);
void *mem_alloc_array(size_t n, size_t size);
/* Grows or shrinks; new bytes are not initialised. */
void *mem_realloc(void *p, size_t n_bytes);
void *mem_dup(const void *p, size_t n_bytes);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
/* Zeroed, or NULL: for sizes that come from outside. */
void *mem_try_alloc(size_t n_bytes);
void mem_free(void *p);

#endif
