/* nexus schema */
#include "cli/table.h"

static int run_schema(struct cli *cli)
{
    (void)cli;
    return cli_fail(CLI_USAGE, "`schema` is not in this version yet");
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
