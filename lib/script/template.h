/* Templates: text with ${{ expression }} in it, and what becomes of it in values, SQL and scripts.
 * Data never becomes code: SQL gets bound parameters, scripts get environment variables. */
#ifndef LIB_SCRIPT_TEMPLATE_H
#define LIB_SCRIPT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/script/script.h"
#include "nexus/error.h"

#define TEMPLATE_VARIABLE_MAX (120 * 1024) /* bytes; Linux passes 128 KiB a variable */

struct template_piece {
    bool is_expression;
    const char *text; /* ends with 0; an expression without its braces and outer blanks */
    size_t n;
    size_t offset;     /* of text in the whole */
    size_t start, end; /* of the piece in the whole, braces included */
};

struct template
{
    struct template_piece *at; /* in the arena */
    size_t n, n_expressions;
};

/* Cuts a text into pieces. Strings and braces of Lua inside an expression are understood.
 * NX_E_INVALID: an expression without end, or an empty one; *offset (may be NULL) is where. */
bool template_parse(struct arena *arena, const char *text, struct template *template,
                    size_t *offset, struct nx_err *err);
bool template_has_expression(const char *text); /* quick: holds "${{" */
/* The expression when the text is nothing but one (blanks around it do not count), else NULL. */
const struct template_piece *template_single(const struct template *template);

/* Where an expression must not stand. */
struct template_refusal {
    size_t offset; /* in the whole */
    const char *message;
};

/* SQL with $1..$n in place of its expressions. An expression inside quotes is NX_E_INVALID (a bound
 * parameter needs none), as is a $1 of the text itself; one in a comment is dropped. */
struct template_bound {
    const char *text;         /* in the arena */
    const char **expressions; /* their texts, $1 first */
    size_t n;
    const struct template_refusal *refused; /* all of them, also when the result is false; the */
    size_t n_refused;                       /* first is *offset and *err */
};

bool template_sql(struct arena *arena, const char *text, struct template_bound *bound,
                  size_t *offset, struct nx_err *err);

/* A script with variables NX_E1..n in place of its expressions, quoted so that the value is one
 * word whatever it holds. `shell` is NULL, sh, bash, dash, zsh, ksh (also as a path), python,
 * python3; in others an expression is an error. NX_E_INVALID where no quoting would do: inside
 * single quotes, a quoted here-document, arithmetic, ${...}, what a command reads as code
 * (lib/script/command.h), a Python string. */
bool template_run(struct arena *arena, const char *text, const char *shell,
                  struct template_bound *bound, size_t *offset, struct nx_err *err);

/* ---- With values ---- */

/* Evaluates all expressions in a JSON tree. A string that is one expression becomes its value with
 * its type (times as text); other text is filled in. A member of `with` named in sql_params (n of
 * them) becomes {"sql": text with $1..$n, "values": [...]}, with {"timestamp_us": n} for times and
 * {"date_days": n} for dates (lists of one kind stay lists, other lists and objects become JSON
 * text), also when it has no expressions. Errors name the path
 * ("with.query: ..."). *out: a new reference. */
bool template_eval_json(struct script *script, const json_t *with, const char *const *sql_params,
                        size_t n_sql_params, json_t **out, struct nx_err *err);

/* One text, filled in. To be freed with mem_free. */
bool template_eval_text(struct script *script, const char *text, char **out, struct nx_err *err);

/* A script and the variables that it needs: *variables is an object {"NX_E1": "value", ...} (a new
 * reference), *out the text, to be freed with mem_free. */
bool template_eval_run(struct script *script, const char *text, const char *shell, char **out,
                       json_t **variables, struct nx_err *err);

#endif
