#include "lib/script/bind.h"

bool binder_init(struct binder *b, struct arena *arena, const char *text, size_t *offset,
                 struct nx_err *err)
{
    *b = (struct binder){.arena = arena, .text = text, .offset = offset, .err = err};
    if (!template_parse(arena, text, &b->template, offset, err))
        return false;
    b->expressions = arena_array(arena, b->template.n_expressions, sizeof *b->expressions);
    buf_init(&b->out);
    return true;
}

const struct template_piece *binder_at(struct binder *b, size_t at)
{
    while (b->next < b->template.n &&
           (!b->template.at[b->next].is_expression || b->template.at[b->next].start < at))
        b->next++;
    if (b->next < b->template.n && b->template.at[b->next].start == at)
        return &b->template.at[b->next];
    return NULL;
}

size_t binder_add(struct binder *b, const struct template_piece *piece)
{
    b->expressions[b->n++] = piece->text;
    return b->n;
}

bool binder_fail(struct binder *b, size_t at, const char *message)
{
    if (b->offset)
        *b->offset = at;
    return nx_fail(b->err, NX_E_INVALID, "%s", message);
}

bool binder_finish(struct binder *b, bool ok, struct template_bound *bound)
{
    if (ok)
        *bound = (struct template_bound){arena_strndup(b->arena, buf_text(&b->out), b->out.len),
                                         b->expressions, b->n};
    buf_fini(&b->out);
    return ok;
}
