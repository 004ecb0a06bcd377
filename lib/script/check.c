#include "lib/script/check.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/script/helpers.h"
#include "lib/script/lex.h"
#include "nexus/limits.h"

#define BRACKETS_MAX 128
#define N_ROOTS 9

struct checker {
    const char *text;
    size_t n;
    struct token before, token; /* `before`: the one that precedes */
    char brackets[BRACKETS_MAX];
    int n_brackets;
    bool function;  /* one was seen */
    char declaring; /* 'f': parameters of a function, 'l': local or for; 0: nothing */
    VEC(struct token) locals;
    VEC(struct script_name) names;
    struct arena *arena; /* of the names' texts; NULL: they are not kept */
    size_t offset;
    struct nx_err *err;
};

static bool fail_at(struct checker *c, size_t offset, const char *message)
{
    c->offset = offset;
    return nx_fail(c->err, NX_E_INVALID, "%s", message);
}

static struct token peek(const struct checker *c, const struct token *token)
{
    return lex_next(c->text, c->n, token->start + token->n);
}

static bool same_name(const struct token *token, const char *name)
{
    return strlen(name) == token->n && memcmp(token->at, name, token->n) == 0;
}

static unsigned root_of(const struct token *token)
{
    for (unsigned i = 0; i < N_ROOTS; i++) {
        if (same_name(token, script_root_name(1u << i)))
            return 1u << i;
    }
    return 0;
}

static bool is_helper(const struct token *token)
{
    for (size_t i = 0; i < helper_count(); i++) {
        if (same_name(token, helper_names[i]))
            return true;
    }
    return false;
}

static bool is_local(const struct checker *c, const struct token *token)
{
    for (size_t i = 0; i < c->locals.n; i++) {
        if (c->locals.at[i].n == token->n && memcmp(c->locals.at[i].at, token->at, token->n) == 0)
            return true;
    }
    return false;
}

static bool unknown_name(struct checker *c)
{
    const char *candidates[N_ROOTS + 64];
    char name[NX_ID_MAX + 1];
    size_t n = 0;
    for (unsigned i = 0; i < N_ROOTS; i++)
        candidates[n++] = script_root_name(1u << i);
    must(helper_count() <= 64);
    for (size_t i = 0; i < helper_count(); i++)
        candidates[n++] = helper_names[i];
    c->offset = c->token.start;
    snprintf(name, sizeof name, "%.*s", (int)(c->token.n < NX_ID_MAX ? c->token.n : NX_ID_MAX),
             c->token.at);
    const char *nearest = str_nearest(name, candidates, n);
    if (nearest)
        return nx_fail(c->err, NX_E_INVALID, "unknown name '%s'; did you mean '%s'?", name,
                       nearest);
    return nx_fail(c->err, NX_E_INVALID,
                   "unknown name '%s'; an expression knows params, run, dag, task, outputs, vars, "
                   "secrets, item and index, and the helpers; a text needs quotes",
                   name);
}

/* A constant member after `token`: ".name" or "[\"name\"]". Moves *token to its last token. */
static bool read_member(struct checker *c, struct token *token, const char **member, size_t *offset)
{
    struct token symbol = peek(c, token), name, close;
    size_t n = 0;
    const char *s = NULL;
    *member = NULL;
    if (token_is(&symbol, ".")) {
        name = peek(c, &symbol);
        s = name.kind == LEX_NAME ? name.at : NULL;
        n = name.n;
        close = name;
    } else if (token_is(&symbol, "[")) {
        name = peek(c, &symbol);
        close = peek(c, &name);
        s = token_is(&close, "]") ? token_string(&name, &n) : NULL;
    }
    if (!s)
        return false;
    *offset = (size_t)(s - c->text);
    *member = c->arena ? arena_strndup(c->arena, s, n) : "";
    *token = close;
    return true;
}

static bool on_root(struct checker *c, unsigned root)
{
    struct token last = c->token;
    struct script_name name = {.root = (enum script_root)root, .offset = c->token.start};
    if (read_member(c, &last, &name.member, &name.member_offset))
        read_member(c, &last, &name.submember, &name.submember_offset);
    if (root == SCRIPT_OUTPUTS && !name.member)
        return fail_at(c, c->token.start,
                       "'outputs' needs the name of a task right behind it: outputs.<task>.<name>; "
                       "which tasks are needed must be known beforehand");
    if (root == SCRIPT_SECRETS && !name.member)
        return fail_at(c, c->token.start,
                       "'secrets' needs the name of a secret right behind it: secrets.<name>; an "
                       "attempt gets those that its DAG names, and no others");
    vec_push(&c->names, name);
    return true;
}

static bool on_name(struct checker *c)
{
    struct token next = peek(c, &c->token);
    bool member = token_is(&c->before, ".") || token_is(&c->before, ":");
    if (c->declaring) {
        vec_push(&c->locals, c->token);
        return true;
    }
    if (member || is_local(c, &c->token))
        return true;
    if (token_is(&next, "=") && c->n_brackets && c->brackets[c->n_brackets - 1] == '{')
        return true; /* a key of a table */
    unsigned root = root_of(&c->token);
    if (root)
        return on_root(c, root);
    return is_helper(&c->token) ? true : unknown_name(c);
}

static bool on_symbol(struct checker *c)
{
    static const char opening[] = "([{", closing[] = ")]}";
    char s = c->token.n == 1 ? c->token.at[0] : 0;
    const char *close = s ? strchr(closing, s) : NULL;
    if (s && strchr(opening, s)) {
        if (c->n_brackets == BRACKETS_MAX)
            return fail_at(c, c->token.start, "too many open brackets");
        c->brackets[c->n_brackets++] = s;
    } else if (close) {
        if (c->n_brackets == 0 || c->brackets[c->n_brackets - 1] != opening[close - closing])
            return fail_at(c, c->token.start, "a bracket that closes none");
        c->n_brackets--;
        if (s == ')' && c->declaring == 'f')
            c->declaring = 0;
    } else if ((s == ',' || s == ';') && c->n_brackets == 0) {
        return fail_at(c, c->token.start, "an expression is one value: a list is {a, b}");
    } else if (s == '=' && c->declaring == 'l') {
        c->declaring = 0;
    }
    return true;
}

static bool on_keyword(struct checker *c)
{
    if (token_is(&c->token, "goto"))
        return fail_at(c, c->token.start, "'goto' is not allowed");
    if (c->declaring == 'l' && !token_is(&c->token, "function"))
        c->declaring = 0;
    if (token_is(&c->token, "function")) {
        c->function = true;
        c->declaring = 'f';
    } else if (token_is(&c->token, "local") || token_is(&c->token, "for")) {
        c->declaring = 'l';
    }
    return true;
}

static bool on_token(struct checker *c)
{
    switch (c->token.kind) {
    case LEX_NAME:
        return on_name(c);
    case LEX_KEYWORD:
        return on_keyword(c);
    case LEX_SYMBOL:
        return on_symbol(c);
    case LEX_COMMENT:
        return fail_at(c, c->token.start, "a comment is not allowed in an expression");
    case LEX_OPEN:
        return fail_at(c, c->token.start, "a text without its closing quote");
    default:
        return true;
    }
}

static bool scan(struct checker *c)
{
    if (c->n > SCRIPT_TEXT_MAX)
        return fail_at(c, 0, "an expression of more than 16 KiB");
    if (memchr(c->text, 0, c->n))
        return fail_at(c, 0, "an expression with a zero character");
    c->before = (struct token){.kind = LEX_END};
    c->token = lex_next(c->text, c->n, 0);
    if (c->token.kind == LEX_END)
        return fail_at(c, 0, "an empty expression");
    while (c->token.kind != LEX_END) {
        if (!on_token(c))
            return false;
        c->before = c->token;
        c->token = peek(c, &c->token);
    }
    return true;
}

static void fini(struct checker *c)
{
    vec_fini(&c->locals);
    vec_fini(&c->names);
}

bool check_names(const char *expression, size_t n, bool *may_change, struct nx_err *err)
{
    struct checker c = {.text = expression, .n = n, .err = err};
    bool ok = scan(&c);
    *may_change = c.function;
    fini(&c);
    return ok;
}

bool script_check(struct script *script, struct arena *arena, const char *expression, size_t n,
                  struct script_names *names, size_t *offset, struct nx_err *err)
{
    struct checker c = {.text = expression, .n = n, .arena = arena, .err = err};
    bool ok = scan(&c);
    if (!ok && offset)
        *offset = c.offset;
    ok = ok && script_compile(script, expression, n, offset, err);
    if (ok) {
        *names = (struct script_names){arena_dup(arena, c.names.at, c.names.n * sizeof *c.names.at),
                                       c.names.n, 0};
        for (size_t i = 0; i < names->n; i++)
            names->roots |= names->at[i].root;
    }
    fini(&c);
    return ok;
}
