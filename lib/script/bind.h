/* What SQL and scripts share: a text is copied, its expressions are numbered. */
#ifndef LIB_SCRIPT_BIND_H
#define LIB_SCRIPT_BIND_H

#include "lib/base/buf.h"
#include "lib/base/vec.h"
#include "lib/script/template.h"

struct binder {
    struct arena *arena;
    const char *text;
    struct template template;
    struct buf out;
    const char **expressions;
    size_t n;    /* expressions used so far */
    size_t next; /* the piece that binder_at looks at first */
    VEC(struct template_refusal) refused;
    size_t *offset;
    struct nx_err *err;
};

bool binder_init(struct binder *b, struct arena *arena, const char *text,
                 struct template_bound *bound, size_t *offset, struct nx_err *err);
/* The expression that begins at that byte, or NULL. Bytes are asked for in ascending order. */
const struct template_piece *binder_at(struct binder *b, size_t at);
/* Its number, from 1. */
size_t binder_add(struct binder *b, const struct template_piece *piece);
/* The expression at that byte is refused; its reader goes on after it. `message` lives as long as
 * the arena. */
void binder_refuse(struct binder *b, size_t at, const char *message);
/* The same, where the reader cannot go on: false. */
bool binder_fail(struct binder *b, size_t at, const char *message);
/* Fills `bound`; true when ok and nothing was refused. */
bool binder_finish(struct binder *b, bool ok, struct template_bound *bound);

/* template_run of Python. */
void bind_python(struct binder *b);

#endif
