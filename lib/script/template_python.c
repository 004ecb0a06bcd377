/* Expressions in a Python script become lookups in os.environ. */
#include <string.h>

#include "lib/script/bind.h"

/* Length of the quote that opens at s: 3, 1, or 0. */
static size_t quote_length(const char *s)
{
    if (*s != '\'' && *s != '"')
        return 0;
    return s[1] == *s && s[2] == *s ? 3 : 1;
}

/* Copies a string; an expression in it is refused. */
static void copy_string(struct binder *b, size_t *i, size_t quote)
{
    const char *open = b->text + *i;
    size_t at = *i + quote;
    buf_add(&b->out, open, quote);
    while (b->text[at] && strncmp(b->text + at, open, quote) != 0) {
        const struct template_piece *piece = binder_at(b, at);
        if (piece) {
            binder_refuse(b, at,
                          "an expression inside a Python string: take it out of the quotes, it "
                          "becomes a str by itself");
            at = piece->end;
            continue;
        }
        if (quote == 1 && b->text[at] == '\n')
            break; /* Python's own error */
        if (b->text[at] == '\\' && b->text[at + 1] && !binder_at(b, at + 1))
            buf_char(&b->out, b->text[at++]);
        buf_char(&b->out, b->text[at++]);
    }
    if (strncmp(b->text + at, open, quote) == 0) {
        buf_add(&b->out, open, quote);
        at += quote;
    }
    *i = at;
}

static size_t copy_comment(struct binder *b, size_t i)
{
    while (b->text[i] && b->text[i] != '\n') {
        const struct template_piece *piece = binder_at(b, i);
        if (piece)
            i = piece->end;
        else
            buf_char(&b->out, b->text[i++]);
    }
    return i;
}

void bind_python(struct binder *b)
{
    for (size_t i = 0; b->text[i];) {
        const struct template_piece *piece = binder_at(b, i);
        size_t quote = quote_length(b->text + i);
        if (piece) {
            buf_printf(&b->out, "__import__(\"os\").environ[\"NX_E%zu\"]", binder_add(b, piece));
            i = piece->end;
        } else if (quote) {
            copy_string(b, &i, quote);
        } else if (b->text[i] == '#') {
            i = copy_comment(b, i);
        } else {
            buf_char(&b->out, b->text[i++]);
        }
    }
}
