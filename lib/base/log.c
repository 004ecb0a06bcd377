#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/time.h"

/* Set once by log_open before threads start. */
static const char *log_program = "nexus";
static enum log_level log_least = LOG_INFO;

void log_open(const char *program, enum log_level least)
{
    log_program = program;
    log_least = least;
}

static void write_line(enum log_level level, const char *format, va_list args)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char line[2048], when[TIME_TEXT_MAX];
    if (level < log_least)
        return;
    int n = snprintf(line, sizeof line, "%s %-5s %s: ", time_format(when, clock_wall_ms()),
                     names[level], log_program);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    size_t len = (size_t)n + (m > 0 ? (size_t)m : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0) {
        /* there is nowhere left to say so */
    }
}

#define LOG_FUNCTION(name, level) \
    void name(const char *format, ...) \
    { \
        va_list args; \
        va_start(args, format); \
        write_line(level, format, args); \
        va_end(args); \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_warn, LOG_WARN)
LOG_FUNCTION(log_error, LOG_ERROR)

void die(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(LOG_ERROR, format, args);
    va_end(args);
    exit(status);
}
