/* Reads a command line against the table of commands. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

/* clang-format off */
const struct cli_option cli_common[] = {
    {0, "home", "DIR", "folder of the state (NEXUS_HOME; default ./.nexus)", false, false},
    {0, "url", "URL", "address of the server (NEXUS_URL; default: the one that runs on the home)",
     false, false},
    {'o', "output", "FORMAT", "table, json, yaml or id (default table)", false, false},
    {0, "no-color", NULL, "no colours (NO_COLOR does the same)", false, false},
    {'h', "help", NULL, "this help", false, false},
    {0},
};
/* clang-format on */

static const char *const formats[] = {"table", "json", "yaml", "id"};

static int find_terminal_width(void)
{
    struct winsize size;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return isatty(STDOUT_FILENO) ? 80 : 0;
}

void cli_init(struct cli *cli)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    *cli = (struct cli){0};
    arena_init(&cli->arena);
    cli->width = find_terminal_width();
    cli->tty_out = cli->width > 0 && !str_eq(term, "dumb");
    cli->color = cli->tty_out && !(no_color && *no_color);
}

void cli_fini(struct cli *cli)
{
    vec_fini(&cli->values);
    arena_fini(&cli->arena);
}

int cli_fail(int status, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("nexus: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

int cli_fail_err(const struct nx_err *err)
{
    int status = CLI_FAILED;
    if (err->code == NX_E_UNREACHABLE || err->code == NX_E_TIMEOUT)
        status = CLI_UNREACHABLE;
    if (err->code == NX_E_INVALID || err->code == NX_E_UNSUPPORTED || err->code == NX_E_NOT_FOUND)
        status = CLI_USAGE;
    return cli_fail(status, "%s", err->text);
}

#define NAMES_SHOWN_MAX 12

int cli_no_such(const char *what, const char *name, const char *const *candidates, size_t n,
                const char *how_to_list)
{
    const char *near = str_nearest(name, candidates, n);
    if (near)
        return cli_fail(CLI_USAGE, "no %s '%s'; did you mean '%s'?", what, name, near);
    if (n == 0 || n > NAMES_SHOWN_MAX)
        return cli_fail(CLI_USAGE, "no %s '%s'; `%s` lists them", what, name, how_to_list);
    struct buf names = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", candidates[i]);
    int status = cli_fail(CLI_USAGE, "no %s '%s'; there are: %s", what, name, buf_text(&names));
    buf_fini(&names);
    return status;
}

/* How many words of argv the command's name takes; 0: it is another one. */
static size_t name_words(const struct cli_command *command, char **words, size_t n)
{
    const char *at = command->name;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(words[i]);
        if (strncmp(at, words[i], len) != 0 || (at[len] != 0 && at[len] != ' '))
            return 0;
        if (!at[len])
            return i + 1;
        at += len + 1;
    }
    return 0;
}

static bool is_group(const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (strncmp(cli_commands[i]->name, word, len) == 0 && cli_commands[i]->name[len] == ' ')
            return true;
    }
    return false;
}

/* The last word of a name, if the name begins with that first word and has two; else NULL. */
static const char *second_word(const char *name, const char *first)
{
    size_t len = strlen(first);
    return strncmp(name, first, len) == 0 && name[len] == ' ' ? name + len + 1 : NULL;
}

static int no_such_command(struct cli *cli, const char *first, const char *second)
{
    VEC(const char *) names = {0};
    for (size_t i = 0; i < cli_n_commands; i++) {
        const char *name = cli_commands[i]->name;
        if (cli_commands[i]->flags & CLI_HIDDEN)
            continue;
        if (second)
            name = second_word(name, first);
        else if (strchr(name, ' '))
            name = arena_strndup(&cli->arena, name, strcspn(name, " "));
        if (name)
            vec_push(&names, name);
    }
    int status;
    if (second) {
        char what[80];
        snprintf(what, sizeof what, "`nexus %.40s` command", first);
        status = cli_no_such(what, second, names.at, names.n, "nexus help");
    } else {
        status = cli_no_such("command", first, names.at, names.n, "nexus help");
    }
    vec_fini(&names);
    return status;
}

static bool is_later(const char *word)
{
    for (const char *const *later = cli_later; *later; later++) {
        if (str_eq(*later, word))
            return true;
    }
    return false;
}

/* Finds the command of the words; sets *used to the words it took. NULL after it has answered. */
static const struct cli_command *find_command(struct cli *cli, char **words, size_t n, size_t *used,
                                              int *status)
{
    const struct cli_command *found = NULL;
    *used = 0;
    for (size_t i = 0; i < cli_n_commands; i++) {
        size_t own = name_words(cli_commands[i], words, n);
        if (own > *used) {
            *used = own;
            found = cli_commands[i];
        }
    }
    /* "worker" is a command and a group: `worker lst` is a mistyped `worker list` */
    bool mistyped = found && *used == 1 && n > 1 && words[1][0] != '-' && is_group(words[0]);
    if (found && !mistyped)
        return found;
    *status = CLI_USAGE;
    if (is_group(words[0])) {
        if (n > 1 && words[1][0] != '-') {
            char both[160];
            snprintf(both, sizeof both, "%.60s %.60s", words[0], words[1]);
            if (is_later(both))
                *status = cli_fail(CLI_USAGE, "`%s` is not in this version yet", both);
            else
                *status = no_such_command(cli, words[0], words[1]);
            return NULL;
        }
        bool asked = n > 1 && (str_eq(words[1], "-h") || str_eq(words[1], "--help"));
        cli_print_group(cli, words[0]);
        *status = asked ? CLI_OVER : CLI_USAGE;
        return NULL;
    }
    if (is_later(words[0]))
        *status = cli_fail(CLI_USAGE, "`%s` is not in this version yet", words[0]);
    else
        *status = no_such_command(cli, words[0], NULL);
    return NULL;
}

static const struct cli_option *find_in(const struct cli_option *options, const char *name,
                                        size_t len, char letter)
{
    for (; options && options->name; options++) {
        if (letter ? options->letter == letter
                   : strlen(options->name) == len && memcmp(options->name, name, len) == 0)
            return options;
    }
    return NULL;
}

static const struct cli_option *find_option(const struct cli *cli, const char *name, size_t len,
                                            char letter)
{
    const struct cli_option *own = cli->command ? cli->command->options : NULL;
    const struct cli_option *found = find_in(own, name, len, letter);
    return found ? found : find_in(cli_common, name, len, letter);
}

static int no_such_option(struct cli *cli, const char *given)
{
    VEC(const char *) names = {0};
    const struct cli_option *lists[] = {cli->command ? cli->command->options : NULL, cli_common};
    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_option *o = lists[i]; o && o->name; o++)
            vec_push(&names, (const char *)arena_printf(&cli->arena, "--%s", o->name));
    }
    char *name = arena_strndup(&cli->arena, given, strcspn(given, "="));
    const char *near = str_nearest(name, names.at, names.n);
    vec_fini(&names);
    const char *of = cli->command ? cli->command->name : "";
    if (near)
        return cli_fail(CLI_USAGE, "%s%sno option '%s'; did you mean '%s'?", of, *of ? ": " : "",
                        name, near);
    return cli_fail(CLI_USAGE, "%s%sno option '%s'; `nexus %s%s--help` lists them", of,
                    *of ? ": " : "", name, of, *of ? " " : "");
}

static int add_value(struct cli *cli, const struct cli_option *option, const char *text)
{
    int64_t number;
    if (option->number && (!str_parse_int(text, &number) || number < 0))
        return cli_fail(CLI_USAGE, "--%s takes a whole number, not '%s'", option->name, text);
    const struct cli_option *own = cli->command ? cli->command->options : NULL;
    if (str_eq(option->name, "output") && str_eq(text, "svg") && find_in(own, text, 3, 0)) {
        const struct cli_value value = {find_in(own, text, 3, 0), ""}; /* -o svg is --svg */
        vec_push(&cli->values, value);
        return CLI_DONE;
    }
    if (str_eq(option->name, "output")) {
        cli->format = CLI_TABLE;
        while (cli->format <= CLI_ID && !str_eq(formats[cli->format], text))
            cli->format++;
        if (cli->format > CLI_ID)
            return cli_no_such("output format", text, formats, 4, "nexus help");
    }
    if (str_eq(option->name, "no-color"))
        cli->color = false;
    if (!option->many && cli_given(cli, option->name) && option->value) {
        const char *before = cli_get(cli, option->name);
        if (!str_eq(before, text))
            return cli_fail(CLI_USAGE, "--%s is given twice: '%s' and '%s'", option->name, before,
                            text);
    }
    struct cli_value value = {option, text};
    vec_push(&cli->values, value);
    return CLI_DONE;
}

/* One word that begins with '-'. *next is the word after it, set to NULL when it was taken. */
static int read_option(struct cli *cli, const char *word, const char **next)
{
    bool is_long = word[1] == '-';
    const char *name = word + (is_long ? 2 : 1);
    size_t len = is_long ? strcspn(name, "=") : 1;
    const struct cli_option *option = find_option(cli, name, len, is_long ? 0 : name[0]);
    if (!option)
        return no_such_option(cli, word);
    const char *rest = name + len; /* "=value", "value" after a letter, or "" */
    if (!option->value) {
        if (is_long && *rest)
            return cli_fail(CLI_USAGE, "--%s takes no value", option->name);
        int status = add_value(cli, option, "");
        if (status || !*rest)
            return status;
        char *more = arena_printf(&cli->arena, "-%s", rest); /* -vx: the letters one by one */
        return read_option(cli, more, next);
    }
    if (*rest)
        return add_value(cli, option, *rest == '=' ? rest + 1 : rest);
    if (!*next)
        return cli_fail(CLI_USAGE, "--%s needs a value: --%s %s", option->name, option->name,
                        option->value);
    const char *value = *next;
    *next = NULL;
    return add_value(cli, option, value);
}

/* How many arguments "RUN [TASK]" and "FILE..." allow. */
static void argument_bounds(const char *spec, size_t *least, size_t *most)
{
    *least = *most = 0;
    for (const char *at = spec; *at;) {
        size_t len = strcspn(at, " ");
        (*most)++;
        if (*at != '[')
            (*least)++;
        if (len > 3 && memmem(at, len, "...", 3))
            *most = SIZE_MAX / 2;
        at += len;
        at += strspn(at, " ");
    }
}

static int check_arguments(const struct cli *cli)
{
    size_t least, most;
    argument_bounds(cli->command->arguments, &least, &most);
    const char *name = cli->command->name;
    if (cli->n_args < least)
        return cli_fail(CLI_USAGE, "%s needs %s: nexus %s %s", name,
                        least - cli->n_args == 1 && least == 1 ? "an argument" : "more arguments",
                        name, cli->command->arguments);
    if (cli->n_args > most)
        return cli_fail(CLI_USAGE, "%s: unexpected argument '%s'%s%s", name, cli->args[most],
                        most ? ": nexus " : "", most ? name : "");
    return CLI_DONE;
}

/* Options before the command's name are those that every command has. */
static int read_words(struct cli *cli, char **words, size_t n)
{
    bool only_args = false;
    for (size_t i = 0; i < n; i++) {
        char *word = words[i];
        if (!only_args && str_eq(word, "--")) {
            only_args = true;
            continue;
        }
        if (!only_args && word[0] == '-' && word[1]) {
            const char *next = i + 1 < n ? words[i + 1] : NULL;
            bool had_next = next != NULL;
            int status = read_option(cli, word, &next);
            if (status)
                return status;
            i += had_next && !next;
            continue;
        }
        if (!cli->command) {
            size_t used;
            int status = CLI_DONE;
            cli->command = find_command(cli, words + i, n - i, &used, &status);
            if (!cli->command)
                return status;
            i += used - 1;
            if (cli->command->flags & CLI_RAW) {
                for (i++; i < n; i++)
                    cli->args[cli->n_args++] = words[i];
                return CLI_DONE;
            }
            continue;
        }
        cli->args[cli->n_args++] = word;
    }
    return CLI_DONE;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    cli->program = argc > 0 ? argv[0] : "nexus";
    cli->args = arena_array(&cli->arena, (size_t)argc + 1, sizeof *cli->args);
    int status = argc > 1 ? read_words(cli, argv + 1, (size_t)argc - 1) : CLI_DONE;
    if (status)
        return status;
    if (cli_given(cli, "help") && !(cli->command && cli->command->flags & CLI_RAW)) {
        if (cli->command)
            cli_print_help(cli, cli->command);
        else
            cli_print_overview(cli);
        return CLI_OVER;
    }
    if (!cli->command) {
        cli_print_overview(cli);
        return argc > 1 ? CLI_USAGE : CLI_OVER;
    }
    return cli->command->flags & CLI_RAW ? CLI_DONE : check_arguments(cli);
}

const char *cli_get(const struct cli *cli, const char *name)
{
    for (size_t i = cli->values.n; i-- > 0;) {
        if (str_eq(cli->values.at[i].option->name, name))
            return cli->values.at[i].text;
    }
    return NULL;
}

bool cli_given(const struct cli *cli, const char *name)
{
    return cli_get(cli, name) != NULL;
}

int64_t cli_number(const struct cli *cli, const char *name, int64_t fallback)
{
    const char *text = cli_get(cli, name);
    int64_t number = fallback;
    if (text && str_parse_int(text, &number))
        return number;
    return fallback;
}

const char *cli_arg(const struct cli *cli, size_t i)
{
    return i < cli->n_args ? cli->args[i] : NULL;
}
