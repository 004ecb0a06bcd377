/* Expressions in SQL become $1..$n. */
#include <ctype.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/script/bind.h"

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Length of a dollar quote's opening "$tag$" at s, or 0. */
static size_t dollar_tag(const char *s)
{
    size_t i = 1;
    if (isdigit((unsigned char)s[1]))
        return 0;
    while (is_word(s[i]))
        i++;
    return s[i] == '$' ? i + 1 : 0;
}

/* The end of what begins at i and cannot hold a parameter: quotes and comments; i: nothing does. */
static size_t sql_span(const char *text, size_t i, bool *comment)
{
    const char *s = text + i, *end = NULL;
    size_t tag;
    *comment = false;
    if (*s == '\'' || *s == '"') {
        bool escapes =
            *s == '\'' && i > 0 && (s[-1] == 'E' || s[-1] == 'e') && (i < 2 || !is_word(s[-2]));
        for (end = s + 1; *end && *end != *s; end++)
            end += escapes && *end == '\\' && end[1];
        return (size_t)(end - text) + (*end != 0);
    }
    if (s[0] == '-' && s[1] == '-') {
        *comment = true;
        return i + strcspn(s, "\n");
    }
    if (s[0] == '/' && s[1] == '*') {
        int depth = 1;
        *comment = true;
        for (end = s + 2; *end && depth; end++) {
            if (end[0] == '/' && end[1] == '*')
                depth++, end++;
            else if (end[0] == '*' && end[1] == '/')
                depth--, end++;
        }
        return (size_t)(end - text);
    }
    if (*s == '$' && (i == 0 || !is_word(s[-1])) && (tag = dollar_tag(s))) {
        for (end = s + tag; *end && strncmp(end, s, tag) != 0; end++)
            ;
        return (size_t)(end - text) + (*end ? tag : 0);
    }
    return i;
}

/* Copies [from, to) without its expressions: dropped in a comment, refused in quotes. */
static void copy_span(struct binder *b, size_t from, size_t to, bool comment)
{
    while (from < to) {
        const struct template_piece *piece = binder_at(b, from);
        if (!piece) {
            buf_char(&b->out, b->text[from++]);
            continue;
        }
        if (!comment)
            binder_refuse(b, from,
                          "an expression inside quotes: it becomes a bound parameter, which needs "
                          "none; take the quotes away, or use || to put texts together");
        from = piece->end;
    }
}

static void bind(struct binder *b)
{
    for (size_t i = 0; b->text[i];) {
        bool comment;
        const struct template_piece *piece = binder_at(b, i);
        if (piece) {
            buf_printf(&b->out, "$%zu", binder_add(b, piece));
            i = piece->end;
            if (is_word(b->text[i]))
                buf_char(&b->out, ' '); /* $1 and 23 must not become $123 */
            continue;
        }
        if (b->text[i] == '$' && isdigit((unsigned char)b->text[i + 1]) &&
            (i == 0 || !is_word(b->text[i - 1])))
            binder_refuse(b, i, "a numbered parameter of its own: write ${{ expression }} there");
        size_t end = sql_span(b->text, i, &comment);
        if (end == i)
            buf_char(&b->out, b->text[i++]);
        else
            copy_span(b, i, end, comment);
        i = end > i ? end : i;
    }
}

bool template_sql(struct arena *arena, const char *text, struct template_bound *bound,
                  size_t *offset, struct nx_err *err)
{
    struct binder b;
    if (!binder_init(&b, arena, text, bound, offset, err))
        return false;
    bind(&b);
    return binder_finish(&b, true, bound);
}
