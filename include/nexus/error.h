/* Errors: one code, one message. Every fallible function of Nexus takes a `struct nx_err *`. */
#ifndef NEXUS_ERROR_H
#define NEXUS_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum nx_code {
    NX_OK = 0,
    NX_E_INVALID,     /* the input is wrong: file, parameter, request */
    NX_E_NOT_FOUND,   /* the thing named does not exist */
    NX_E_CONFLICT,    /* it exists already, or is in a state that forbids this */
    NX_E_LIMIT,       /* a documented bound was reached */
    NX_E_BUSY,        /* try again later: inbox full, port or home held by another */
    NX_E_DENIED,      /* not allowed */
    NX_E_UNSUPPORTED, /* known, but not in this version */
    NX_E_DATA,        /* the data does not fit: schema, type, validation */
    NX_E_IO,          /* file, disk, network */
    NX_E_UNREACHABLE, /* the server does not answer */
    NX_E_TIMEOUT,
    NX_E_CANCELLED,
    NX_E_MEMORY,
    NX_E_INTERNAL,        /* a defect of Nexus or of a library */
    NX_E_UNAUTHENTICATED, /* who asks has to say who he is */
    NX_E_STALE,           /* it was changed since who asks has seen it */
    NX_CODES
};

#define NX_ERR_TEXT_MAX 1024

struct nx_err {
    enum nx_code code;
    char text[NX_ERR_TEXT_MAX]; /* UTF-8; cut with "..." when longer */
};

/* What a code means outside: its name ("not_found"), the HTTP status, and whether a retry of an
 * attempt that failed with it can help. */
struct nx_code_info {
    const char *name;
    int http_status;
    bool retryable;
};

const struct nx_code_info *nx_code_info(enum nx_code code);

/* The code with that name, or NX_E_INTERNAL. */
enum nx_code nx_code_find(const char *name);

/* Fills *err (which may be NULL) and returns false, so that `return nx_fail(err, ...)` reads well.
 */
bool nx_fail(struct nx_err *err, enum nx_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that is already in *err. Returns false. */
bool nx_wrap(struct nx_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
