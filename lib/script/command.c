#include "lib/script/command.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/str.h"

#define WORD_MAX 64  /* bytes of a word that are looked at */
#define WORDS_MAX 64 /* of a command: later ones are its last */

struct word {
    char text[WORD_MAX]; /* without quotes */
    bool redirect;       /* the target of < or > */
};

/* The words before an expression; the last is what stands right before it, maybe nothing. */
struct command {
    struct word words[WORDS_MAX];
    size_t n;
    size_t name; /* of the command; n - 1 or more: there is none before the expression */
};

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++) {
        if (str_eq(*list, word))
            return true;
    }
    return false;
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* NAME=, NAME+= or NAME[...]= */
static bool is_assignment(const char *word)
{
    size_t n = 0;
    if (isdigit((unsigned char)*word))
        return false;
    while (is_name_char(word[n]))
        n++;
    if (n && word[n] == '[')
        return strstr(word + n, "]=") || strstr(word + n, "]+=");
    return n && (word[n] == '=' || (word[n] == '+' && word[n + 1] == '='));
}

/* The byte after the ${{ }} at i, or i. */
static size_t skip_expression(const char *text, size_t i)
{
    const char *close = strncmp(text + i, "${{", 3) == 0 ? strstr(text + i, "}}") : NULL;
    return close ? (size_t)(close - text) + 2 : i;
}

static void add_char(struct word *word, size_t *n, char c)
{
    if (*n + 1 < sizeof word->text)
        word->text[(*n)++] = c;
    word->text[*n] = 0;
}

/* Reads the word at i, to a blank outside quotes or to `at`. */
static size_t read_word(const char *text, size_t i, size_t at, struct word *word)
{
    size_t n = 0;
    char quote = 0;
    word->text[0] = 0;
    while (i < at && (quote || !strchr(" \t\n", text[i]))) {
        size_t after = skip_expression(text, i);
        if (after > i) {
            add_char(word, &n, '?');
            i = after;
            continue;
        }
        char c = text[i++];
        if (c == '\\' && quote != '\'' && i < at) {
            if (text[i] != '\n')
                add_char(word, &n, text[i]);
            i++;
        } else if (c == quote || (!quote && (c == '"' || c == '\''))) {
            quote = c == quote ? 0 : c;
        } else {
            add_char(word, &n, c);
        }
    }
    return i;
}

/* A redirection and its target are no arguments. */
static void mark_redirect(struct command *command)
{
    struct word *last = &command->words[command->n - 1];
    const char *arrow = strpbrk(last->text, "<>");
    const char *before = command->n > 1 ? command->words[command->n - 2].text : "";
    size_t n = strlen(before);
    last->redirect = (arrow && strspn(last->text, "0123456789&") == (size_t)(arrow - last->text)) ||
                     (n && strchr("<>", before[n - 1]) && command->words[command->n - 2].redirect);
}

static void read_command(const char *text, size_t from, size_t at, struct command *command)
{
    static const char *const openers[] = {"!",       "{",       "if",    "then", "elif",
                                          "else",    "while",   "until", "do",   "time",
                                          "command", "builtin", "exec",  NULL};
    size_t i = from;
    command->n = 0;
    for (;;) {
        while (i < at && (strchr(" \t\n", text[i]) || (text[i] == '\\' && text[i + 1] == '\n')))
            i += text[i] == '\\' ? 2 : 1;
        if (command->n == WORDS_MAX)
            command->n--;
        struct word *word = &command->words[command->n++];
        i = read_word(text, i, at, word);
        mark_redirect(command);
        if (i >= at)
            break;
    }
    command->name = 0;
    while (command->name + 1 < command->n) {
        const struct word *word = &command->words[command->name];
        if (!is_one_of(word->text, openers) && !is_assignment(word->text) && !word->redirect)
            break;
        command->name++;
    }
}

/* NAME[ expression ]= : the bracket is open before, and the first to close it is assigned to. */
static bool is_subscript(const char *text, size_t from, size_t at, size_t end)
{
    bool open = false;
    for (size_t i = from; i < at; i++) {
        size_t after = skip_expression(text, i);
        if (after > i)
            i = after - 1;
        else if (text[i] == '[' || text[i] == ']')
            open = text[i] == '[';
    }
    for (size_t i = end; open && text[i] && text[i] != '\n'; i++) {
        size_t after = skip_expression(text, i);
        if (after > i)
            i = after - 1;
        else if (text[i] == ']')
            return text[i + 1] == '=' || (text[i + 1] == '+' && text[i + 2] == '=');
    }
    return false;
}

/* An option before the expression that has one of these letters. */
static bool has_option(const struct command *command, const char *letters)
{
    for (size_t i = command->name + 1; i + 1 < command->n; i++) {
        const char *word = command->words[i].text;
        if (*word == '-' && strpbrk(word + 1, letters))
            return true;
    }
    return false;
}

static bool names_variable(const struct command *command, const char *prefix, const char *before)
{
    static const char *const declaring[] = {"declare", "typeset",  "local",
                                            "export",  "readonly", NULL};
    static const char *const tests[] = {"[", "[[", "test", NULL};
    const char *name = command->words[command->name].text;
    size_t n = strlen(before);
    if (is_one_of(name, tests))
        return str_eq(before, "-v") || str_eq(before, "-R");
    if (str_eq(name, "printf"))
        return (str_eq(before, "-v") && command->n == command->name + 3) ||
               (str_starts(prefix, "-v") && command->n == command->name + 2);
    if (str_eq(name, "unset"))
        return true;
    if (str_eq(name, "read")) {
        bool value = *before == '-' && strchr("dinNptu", before[n - 1]);
        return !value && (*prefix != '-' || str_starts(prefix, "-a"));
    }
    if (!is_one_of(name, declaring))
        return false;
    return !strchr(prefix, '=') || (!str_eq(name, "export") && has_option(command, "aAin"));
}

const char *command_refuses(struct arena *arena, const char *text, size_t from, size_t at,
                            size_t end)
{
    static const char *const running[] = {"eval", "trap", NULL};
    struct command command;
    if (is_subscript(text, from, at, end))
        return "an expression as the subscript of an array, which the shell would calculate, and "
               "so "
               "run its value: write a list of values instead, or check it in a `case` first";
    read_command(text, from, at, &command);
    if (command.name + 1 >= command.n || command.words[command.n - 1].redirect)
        return NULL;
    const char *name = command.words[command.name].text;
    const char *before = command.words[command.n - 2].text;
    if (str_eq(name, "let"))
        return "an expression in 'let', where the shell would run its value: calculate inside the "
               "${{ }}";
    if (is_one_of(name, running))
        return arena_printf(arena,
                            "an expression in '%s', where the shell would run its value: put it "
                            "into 'env', and name the variable there in single quotes",
                            name);
    if (names_variable(&command, command.words[command.n - 1].text, before))
        return arena_printf(arena,
                            "an expression where '%s' expects the name of a variable, and would "
                            "run its value: write the name itself",
                            name);
    return NULL;
}
