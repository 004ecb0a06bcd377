/* nexus schema */
#include "cli/table.h"
#include "cli/validate.h"
#include "lib/base/mem.h"
#include "scheduler/dag/spec.h"

static int run_schema(struct cli *cli)
{
    (void)cli;
    json_t *catalog = validate_catalog(), *schema = spec_schema(catalog);
    char *text = json_dumps(schema, JSON_INDENT(2));
    puts(text);
    free(text);
    json_decref(schema);
    json_decref(catalog);
    return CLI_DONE;
}

const struct cli_command cmd_schema = {
    .name = "schema",
    .arguments = "",
    .group = "DAGs",
    .summary = "the JSON Schema of a DAG file, for editors; needs no server",
    .help = "  nexus schema > dag.schema.json\n\n"
            "and as the first line of a DAG file:\n\n"
            "  # yaml-language-server: $schema=../dag.schema.json",
    .run = run_schema,
};
