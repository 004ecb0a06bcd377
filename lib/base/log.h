/* The program's own log, on stderr: one line a message, `time level program: text`. For main
 * programs; libraries return errors instead. */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* The program's name on every line, and the least level shown. */
void log_open(const char *program, enum log_level least);
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Logs an error and ends the process with that status. For main and engine only. */
_Noreturn void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
