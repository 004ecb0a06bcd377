/* Assertions that stay on, and the end of the process. */
#ifndef LIB_BASE_MUST_H
#define LIB_BASE_MUST_H

/* A programmer's mistake ends the process (abort) with file and line; never compiled out. */
#define must(condition) ((condition) ? (void)0 : must_failed(#condition, __FILE__, __LINE__))

_Noreturn void must_failed(const char *condition, const char *file, int line);

#endif
