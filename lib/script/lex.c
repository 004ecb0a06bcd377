#include "lib/script/lex.h"

#include <ctype.h>
#include <string.h>

static const char *const keywords[] = {"and",   "break", "do",       "else", "elseif", "end",
                                       "false", "for",   "function", "goto", "if",     "in",
                                       "local", "nil",   "not",      "or",   "repeat", "return",
                                       "then",  "true",  "until",    "while"};

bool lex_is_keyword(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strlen(keywords[i]) == n && memcmp(keywords[i], s, n) == 0)
            return true;
    }
    return false;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Length of "[[ ... ]]" or "[==[ ... ]==]" at s; 0: none begins here; left + 1: it has no end. */
static size_t long_string(const char *s, size_t left)
{
    size_t level = 0;
    while (1 + level < left && s[1 + level] == '=')
        level++;
    if (1 + level >= left || s[1 + level] != '[')
        return 0;
    for (size_t i = 2 + level; i + 1 + level < left; i++) {
        if (s[i] != ']' || s[i + 1 + level] != ']')
            continue;
        size_t equal = 0;
        while (equal < level && s[i + 1 + equal] == '=')
            equal++;
        if (equal == level)
            return i + 2 + level;
    }
    return left + 1;
}

static size_t short_string(const char *s, size_t left)
{
    for (size_t i = 1; i < left; i++) {
        if (s[i] == '\\')
            i++;
        else if (s[i] == '\n')
            return left + 1;
        else if (s[i] == s[0])
            return i + 1;
    }
    return left + 1;
}

static size_t number(const char *s, size_t left)
{
    size_t i = 1;
    while (i < left && (is_name(s[i]) || s[i] == '.' ||
                        ((s[i] == '-' || s[i] == '+') && strchr("eEpP", s[i - 1]) && i > 0 &&
                         !(s[0] == '0' && left > 1 && (s[1] == 'x' || s[1] == 'X') &&
                           (s[i - 1] == 'e' || s[i - 1] == 'E')))))
        i++;
    return i;
}

static size_t symbol(const char *s, size_t left)
{
    static const char *const longer[] = {
        "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        size_t n = strlen(longer[i]);
        if (n <= left && memcmp(s, longer[i], n) == 0)
            return n;
    }
    return 1;
}

struct token lex_next(const char *text, size_t n, size_t from)
{
    while (from < n && isspace((unsigned char)text[from]))
        from++;
    const char *s = text + from;
    size_t left = n - from, length = 0;
    struct token token = {LEX_END, s, from, 0};
    if (left == 0)
        return token;
    if (left > 1 && s[0] == '-' && s[1] == '-') {
        token.kind = LEX_COMMENT;
        length = 2;
    } else if (*s == '"' || *s == '\'' || (*s == '[' && long_string(s, left))) {
        length = *s == '[' ? long_string(s, left) : short_string(s, left);
        token.kind = length > left ? LEX_OPEN : LEX_STRING;
        if (length > left)
            length = left;
    } else if (isdigit((unsigned char)*s) ||
               (*s == '.' && left > 1 && isdigit((unsigned char)s[1]))) {
        token.kind = LEX_NUMBER;
        length = number(s, left);
    } else if (is_name(*s)) {
        while (length < left && is_name(s[length]))
            length++;
        token.kind = lex_is_keyword(s, length) ? LEX_KEYWORD : LEX_NAME;
    } else {
        token.kind = LEX_SYMBOL;
        length = symbol(s, left);
    }
    token.n = length;
    return token;
}

bool token_is(const struct token *token, const char *text)
{
    return (token->kind == LEX_SYMBOL || token->kind == LEX_KEYWORD) && strlen(text) == token->n &&
           memcmp(token->at, text, token->n) == 0;
}

const char *token_string(const struct token *token, size_t *n)
{
    if (token->kind != LEX_STRING || token->at[0] == '[' || memchr(token->at, '\\', token->n))
        return NULL;
    *n = token->n - 2;
    return token->at + 1;
}
