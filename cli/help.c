/* The help texts, made from the table. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "lib/base/buf.h"
#include "lib/base/str.h"

static void option_title(char *to, size_t size, const struct cli_option *option)
{
    char letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(to, size, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
             option->value ? option->value : "");
}

static void print_options(const char *title, const struct cli_option *options)
{
    if (!options || !options->name)
        return;
    printf("\n%s:\n", title);
    for (; options->name; options++) {
        char text[120];
        option_title(text, sizeof text, options);
        printf("  %-28s %s\n", text, options->help);
    }
}

void cli_print_help(const struct cli *cli, const struct cli_command *command)
{
    (void)cli;
    bool has_options = command->options && command->options->name;
    printf("nexus %s%s%s%s: %s\n", command->name, *command->arguments ? " " : "",
           command->arguments, has_options ? " [options]" : "", command->summary);
    if (command->help)
        printf("\n%s\n", command->help);
    print_options("Options", command->options);
    print_options("Common options", cli_common);
    puts("\nExit status: 0 done and successful, 1 the thing asked about failed, 2 wrong usage,\n"
         "3 the server cannot be reached.");
}

/* "dag list", "dag show" -> the words after "dag", as "list | show". */
static void group_words(struct buf *to, const char *first, size_t len)
{
    for (size_t i = 0; i < cli_n_commands; i++) {
        const char *name = cli_commands[i]->name;
        if (cli_commands[i]->flags & CLI_HIDDEN)
            continue;
        if (strncmp(name, first, len) == 0 && name[len] == ' ')
            buf_printf(to, "%s%s", to->len ? " | " : "", name + len + 1);
    }
}

/* One line a first word: commands of two words share it. The group's name stands before its first
 * line. */
static void print_entry(const char *group, const char *name, const char *summary)
{
    size_t len = strcspn(name, " ");
    struct buf words = {0};
    group_words(&words, name, len);
    printf("%-15s %-11.*s %s\n", group, (int)len, name, name[len] ? buf_text(&words) : summary);
    buf_fini(&words);
}

void cli_print_overview(const struct cli *cli)
{
    (void)cli;
    puts("nexus: workflows and machine learning on one machine or many\n"
         "  nexus run dags/hello.yaml               one run of one file, here and now\n"
         "  nexus up                                scheduler and worker, until Ctrl-C\n"
         "  nexus trigger hello -p name=you --wait  a run on it, watched to its end");
    const char *group = "", *last = "";
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        size_t len = strcspn(c->name, " ");
        if (c->flags & (CLI_HIDDEN | CLI_MINOR))
            continue;
        bool new_group = !str_eq(group, c->group);
        if (!new_group && strcspn(last, " ") == len && strncmp(last, c->name, len) == 0)
            continue;
        print_entry(new_group ? c->group : "", c->name, c->summary);
        group = c->group;
        last = c->name;
    }
    puts("`nexus COMMAND --help` says more.");
}

void cli_print_group(const struct cli *cli, const char *first_word)
{
    (void)cli;
    size_t len = strlen(first_word);
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        if (strncmp(c->name, first_word, len) != 0 || c->name[len] != ' ')
            continue;
        char usage[120];
        snprintf(usage, sizeof usage, "nexus %s %s", c->name, c->arguments);
        printf("  %-32s %s\n", usage, c->summary);
    }
}

static void markdown_options(const struct cli_option *options)
{
    for (; options && options->name; options++) {
        char text[120];
        option_title(text, sizeof text, options);
        printf("- `%s`: %s\n", text + strspn(text, " "), options->help);
    }
}

/* Prose as it is; indented examples as a block of code. */
static void markdown_text(const char *text)
{
    bool in_code = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        bool code = strncmp(text, "  ", 2) == 0;
        if (code && !in_code)
            puts("```sh");
        if (!code && in_code)
            puts("```");
        printf("%.*s\n", (int)(code ? len - 2 : len), text + (code ? 2 : 0));
        in_code = code;
        text += len + (text[len] == '\n');
    }
    if (in_code)
        puts("```");
}

void cli_print_markdown(void)
{
    puts(
        "# The command line\n\n"
        "Made by `nexus help --markdown` from the table of commands (`cli/table.c`).\n\n"
        "Results go to stdout, everything else to stderr. `-o json` prints the shapes of the API,\n"
        "a list as the bare array; `-o id` prints ids for pipes. Exit status: 0 done and\n"
        "successful, 1 the thing asked about failed, 2 wrong usage (or not in this version yet),\n"
        "3 the server cannot be reached.\n\n## Options of every command\n");
    markdown_options(cli_common);
    const char *group = "";
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        if (c->flags & CLI_HIDDEN)
            continue;
        if (!str_eq(group, c->group))
            printf("\n## %s\n", c->group);
        group = c->group;
        printf("\n### nexus %s%s%s\n\n%c%s.\n", c->name, *c->arguments ? " " : "", c->arguments,
               c->summary[0] & ~0x20, c->summary + 1);
        if (c->help) {
            putchar('\n');
            markdown_text(c->help);
        }
        if (c->options && c->options->name) {
            putchar('\n');
            markdown_options(c->options);
        }
    }
}
