/* Expressions in a shell script become variables in quotes: this follows the shell's own quoting,
 * so that the value is one word whatever it holds. Where it guesses wrong (a `case` pattern inside
 * $( ), an alias) a value could be split into words, but is never read as code. */
#include <string.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/script/bind.h"
#include "lib/script/command.h"

#define DEPTH_MAX 64
#define HEREDOCS_MAX 8
#define DELIMITER_MAX 64
#define TEST_MAX 1000 /* bytes of [[ ]] that are looked at, before and after */

enum place {
    PLACE_WORDS,    /* the script itself, and ( ), $( ) */
    PLACE_DOUBLE,   /* "..." */
    PLACE_BACK,     /* `...` */
    PLACE_BRACE,    /* ${...} */
    PLACE_ARITH,    /* $((...)), ((...)) */
    PLACE_ARITH_IN, /* ( ) inside that */
    PLACE_INDEX,    /* $[...]: arithmetic of old */
    PLACE_HERE      /* the body of a here-document that expands */
};

struct here {
    char delimiter[DELIMITER_MAX];
    bool strip, quoted;
};

struct shell {
    struct binder *b;
    bool bash;
    size_t i;
    enum place places[DEPTH_MAX];
    size_t commands[DEPTH_MAX]; /* where the command of each PLACE_WORDS begins */
    int depth;                  /* places[depth - 1] is where we are */
    struct here pending[HEREDOCS_MAX];
    int n_pending;
    struct here open; /* of PLACE_HERE */
};

static enum place top(const struct shell *s)
{
    return s->places[s->depth - 1];
}

static bool enter(struct shell *s, enum place place)
{
    if (s->depth == DEPTH_MAX)
        return binder_fail(s->b, s->i, "quotes and brackets nested too deep");
    s->commands[s->depth] = s->i;
    s->places[s->depth++] = place;
    return true;
}

static void leave(struct shell *s, enum place place)
{
    if (s->depth > 1 && top(s) == place)
        s->depth--;
}

static void copy(struct shell *s, size_t n)
{
    for (; n && s->b->text[s->i]; n--)
        buf_char(&s->b->out, s->b->text[s->i++]);
}

/* ---- Expressions ---- */

/* Inside [[ ]] with a comparison of numbers bash and ksh calculate: an array's index in the value
 * would be run. */
static bool inside_numeric_test(const struct shell *s)
{
    static const char *const comparisons[] = {" -eq ", " -ne ", " -lt ", " -le ", " -gt ", " -ge "};
    const char *text = s->b->text, *here = text + s->i, *open = NULL;
    const char *from = s->i > TEST_MAX ? here - TEST_MAX : text;
    for (const char *at = from; at + 1 < here; at++) {
        if (at[0] == '[' && at[1] == '[')
            open = at;
        else if (at[0] == ']' && at[1] == ']')
            open = NULL;
    }
    if (!open)
        return false;
    size_t n = (size_t)(here - open) + strnlen(here, TEST_MAX);
    const char *close = memmem(open, n, "]]", 2);
    n = close ? (size_t)(close - open) : n;
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        if (memmem(open, n, comparisons[i], strlen(comparisons[i])))
            return true;
    }
    return false;
}

/* What is around the double quotes, if we are in some. */
static int around(const struct shell *s)
{
    int at = s->depth - 1;
    while (at > 0 && s->places[at] == PLACE_DOUBLE)
        at--;
    return at;
}

/* Why no expression may stand here, or NULL. */
static const char *refusal(const struct shell *s, const struct template_piece *piece)
{
    char before = s->i > 0 ? s->b->text[s->i - 1] : 0;
    int at = around(s);
    if (before == '\\' || before == '$')
        return "a backslash or $ right before ${{ would change what it means: put a blank or "
               "quotes "
               "between them";
    if (s->bash && inside_numeric_test(s))
        return "an expression in [[ ]] with a comparison of numbers, where the shell would run its "
               "value: use [ ], or compare inside the ${{ }}";
    switch (s->places[at]) {
    case PLACE_BACK:
        return "an expression inside backquotes: use $( ) instead";
    case PLACE_BRACE:
        return "an expression inside ${...}: put it into a variable first, or into 'env'";
    case PLACE_ARITH:
    case PLACE_ARITH_IN:
    case PLACE_INDEX:
        return "an expression inside $((...)), where the shell would run its value: calculate "
               "inside the ${{ }}";
    case PLACE_WORDS:
        return command_refuses(s->b->arena, s->b->text, s->commands[at], s->i, piece->end);
    default:
        return NULL;
    }
}

static void put_expression(struct shell *s, const struct template_piece *piece)
{
    const char *why = refusal(s, piece);
    if (why)
        binder_refuse(s->b, s->i, why);
    else if (top(s) == PLACE_WORDS)
        buf_printf(&s->b->out, "\"${NX_E%zu}\"", binder_add(s->b, piece));
    else
        buf_printf(&s->b->out, "${NX_E%zu}", binder_add(s->b, piece));
    s->i = piece->end;
}

/* ---- Quotes ---- */

static void skip_single(struct shell *s, bool ansi)
{
    copy(s, 1);
    while (s->b->text[s->i] && s->b->text[s->i] != '\'') {
        const struct template_piece *piece = binder_at(s->b, s->i);
        if (piece) {
            binder_refuse(s->b, s->i,
                          "an expression inside single quotes, where nothing is replaced: end the "
                          "quotes before it, or put it into 'env' and read the variable");
            s->i = piece->end;
            continue;
        }
        copy(s, ansi && s->b->text[s->i] == '\\' && !binder_at(s->b, s->i + 1) ? 2 : 1);
    }
    copy(s, 1);
}

static void skip_comment(struct shell *s)
{
    while (s->b->text[s->i] && s->b->text[s->i] != '\n') {
        const struct template_piece *piece = binder_at(s->b, s->i);
        if (piece)
            s->i = piece->end;
        else
            copy(s, 1);
    }
}

/* ---- Here-documents ---- */

/* Reads "<<[-] delimiter" and remembers its body. */
static bool on_here(struct shell *s)
{
    struct here here = {.strip = s->b->text[s->i + 2] == '-'};
    size_t n = 0;
    copy(s, here.strip ? 3 : 2);
    while (s->b->text[s->i] == ' ' || s->b->text[s->i] == '\t')
        copy(s, 1);
    for (char quote = 0;; copy(s, 1)) {
        char c = s->b->text[s->i];
        if (!c || (!quote && strchr(" \t\n;&|<>()", c)))
            break;
        if (binder_at(s->b, s->i))
            return binder_fail(s->b, s->i, "an expression as the end word of a here-document");
        if (c == quote || (!quote && strchr("'\"\\", c))) {
            here.quoted = true;
            quote = c == '\\' || quote ? 0 : c;
        } else if (n + 1 < sizeof here.delimiter) {
            here.delimiter[n++] = c;
        }
    }
    if (s->n_pending == HEREDOCS_MAX)
        return binder_fail(s->b, s->i, "too many here-documents in one line");
    if (n)
        s->pending[s->n_pending++] = here;
    return true;
}

/* At the start of a line: is it the end of the document? */
static bool at_delimiter(const struct shell *s, const struct here *here)
{
    const char *line = s->b->text + s->i;
    size_t n = strlen(here->delimiter);
    if (here->strip)
        line += strspn(line, "\t");
    return strncmp(line, here->delimiter, n) == 0 && (line[n] == '\n' || line[n] == 0);
}

static void copy_line(struct shell *s)
{
    copy(s, strcspn(s->b->text + s->i, "\n") + 1);
}

/* Bodies of quoted documents are copied here; one that expands is entered. */
static bool start_bodies(struct shell *s)
{
    while (s->n_pending) {
        struct here here = s->pending[0];
        memmove(s->pending, s->pending + 1, sizeof *s->pending * (size_t)--s->n_pending);
        if (!here.quoted) {
            s->open = here;
            if (!enter(s, PLACE_HERE))
                return false;
            if (!at_delimiter(s, &here))
                return true;
            s->depth--;
            copy_line(s);
            continue;
        }
        while (s->b->text[s->i] && !at_delimiter(s, &here)) {
            size_t end = s->i + strcspn(s->b->text + s->i, "\n");
            for (size_t i = s->i; i < end; i++) {
                if (binder_at(s->b, i))
                    binder_refuse(s->b, i,
                                  "an expression in a here-document with a quoted end word, where "
                                  "nothing is replaced: put it into 'env' and read the variable");
            }
            copy_line(s);
        }
        copy_line(s);
    }
    return true;
}

static bool on_newline(struct shell *s)
{
    copy(s, 1);
    if (top(s) == PLACE_HERE && at_delimiter(s, &s->open)) {
        s->depth--;
        copy_line(s);
    }
    bool ok = top(s) != PLACE_WORDS || start_bodies(s);
    if (top(s) == PLACE_WORDS)
        s->commands[s->depth - 1] = s->i;
    return ok;
}

/* ---- The script ---- */

static bool on_dollar(struct shell *s)
{
    const char *at = s->b->text + s->i;
    enum place place;
    if (strncmp(at, "$((", 3) == 0)
        place = PLACE_ARITH;
    else if (at[1] == '(')
        place = PLACE_WORDS;
    else if (at[1] == '{')
        place = PLACE_BRACE;
    else if (at[1] == '[' && s->bash)
        place = PLACE_INDEX;
    else if (at[1] == '\'' && s->bash && top(s) == PLACE_WORDS) {
        copy(s, 1);
        skip_single(s, true);
        return true;
    } else {
        copy(s, 1);
        return true;
    }
    copy(s, place == PLACE_ARITH ? 3 : 2);
    return enter(s, place);
}

static bool on_bracket(struct shell *s)
{
    const char *at = s->b->text + s->i;
    bool arith = top(s) == PLACE_ARITH || top(s) == PLACE_ARITH_IN;
    if (*at == '(' && at[1] == '(' && s->bash && top(s) == PLACE_WORDS) {
        copy(s, 2);
        return enter(s, PLACE_ARITH);
    }
    if (*at == '(') {
        copy(s, 1);
        return enter(s, arith ? PLACE_ARITH_IN : PLACE_WORDS);
    }
    bool closes_two = top(s) == PLACE_ARITH && at[1] == ')';
    size_t open = s->commands[s->depth - 1];
    bool in_word = top(s) != PLACE_WORDS || (open > 1 && strchr("$<>", s->b->text[open - 2]));
    copy(s, closes_two ? 2 : 1);
    leave(s, top(s) == PLACE_ARITH && !closes_two ? PLACE_WORDS : top(s));
    if (!in_word) /* ( ) by itself, or the end of a pattern of `case` */
        s->commands[s->depth - 1] = s->i;
    return true;
}

static bool starts_comment(const struct shell *s)
{
    return s->i == 0 || strchr(" \t\n;&|()`", s->b->text[s->i - 1]);
}

/* Inside a here-document and double quotes only \, $, ` and the end mean something. */
static bool on_expanding(struct shell *s)
{
    char c = s->b->text[s->i];
    if (c == '"' && top(s) == PLACE_DOUBLE) {
        copy(s, 1);
        leave(s, PLACE_DOUBLE);
    } else if (c == '\n' && top(s) == PLACE_HERE) {
        return on_newline(s);
    } else {
        copy(s, 1);
    }
    return true;
}

static bool on_word_character(struct shell *s)
{
    const char *at = s->b->text + s->i;
    enum place place = top(s);
    bool words = place == PLACE_WORDS || place == PLACE_BACK;
    if (*at == '\'' && (words || place == PLACE_BRACE)) {
        skip_single(s, false);
        return true;
    }
    if (*at == '"') {
        copy(s, 1);
        return enter(s, PLACE_DOUBLE);
    }
    if ((*at == '(' && (words || place == PLACE_ARITH || place == PLACE_ARITH_IN)) ||
        (*at == ')' && place != PLACE_BRACE && place != PLACE_BACK))
        return on_bracket(s);
    if ((*at == '}' && place == PLACE_BRACE) || (*at == ']' && place == PLACE_INDEX)) {
        copy(s, 1);
        leave(s, place);
        return true;
    }
    if (*at == '#' && words && starts_comment(s)) {
        skip_comment(s);
        return true;
    }
    if (words && strncmp(at, "<<<", 3) == 0) {
        copy(s, 3);
        return true;
    }
    if (words && strncmp(at, "<<", 2) == 0)
        return on_here(s);
    if (*at == '\n')
        return on_newline(s);
    copy(s, 1);
    return true;
}

/* Where the next command begins. */
static void note_command(struct shell *s, char c)
{
    const char *at = s->b->text + s->i;
    bool redirect = c == '&' && (at[1] == '>' || (s->i > 0 && strchr("<>", at[-1])));
    if (top(s) == PLACE_WORDS && strchr(";&|", c) && !redirect)
        s->commands[s->depth - 1] = s->i + 1;
}

static bool on_character(struct shell *s)
{
    const struct template_piece *piece = binder_at(s->b, s->i);
    if (piece) {
        put_expression(s, piece);
        return true;
    }
    char c = s->b->text[s->i];
    note_command(s, c);
    if (c == '\\') {
        copy(s, binder_at(s->b, s->i + 1) ? 1 : 2);
        return true;
    }
    if (c == '$')
        return on_dollar(s);
    if (c == '`') {
        copy(s, 1);
        if (top(s) != PLACE_BACK)
            return enter(s, PLACE_BACK);
        leave(s, PLACE_BACK);
        return true;
    }
    if (top(s) == PLACE_DOUBLE || top(s) == PLACE_HERE)
        return on_expanding(s);
    return on_word_character(s);
}

static bool bind_shell(struct binder *b, bool bash)
{
    struct shell s = {.b = b, .bash = bash};
    s.places[s.depth++] = PLACE_WORDS;
    while (b->text[s.i]) {
        if (!on_character(&s))
            return false;
    }
    return true;
}

static bool is_shell(const char *name, bool *bash)
{
    *bash = str_eq(name, "bash") || str_eq(name, "zsh") || str_eq(name, "ksh");
    return *bash || str_eq(name, "sh") || str_eq(name, "dash") || str_eq(name, "ash");
}

bool template_run(struct arena *arena, const char *text, const char *shell,
                  struct template_bound *bound, size_t *offset, struct nx_err *err)
{
    struct binder b;
    bool bash, ok;
    const char *name = shell ? path_base(shell) : "sh";
    if (!binder_init(&b, arena, text, bound, offset, err))
        return false;
    if (b.template.n_expressions == 0) {
        buf_str(&b.out, text);
        ok = true;
    } else if (is_shell(name, &bash)) {
        ok = bind_shell(&b, bash);
    } else if (str_starts(name, "python")) {
        bind_python(&b);
        ok = true;
    } else {
        for (size_t i = 0; text[i]; i++) {
            if (binder_at(&b, i))
                binder_refuse(&b, i,
                              "an expression in a script of this 'shell' cannot be quoted safely: "
                              "put it into 'env' and read the variable");
        }
        ok = true;
    }
    return binder_finish(&b, ok, bound);
}
