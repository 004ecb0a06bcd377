/* Arguments against their description: operators' parameters and a DAG's params. The one place that
 * knows what a value may be: used at load, at trigger time and when an attempt starts.
 *
 * An operator is an entry of the catalog: {name, version, summary, doc, flags[], params:[{name,
 * type, required, default, min, max, unit, choices[], kinds[], help, secret}], outputs:[{name,
 * type, help}], example}. A param may say what is inside: `each` (a description of every value) or
 * `members`, a list of {params: [...], when: {param, value}}: keys that an object may have, those
 * of `when` only when the argument `param` beside it is that. `also` lists foreign names, for
 * hints. Types: bool int float string enum duration size time sql column table model strings list
 * object connection any. A DAG's
 * params are a list of the same descriptions; their types: string integer number boolean date time
 * duration list object. */
#ifndef LIB_SCRIPT_ARGS_H
#define LIB_SCRIPT_ARGS_H

#include <stdbool.h>

#include <jansson.h>

#include "nexus/error.h"

/* The operator of that name (borrowed), or NULL; *nearest (may be NULL) is then the nearest name.
 */
const json_t *catalog_find(const json_t *catalog, const char *name, const char **nearest);
/* The description of an operator's parameter or output, likewise. */
const json_t *catalog_param(const json_t *operator_entry, const char *name, const char **nearest);
const json_t *catalog_output(const json_t *operator_entry, const char *name, const char **nearest);

/* One value against one description: type, bounds, choices. *normal (may be NULL) gets a new
 * reference: the value, with one string for `strings` as a list of one, an empty list for `object`
 * as an empty object, an evaluated `sql` ({"sql", "values"}) as it is. The message does not name
 * the parameter. */
bool arg_check(const json_t *param, const json_t *value, json_t **normal, struct nx_err *err);

/* Of a member of an object argument: the description, or NULL; then *hint (may be NULL) is what to
 * do, to be freed with mem_free. `args` are the arguments beside the object as they are written;
 * one that holds an expression may be anything. */
const json_t *arg_member(const json_t *operator_entry, const json_t *param, const json_t *args,
                         const char *name, char **hint);

/* Whether an output of that description may be given as an argument of this one, as far as their
 * types say. */
bool arg_takes(const json_t *param, const json_t *output);
/* What the type of a description takes, in words. */
const char *arg_wanted(const json_t *param);

/* Whether there is such a type. */
bool arg_type_known(const char *name);

/* All arguments of an operator, evaluated: unknown and missing ones are errors, defaults are filled
 * in, null counts as absent. *resolved: a new reference. */
bool args_check(const json_t *operator_entry, const json_t *args, json_t **resolved,
                struct nx_err *err);

/* Params given at trigger time (an object, or NULL) against a DAG's params. Texts are read as the
 * param's type ("60" for an integer), so that a command line can give them. Defaults are filled in;
 * a param without default that is not required becomes null. All mistakes are in one message. */
bool params_check(const json_t *params, const json_t *given, json_t **resolved, struct nx_err *err);
/* The same of the values that a person fills in a form with. */
bool form_check(const json_t *form, const json_t *given, json_t **resolved, struct nx_err *err);

#endif
