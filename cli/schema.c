/* nexus schema */
#include <stdio.h>

#include "cli/out.h"
#include "cli/table.h"
#include "cli/validate.h"

static int run_schema(struct cli *cli)
{
    struct buf text = {0};
    json_t *catalog = validate_catalog(), *schema = spec_schema(catalog);
    if (cli->format == CLI_YAML)
        out_yaml(schema, &text);
    else
        out_json(schema, &text);
    fputs(buf_text(&text), stdout);
    buf_fini(&text);
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
    .flags = CLI_MINOR,
    .run = run_schema,
};
