/* Tokens of a Lua expression: for what is read without running it. */
#ifndef LIB_SCRIPT_LEX_H
#define LIB_SCRIPT_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lex_kind {
    LEX_END,
    LEX_NAME,
    LEX_KEYWORD,
    LEX_NUMBER,
    LEX_STRING, /* with its quotes */
    LEX_SYMBOL,
    LEX_COMMENT, /* "--": not allowed in an expression */
    LEX_OPEN     /* a string without end */
};

struct token {
    enum lex_kind kind;
    const char *at;
    size_t start, n; /* bytes in the text */
};

/* The token at or after byte `from`. */
struct token lex_next(const char *text, size_t n, size_t from);
bool token_is(const struct token *token, const char *text);
/* The text of a quoted string without escapes: *n bytes from the result; NULL when it has some or
 * is none. */
const char *token_string(const struct token *token, size_t *n);
bool lex_is_keyword(const char *s, size_t n);

#endif
