#include "lib/script/bind.h"

bool binder_init(struct binder *b, struct arena *arena, const char *text,
                 struct template_bound *bound, size_t *offset, struct nx_err *err)
{
    *bound = (struct template_bound){0};
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

void binder_refuse(struct binder *b, size_t at, const char *message)
{
    struct template_refusal refusal = {at, message};
    if (b->refused.n == 0) {
        if (b->offset)
            *b->offset = at;
        nx_fail(b->err, NX_E_INVALID, "%s", message);
    }
    vec_push(&b->refused, refusal);
}

bool binder_fail(struct binder *b, size_t at, const char *message)
{
    binder_refuse(b, at, message);
    return false;
}

bool binder_finish(struct binder *b, bool ok, struct template_bound *bound)
{
    size_t n = b->refused.n;
    ok = ok && n == 0;
    if (ok)
        *bound =
            (struct template_bound){.text = arena_strndup(b->arena, buf_text(&b->out), b->out.len),
                                    .expressions = b->expressions,
                                    .n = b->n};
    bound->refused = arena_dup(b->arena, b->refused.at, n * sizeof *bound->refused);
    bound->n_refused = n;
    vec_fini(&b->refused);
    buf_fini(&b->out);
    return ok;
}
