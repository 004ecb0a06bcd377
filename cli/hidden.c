#include "cli/hidden.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/base/str.h"

/* What stdin has, without the last newline. line_end: of a terminal, what ends its line too; 0: no
 * terminal, read to the end. */
static bool read_text(const char *what, size_t most, struct buf *text, cc_t line_end,
                      struct nx_err *err)
{
    char piece[1024];
    ssize_t n;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nx_fail(err, NX_E_IO, "cannot read the value: %s", strerror(errno));
        buf_add(text, piece, (size_t)n);
        if (text->len > most)
            return nx_fail(err, NX_E_LIMIT, "%s has at most %zu bytes", what, most);
        if (line_end && (piece[n - 1] == '\n' || (cc_t)piece[n - 1] == line_end))
            break;
    }
    if (text->len && text->data[text->len - 1] == '\n')
        text->data[--text->len] = 0;
    if (text->len && text->data[text->len - 1] == '\r')
        text->data[--text->len] = 0;
    if (!text->len)
        return nx_fail(err, NX_E_INVALID, "%s is not empty", what);
    return (str_is_utf8(text->data, text->len, NULL) && !memchr(text->data, 0, text->len)) ||
           nx_fail(err, NX_E_INVALID, "%s is UTF-8 text; encode bytes with base64", what);
}

/* Without echo. Signals wait until the terminal is as it was. */
static bool prompt(const char *what, const char *name, size_t most, struct buf *text,
                   struct nx_err *err)
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
                  ? read_text(what, most, text, before.c_cc[VINTR], err)
                  : nx_fail(err, NX_E_IO, "cannot silence the terminal: %s", strerror(errno));
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return ok && (!memchr(text->data, before.c_cc[VINTR], text->len) ||
                  nx_fail(err, NX_E_CANCELLED, "nothing was changed"));
}

bool hidden_read(const char *what, const char *name, size_t most, struct buf *text,
                 struct nx_err *err)
{
    return isatty(STDIN_FILENO) ? prompt(what, name, most, text, err)
                                : read_text(what, most, text, 0, err);
}
