/* A dictionary of texts: text to a small code, in order of first appearance. */
#ifndef LIB_DATA_DICT_H
#define LIB_DATA_DICT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/vec.h"

struct dict {
    struct arena arena;     /* owns the texts */
    VEC(const char *) text; /* by code; ended by 0 */
    VEC(uint32_t) length;
    int32_t *slots; /* code + 1 */
    size_t n_slots;
};

void dict_init(struct dict *dict);
void dict_fini(struct dict *dict);
/* The code of a text, which is added when new; with add false: -1 when it is not there. */
int32_t dict_code(struct dict *dict, const char *text, size_t n, int add);
/* The codes in the order of the texts' bytes; the caller frees the array of dict->text.n. */
int32_t *dict_sorted(const struct dict *dict);

#endif
