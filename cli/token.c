/* nexus token create | list | revoke: of workers on other machines and of the API. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"id", "name", "role", "made", "expires", "used"};
    struct out_table table;
    json_t *list = NULL, *one;
    char text[40];
    size_t i;
    int status = api_list(cli, &list, "/tokens", 0);
    if (status)
        return status;
    if (!out_value(cli, list, "id")) {
        out_table_init(&table, 6, titles);
        json_array_foreach(list, i, one)
        {
            int64_t now_ms = clock_wall_ms();
            out_cell(&table, js_get_text(one, "id", "?"));
            out_cell(&table, js_get_text(one, "name", NULL));
            out_cell(&table, js_get_text(one, "role", NULL));
            out_cell(&table,
                     out_ago(text, sizeof text, js_get_text(one, "created_at", NULL), now_ms));
            out_cell(&table, js_get_text(one, "expires_at", "never"));
            out_cell(&table,
                     out_ago(text, sizeof text, js_get_text(one, "last_used_at", NULL), now_ms));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No token. `nexus token create --role ROLE` makes one for the API, "
                 "`nexus token create --worker -o FILE` one for a worker.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

/* ---- Making one ---- */

/* The file, mode 0600, made before the token is: it must not be there, so that nothing is lost. */
static int make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        cli_fail(CLI_USAGE, "cannot create %s: %s", path,
                 errno == EEXIST ? "it is there already" : strerror(errno));
    return fd;
}

static bool write_join(int fd, const json_t *made)
{
    json_t *join = json_object();
    static const char *const keys[] = {"url", "token", "certificate"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set(join, keys[i], json_object_get(made, keys[i]));
    char *text = json_dumps(join, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    size_t n = strlen(text);
    bool ok = write(fd, text, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    memset(text, 0, n);
    mem_free(text);
    json_decref(join);
    return ok;
}

static bool write_text(int fd, const json_t *made)
{
    const char *text = js_get_text(made, "token", "");
    size_t n = strlen(text);
    return write(fd, text, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
}

static json_t *body_of(const struct cli *cli)
{
    static const char *const keys[] = {"name", "expires", "address"};
    json_t *body =
        json_pack("{s:s}", "role", cli_given(cli, "worker") ? "worker" : cli_get(cli, "role"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (cli_get(cli, keys[i]))
            json_object_set_new(body, keys[i], js_string(cli_get(cli, keys[i])));
    }
    return body;
}

static void say_made(struct cli *cli, const json_t *made, const char *path)
{
    const char *id = js_get_text(made, "id", "?"), *role = js_get_text(made, "role", "?");
    if (cli_given(cli, "worker"))
        printf("token %s is in %s (for its owner alone); a worker on another machine joins with\n"
               "  nexus worker --join %s\nand dials %s\n",
               id, path, path, js_get_text(made, "url", "?"));
    else if (path)
        printf("token %s (%s) is in %s, for its owner alone; it is nowhere else\n", id, role, path);
    else
        printf("%s\n", js_get_text(made, "token", "?"));
    if (!cli_given(cli, "worker") && !path)
        fprintf(stderr,
                "token %s (%s) is shown this once. Programs send it as `Authorization: Bearer "
                "TOKEN`, `nexus` takes it from NEXUS_TOKEN.\n",
                id, role);
}

static int check_create(struct cli *cli)
{
    bool worker = cli_given(cli, "worker");
    if (worker == (cli_get(cli, "role") != NULL))
        return cli_fail(CLI_USAGE, "say what it is for: --role viewer, operator, editor or admin; "
                                   "or --worker -o FILE");
    if (worker && !cli_get(cli, "out"))
        return cli_fail(CLI_USAGE,
                        "-o FILE says where the token goes: a file for `nexus worker --join`");
    return CLI_DONE;
}

static int run_create(struct cli *cli)
{
    json_t *made = NULL;
    const char *path = cli_get(cli, "out");
    int fd = -1, status = check_create(cli);
    if (status || (path && (fd = make_file(path)) < 0))
        return CLI_USAGE;
    status = api_send(cli, "POST", "/tokens", body_of(cli), &made);
    bool worker = cli_given(cli, "worker");
    if (!status && path && !(worker ? write_join(fd, made) : write_text(fd, made)))
        status = cli_fail(CLI_FAILED, "cannot write %s: %s; revoke token %s", path, strerror(errno),
                          js_get_text(made, "id", "?"));
    if (path)
        close(fd);
    if (!status)
        say_made(cli, made, path);
    else if (path)
        unlink(path);
    json_decref(made);
    return status;
}

static int run_revoke(struct cli *cli)
{
    json_t *reply = NULL;
    const char *id = cli_arg(cli, 0);
    int status = api_send(cli, "DELETE", api_path(&cli->arena, "/tokens/%s", id), NULL, &reply);
    if (!status && !out_value(cli, reply, "deleted"))
        printf("token %s is revoked: who has it is refused from now on\n", id);
    json_decref(reply);
    return status;
}

/* clang-format off */
static const struct cli_option create_options[] = {
    {0, "role", "ROLE", "for the API: viewer, operator, editor or admin", false, false},
    {0, "worker", NULL, "for workers on other machines", false, false},
    {0, "name", "NAME", "for people: shown in the list", false, false},
    {0, "expires", "T", "good for so long, e.g. 7d (default: until it is revoked)", false, false},
    {0, "address", "HOST", "what workers dial (default: where they are listened for)", false, false},
    {'o', "out", "FILE", "where it goes (mode 0600); it must not be there", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_token_create = {
    .name = "token create",
    .arguments = "",
    .group = "System",
    .summary = "let somebody use the API, or a worker on another machine join",
    .help =
        "The scheduler keeps a hash of a token: its text is shown, or written to FILE, this once.\n"
        "A viewer reads; an operator also triggers, cancels, clears, approves and pauses; an "
        "editor\n"
        "also changes DAG files, pools, variables, connections and secrets; an admin also tokens,\n"
        "backups and retention. They are asked for when the server runs with --auth tokens.\n"
        "With --worker the file also has the scheduler's address and certificate, to be taken to\n"
        "the other machine; the scheduler must have been started with --listen-workers.\n\n"
        "  nexus token create --role operator --name ci\n"
        "  nexus token create --worker --name gpu-1 --expires 7d -o gpu-1.join",
    .options = create_options,
    .flags = CLI_OWN_O,
    .run = run_create,
};

const struct cli_command cmd_token_list = {
    .name = "token list",
    .arguments = "",
    .group = "System",
    .summary = "tokens, never their texts",
    .help = "  nexus token list\n  nexus token list -o json",
    .run = run_list,
};

const struct cli_command cmd_token_revoke = {
    .name = "token revoke",
    .arguments = "TOKEN",
    .group = "System",
    .summary = "refuse those that have a token",
    .help = "What its workers run counts as lost after lost_after, and runs elsewhere.\n\n"
            "  nexus token revoke k3v9x0ab\n  nexus token revoke k3v9x0ab -o json",
    .run = run_revoke,
};
