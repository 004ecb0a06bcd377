/* The -p options of an invocation. */
#ifndef CLI_TRIGGER_H
#define CLI_TRIGGER_H

#include <jansson.h>

#include "cli/command.h"

/* {"key": value, ...}, a new reference; CLI_USAGE after it has said what is wrong. */
int trigger_params(const struct cli *cli, json_t **params);

#endif
