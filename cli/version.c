/* nexus version */
#include <stdio.h>

#include "cli/out.h"
#include "cli/table.h"
#include "cli/validate.h"
#include "lib/text/json.h"

static int run_version(struct cli *cli)
{
    json_t *catalog = validate_catalog(), *whole = json_object();
    json_object_set_new(whole, "version", json_string(NEXUS_VERSION));
    json_object_set_new(whole, "operators", json_integer((json_int_t)json_array_size(catalog)));
    if (!out_value(cli, whole, "version"))
        printf("nexus %s\n", NEXUS_VERSION);
    json_decref(whole);
    json_decref(catalog);
    return CLI_DONE;
}

const struct cli_command cmd_version = {
    .name = "version",
    .arguments = "",
    .group = "System",
    .summary = "the version of this program",
    .help = "  nexus version\n  nexus version -o json",
    .flags = CLI_MINOR,
    .run = run_version,
};
