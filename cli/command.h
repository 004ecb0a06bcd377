/* What a command of `nexus` is, what an invocation of it holds, and the exit statuses. One command
 * a file (or a few that belong together); cli/table.c lists them all. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/path.h"
#include "lib/base/vec.h"
#include "nexus/error.h"

enum cli_status {
    CLI_DONE = 0,        /* done and successful */
    CLI_FAILED = 1,      /* the thing asked about failed */
    CLI_USAGE = 2,       /* wrong usage, or known but not in this version */
    CLI_UNREACHABLE = 3, /* the server cannot be reached */
    CLI_OVER = -1        /* of cli_parse: help was printed; end with CLI_DONE */
};

struct cli_option {
    char letter;       /* 'p'; 0: none */
    const char *name;  /* "param" */
    const char *value; /* what it takes, for the help: "KEY=VALUE"; NULL: it takes nothing */
    const char *help;  /* a phrase; names the default */
    bool number;       /* its value must be a whole number, at least 0 */
    bool many;         /* may be given more than once */
};

struct cli;
struct fetch;

/* cli_command flags. */
enum cli_command_flag {
    CLI_RAW = 1,    /* what follows the name is passed on unread */
    CLI_HIDDEN = 2, /* not in the help */
    CLI_MINOR = 4,  /* not in the overview */
    CLI_OWN_O = 8   /* its -o names a file; --output is still the format */
};

struct cli_command {
    const char *name;                 /* "dag list" */
    const char *arguments;            /* "RUN [TASK]", "FILE..."; "" none */
    const char *group;                /* heading in `nexus help` */
    const char *summary;              /* one line, lower case, no full stop */
    const char *help;                 /* paragraphs and two examples; NULL: none */
    const struct cli_option *options; /* ends with a NULL name; NULL: none */
    unsigned flags;
    int (*run)(struct cli *cli);
};

enum cli_format { CLI_TABLE, CLI_JSON, CLI_YAML, CLI_ID };

struct cli_value {
    const struct cli_option *option;
    const char *text; /* "" for an option that takes nothing */
};

/* One invocation. */
struct cli {
    const struct cli_command *command;
    const char **args; /* n_args arguments that are no options; for CLI_RAW: everything */
    size_t n_args;
    VEC(struct cli_value) values;
    enum cli_format format;
    bool color;          /* colours on stdout */
    bool tty_out;        /* stdout is a terminal that can redraw */
    int width;           /* columns of the terminal; 0: not one */
    const char *program; /* argv[0] */
    struct arena arena;  /* everything that lives as long as the invocation */
    struct fetch *fetch; /* made at the first request */
    const char *url;     /* of the server; found at the first request */
    const char *token;   /* likewise; "": none */
    int64_t request_ms;  /* at most, for a request and its answer; 0: a minute */
};

/* The table: n commands. */
extern const struct cli_command *const cli_commands[];
extern const size_t cli_n_commands;
/* Options that every command has. */
extern const struct cli_option cli_common[];
/* Commands of later versions: their first words, ends with NULL. */
extern const char *const cli_later[];

/* Reads the arguments into *cli: finds the command, checks options and the number of arguments.
 * Returns CLI_DONE, CLI_OVER when only help was asked for, or CLI_USAGE after it has said on
 * stderr what is wrong. */
int cli_parse(struct cli *cli, int argc, char **argv);
void cli_init(struct cli *cli);
void cli_fini(struct cli *cli);

/* The value of an option by its name (the last one given), or NULL. */
const char *cli_get(const struct cli *cli, const char *name);
bool cli_given(const struct cli *cli, const char *name);
/* The number given, or `fallback`. */
int64_t cli_number(const struct cli *cli, const char *name, int64_t fallback);
/* The i-th argument, or NULL. */
const char *cli_arg(const struct cli *cli, size_t i);

/* "nexus: ..." on stderr; returns the status, so that `return cli_fail(...)` reads well. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For an error of a library: the status that goes with its code. */
int cli_fail_err(const struct nx_err *err);
/* CLI_USAGE: "no <what> 'name'" and the nearest of the candidates, or all when they are few. */
int cli_no_such(const char *what, const char *name, const char *const *candidates, size_t n,
                const char *how_to_list);

/* Help: of one command; of all; of a group ("dag"); the reference page in Markdown. */
void cli_print_help(const struct cli *cli, const struct cli_command *command);
void cli_print_overview(const struct cli *cli);
void cli_print_group(const struct cli *cli, const char *first_word);
void cli_print_markdown(void);

#endif
