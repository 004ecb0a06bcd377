/* nexus backup FILE: the server writes a consistent copy of its state. */
#include <stdio.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/text/json.h"

static int run_backup(struct cli *cli)
{
    char here[PATH_MAX_BYTES], file[PATH_MAX_BYTES];
    struct nx_err err;
    json_t *reply = NULL;
    int status = CLI_DONE;
    if (!getcwd(here, sizeof here) || !path_join(file, sizeof file, here, cli_arg(cli, 0)))
        return cli_fail(CLI_USAGE, "the path of the backup is too long");
    if (path_exists(file))
        return cli_fail(CLI_USAGE, "%s exists; a backup never replaces a file", file);
    if (!api_url(cli, &status))
        return status;
    json_t *body = json_object();
    json_object_set_new(body, "file", js_string(file));
    bool ok = api_try(cli, "POST", "/backup", body, &reply, &err);
    json_decref(body);
    if (!ok && (err.code == NX_E_NOT_FOUND || err.code == NX_E_UNSUPPORTED))
        return cli_fail(CLI_USAGE, "`backup` is not in the server's version yet");
    if (!ok)
        return api_fail(cli, &err);
    if (!out_value(cli, reply, "file"))
        printf("backup written: %s\n", file);
    json_decref(reply);
    return CLI_DONE;
}

const struct cli_command cmd_backup = {
    .name = "backup",
    .arguments = "FILE",
    .group = "System",
    .summary = "a consistent copy of the state, taken while everything runs",
    .help = "The server writes the file; it is a home's nexus.db.\n\n"
            "  nexus backup nexus-backup.db\n  nexus backup /backups/today.db -o json",
    .run = run_backup,
};
