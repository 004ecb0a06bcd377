/* nexus secret list | set | delete */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"name", "from", "set", "error"};
    struct out_table table;
    json_t *list = NULL, *one;
    char text[40];
    size_t i;
    int status = api_list(cli, &list, "/secrets", 0);
    if (status)
        return status;
    if (!out_value(cli, list, "name")) {
        out_table_init(&table, 4, titles);
        table.wrap_last = true;
        json_array_foreach(list, i, one)
        {
            out_cell(&table, js_get_text(one, "name", "?"));
            out_cell(&table, js_get_text(one, "source", NULL));
            out_cell(&table, out_ago(text, sizeof text, js_get_text(one, "updated_at", NULL),
                                     clock_wall_ms()));
            out_cell(&table, js_get_text(one, "error", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No secret. `nexus secret set NAME` keeps one.");
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

/* What stdin has, without the last newline. line_end: of a terminal, what ends its line too; 0: no
 * terminal, read to the end. */
static bool read_text(struct buf *text, cc_t line_end, struct nx_err *err)
{
    char piece[1024];
    ssize_t n;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nx_fail(err, NX_E_IO, "cannot read the value: %s", strerror(errno));
        buf_add(text, piece, (size_t)n);
        if (text->len > NX_VARS_MAX)
            return nx_fail(err, NX_E_LIMIT, "a secret has at most %d bytes", NX_VARS_MAX);
        if (line_end && (piece[n - 1] == '\n' || (cc_t)piece[n - 1] == line_end))
            break;
    }
    if (text->len && text->data[text->len - 1] == '\n')
        text->data[--text->len] = 0;
    if (text->len && text->data[text->len - 1] == '\r')
        text->data[--text->len] = 0;
    if (!text->len)
        return nx_fail(err, NX_E_INVALID, "a secret is not empty");
    return (str_is_utf8(text->data, text->len, NULL) && !memchr(text->data, 0, text->len)) ||
           nx_fail(err, NX_E_INVALID, "a secret is UTF-8 text; encode bytes with base64");
}

/* Without echo. Signals wait until the terminal is as it was. */
static bool prompt(const char *name, struct buf *text, struct nx_err *err)
{
    struct termios before, silent;
    sigset_t held, old;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return nx_fail(err, NX_E_IO, "cannot use the terminal: %s", strerror(errno));
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGQUIT);
    sigaddset(&held, SIGTSTP);
    sigaddset(&held, SIGHUP);
    sigprocmask(SIG_BLOCK, &held, &old);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_lflag |= ICANON | ECHONL;
    silent.c_cc[VEOL] = before.c_cc[VINTR]; /* Ctrl-C is a character, and ends the line */
    fprintf(stderr, "value of %s (not shown; end with Enter): ", name);
    bool ok = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0
                  ? read_text(text, before.c_cc[VINTR], err)
                  : nx_fail(err, NX_E_IO, "cannot silence the terminal: %s", strerror(errno));
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return ok && (!memchr(text->data, before.c_cc[VINTR], text->len) ||
                  nx_fail(err, NX_E_CANCELLED, "nothing was changed"));
}

static int run_set(struct cli *cli)
{
    json_t *one = NULL;
    const char *name = cli_arg(cli, 0);
    struct buf text;
    struct nx_err err;
    if (cli_given(cli, "value"))
        return cli_fail(CLI_USAGE,
                        "a value on the command line is seen by every user of this machine and "
                        "stays in the shell's history; give it at the prompt, or on stdin: "
                        "nexus secret set %s < FILE",
                        name);
    buf_init(&text);
    bool ok = isatty(STDIN_FILENO) ? prompt(name, &text, &err) : read_text(&text, 0, &err);
    int status = CLI_USAGE;
    if (!ok)
        status = cli_fail_err(&err);
    else
        status = api_send(cli, "PUT", api_path(&cli->arena, "/secrets/%s", name),
                          json_pack("{s:o}", "value", js_stringn(text.data, text.len)), &one);
    buf_fini(&text);
    if (!status && !out_value(cli, one, "name"))
        printf("secret %s is kept; runs that have begun keep what they saw\n", name);
    json_decref(one);
    return status;
}

static int run_delete(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    int status = api_send(cli, "DELETE", api_path(&cli->arena, "/secrets/%s", name), NULL, &reply);
    if (!status && !out_value(cli, reply, "deleted"))
        printf("secret %s is gone\n", name);
    json_decref(reply);
    return status;
}

static const struct cli_option set_options[] = {
    {0, "value", "TEXT", "refused, since others would see it", false, false},
    {0},
};

const struct cli_command cmd_secret_list = {
    .name = "secret list",
    .arguments = "",
    .group = "System",
    .summary = "names of the secrets, never their values",
    .help = "  nexus secret list\n  nexus secret list -o json",
    .run = run_list,
};

const struct cli_command cmd_secret_set = {
    .name = "secret set",
    .arguments = "SECRET",
    .group = "System",
    .summary = "keep a secret; its value comes from a prompt or stdin",
    .help =
        "Expressions see it as secrets.SECRET. It is sealed before it is stored, and nothing gives "
        "it out again\nbut a task that names it. The last newline of stdin is no part of it. A "
        "secret "
        "of the environment\n(NEXUS_SECRET_*) wins and is changed there.\n\n"
        "  nexus secret set api_token\n"
        "  nexus secret set api_token < token.txt",
    .options = set_options,
    .run = run_set,
};

const struct cli_command cmd_secret_delete = {
    .name = "secret delete",
    .arguments = "SECRET",
    .group = "System",
    .summary = "take a secret away",
    .help = "  nexus secret delete api_token\n  nexus secret delete api_token -o json",
    .run = run_delete,
};
