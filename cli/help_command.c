/* nexus help [COMMAND...] */
#include <string.h>

#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"

static int help_of(struct cli *cli)
{
    struct buf name = {0};
    const struct cli_command *found = NULL;
    bool group = false;
    for (size_t i = 0; i < cli->n_args; i++)
        buf_printf(&name, "%s%s", i ? " " : "", cli->args[i]);
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (str_eq(cli_commands[i]->name, buf_text(&name)))
            found = cli_commands[i];
        size_t n = name.len;
        group = group || (strncmp(cli_commands[i]->name, buf_text(&name), n) == 0 &&
                          cli_commands[i]->name[n] == ' ');
    }
    int status = CLI_DONE;
    if (found)
        cli_print_help(cli, found);
    if (group)
        cli_print_group(cli, buf_text(&name));
    if (!found && !group) {
        VEC(const char *) names = {0};
        for (size_t i = 0; i < cli_n_commands; i++)
            vec_push(&names, cli_commands[i]->name);
        status = cli_no_such("command", buf_text(&name), names.at, names.n, "nexus help");
        vec_fini(&names);
    }
    buf_fini(&name);
    return status;
}

static int run_help(struct cli *cli)
{
    if (cli_given(cli, "markdown"))
        cli_print_markdown();
    else if (cli->n_args)
        return help_of(cli);
    else
        cli_print_overview(cli);
    return CLI_DONE;
}

static const struct cli_option options[] = {
    {0, "markdown", NULL, "the reference of all commands", false, false},
    {0},
};

const struct cli_command cmd_help = {
    .name = "help",
    .arguments = "[COMMAND...]",
    .group = "System",
    .summary = "what a command does and takes",
    .help = "  nexus help trigger\n  nexus help --markdown > docs/cli.md",
    .options = options,
    .flags = CLI_MINOR,
    .run = run_help,
};
