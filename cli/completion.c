/* nexus completion bash | zsh | fish, and the hidden `nexus __complete` that the scripts call. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "cli/validate.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

#define ANSWER_MS 200 /* who waits at a prompt waits no longer */

/* The shells ask `nexus __complete WORD... CURRENT`; "FILES" alone means: complete file names. */
static const char bash_script[] =
    "# bash completion of nexus:  source <(nexus completion bash)\n"
    "_nexus() {\n"
    "    local IFS=$'\\n' reply\n"
    "    reply=$(nexus __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    if [ \"$reply\" = FILES ]; then\n"
    "        compopt -o default\n"
    "        COMPREPLY=()\n"
    "    else\n"
    "        COMPREPLY=($(compgen -W \"$reply\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _nexus nexus\n";

static const char zsh_script[] =
    "#compdef nexus\n"
    "# zsh completion of nexus:  source <(nexus completion zsh)\n"
    "_nexus() {\n"
    "    local -a reply\n"
    "    reply=(\"${(@f)$(nexus __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "    if [[ \"$reply\" == FILES ]]; then _files; else compadd -a reply; fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _nexus ]; then _nexus; else compdef _nexus nexus; fi\n";

static const char fish_script[] =
    "# fish completion of nexus:  nexus completion fish | source\n"
    "function __nexus_complete\n"
    "    set -l words (commandline -opc)[2..-1]\n"
    "    set -l reply (nexus __complete $words (commandline -ct) 2>/dev/null)\n"
    "    if test \"$reply\" = FILES\n"
    "        __fish_complete_path (commandline -ct)\n"
    "    else\n"
    "        printf '%s\\n' $reply\n"
    "    end\n"
    "end\n"
    "complete -c nexus -f -a '(__nexus_complete)'\n";

static int run_completion(struct cli *cli)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    static const char *const scripts[] = {bash_script, zsh_script, fish_script};
    for (size_t i = 0; i < 3; i++) {
        if (str_eq(shells[i], cli_arg(cli, 0))) {
            fputs(scripts[i], stdout);
            return CLI_DONE;
        }
    }
    return cli_no_such("shell", cli_arg(cli, 0), shells, 3, "nexus completion --help");
}

static void print_ids(struct cli *cli, const char *path, const char *key)
{
    json_t *list = NULL, *item;
    struct nx_err err;
    size_t i;
    if (!api_try_list(cli, &list, path, 200, &err))
        return;
    json_array_foreach(list, i, item) puts(js_get_text(item, key, ""));
    json_decref(list);
}

static void print_tasks(struct cli *cli, const char *run)
{
    json_t *list = NULL, *item;
    struct nx_err err;
    size_t i;
    if (!api_try_list(cli, &list, api_path(&cli->arena, "/runs/%s/tasks", run), 500, &err))
        return;
    json_array_foreach(list, i, item) puts(js_get_text(item, "task", ""));
    json_decref(list);
}

static void print_operators(void)
{
    json_t *catalog = validate_catalog(), *op;
    size_t i;
    json_array_foreach(catalog, i, op) puts(js_get_text(op, "name", ""));
    json_decref(catalog);
}

/* Candidates for an argument, by its name in the command's usage. */
static void print_arguments(struct cli *cli, const struct cli_command *command, size_t n_given,
                            const char *first)
{
    const char *at = command->arguments;
    for (size_t i = 0; i < n_given && strchr(at, ' '); i++)
        at = strchr(at, ' ') + 1;
    at += *at == '[';
    if (str_starts(at, "FILE") || str_starts(at, "DIR"))
        puts("FILES");
    else if (str_starts(at, "DATASET"))
        print_ids(cli, "/datasets", "name");
    else if (str_starts(at, "DAG"))
        print_ids(cli, "/dags", "id");
    else if (str_starts(at, "RUN"))
        print_ids(cli, "/runs", "id");
    else if (str_starts(at, "WORKER"))
        print_ids(cli, "/workers", "id");
    else if (str_starts(at, "POOL"))
        print_ids(cli, "/pools", "name");
    else if (str_starts(at, "VARIABLE"))
        print_ids(cli, "/variables", "name");
    else if (str_starts(at, "SECRET"))
        print_ids(cli, "/secrets", "name");
    else if (str_starts(at, "CONNECTION"))
        print_ids(cli, "/connections", "name");
    else if (str_starts(at, "NOTIFICATION"))
        print_ids(cli, "/notifications", "id");
    else if (str_starts(at, "TASK") && first)
        print_tasks(cli, first);
    else if (str_starts(at, "OPERATOR"))
        print_operators();
    else if (str_starts(at, "SHELL"))
        puts("bash\nzsh\nfish");
}

static void print_options(const struct cli_command *command)
{
    const struct cli_option *lists[] = {command ? command->options : NULL, cli_common};
    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_option *o = lists[i]; o && o->name; o++)
            printf("--%s\n", o->name);
    }
}

/* The next words of the names that begin with the words given. */
static void print_names(const char *const *words, size_t n)
{
    struct map said = {0};
    for (size_t i = 0; i < cli_n_commands; i++) {
        const char *at = cli_commands[i]->name;
        bool fits = !(cli_commands[i]->flags & CLI_HIDDEN);
        for (size_t k = 0; fits && k < n; k++) {
            size_t len = strlen(words[k]);
            fits = strncmp(at, words[k], len) == 0 && at[len] == ' ';
            at += fits ? len + 1 : 0;
        }
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(at, " "), at);
        if (fits && !map_set(&said, word, &said))
            puts(word);
    }
    map_fini(&said);
}

/* The command whose name the words begin with, the longest; *n_name: its words. */
static const struct cli_command *command_of(const char *const *words, size_t n, size_t *n_name)
{
    const struct cli_command *found = NULL;
    *n_name = 0;
    for (size_t i = 0; i < cli_n_commands; i++) {
        const char *at = cli_commands[i]->name;
        size_t k = 0;
        for (; k < n; k++) {
            size_t len = strlen(words[k]);
            if (strncmp(at, words[k], len) != 0 || (at[len] && at[len] != ' '))
                break;
            at += len;
            if (!*at)
                break;
            at++;
        }
        if (!*at && k < n && k + 1 > *n_name) {
            found = cli_commands[i];
            *n_name = k + 1;
        }
    }
    return found;
}

/* An option that takes a value stands before the current word. */
static bool print_value(const struct cli_command *command, const char *before)
{
    static const struct {
        const char *option, *words;
    } values[] = {{"output", "table\njson\nyaml\nid"},
                  {"state", "queued\nrunning\nstopping\nsuccess\nfailed\ncancelled"}};
    bool marks = command && str_eq(command->name, "runs mark");
    const struct cli_option *lists[] = {command ? command->options : NULL, cli_common};
    for (size_t i = 0; i < 2; i++) {
        for (const struct cli_option *o = lists[i]; o && o->name; o++) {
            char letter[3] = {'-', o->letter, 0};
            bool is_it = (str_starts(before, "--") && str_eq(before + 2, o->name)) ||
                         (o->letter && str_eq(before, letter));
            if (!is_it || !o->value)
                continue;
            bool said = false;
            for (size_t k = 0; k < 2; k++) {
                if (str_eq(values[k].option, o->name))
                    said =
                        puts(k == 1 && marks ? "success\nfailed\nskipped" : values[k].words) >= 0;
            }
            if (!said && (str_eq(o->value, "DIR") || str_eq(o->value, "FILE")))
                puts("FILES");
            return true;
        }
    }
    return false;
}

static int run_complete(struct cli *cli)
{
    const char **words = arena_array(&cli->arena, cli->n_args + 1, sizeof *words);
    size_t n = 0, n_name, n_all = cli->n_args;
    cli->request_ms = ANSWER_MS;
    const char *current = n_all ? cli->args[n_all - 1] : "";
    for (size_t i = 0; i + 1 < n_all; i++) {
        if (cli->args[i][0] != '-')
            words[n++] = cli->args[i];
    }
    const struct cli_command *command = command_of(words, n, &n_name);
    if (n_all > 1 && print_value(command, cli->args[n_all - 2]))
        return CLI_DONE;
    if (current[0] == '-')
        print_options(command);
    else if (command)
        print_arguments(cli, command, n - n_name, n > n_name ? words[n_name] : NULL);
    if (current[0] != '-' && (!command || n == n_name))
        print_names(words, n);
    return CLI_DONE;
}

const struct cli_command cmd_completion = {
    .name = "completion",
    .arguments = "SHELL",
    .group = "System",
    .summary = "completion of commands and names for bash, zsh or fish",
    .help = "  source <(nexus completion bash)\n  nexus completion fish | source",
    .flags = CLI_MINOR,
    .run = run_completion,
};

const struct cli_command cmd_complete = {
    .name = "__complete",
    .arguments = "[WORD...]",
    .group = "System",
    .summary = "candidates for the last word",
    .flags = CLI_RAW | CLI_HIDDEN,
    .run = run_complete,
};
