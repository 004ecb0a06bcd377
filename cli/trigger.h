/* The -p options of an invocation. */
#ifndef CLI_TRIGGER_H
#define CLI_TRIGGER_H

#include <jansson.h>

#include "cli/command.h"

/* {"key": value, ...}, a new reference; CLI_USAGE after it has said what is wrong. */
int trigger_params(const struct cli *cli, json_t **params);
/* Values of params that are declared as strings become the texts that were given: -p zip=01234 and
 * -p answer=true need no quotes. `declared`: [{name, type, ...}] of the DAG; NULL is fine. */
void trigger_fit(const struct cli *cli, const json_t *declared, json_t *params);
/* The same for a DAG of the server, which is only asked when it can matter. */
void trigger_fit_dag(struct cli *cli, const char *dag, json_t *params);

/* What a text stands for: a JSON number, true, false, null, list or object is sent as such,
 * anything else as a string. */
json_t *trigger_value(const char *text);

#endif
