/* What each route takes and answers, beyond what the table of routes says of it; api_openapi.c
 * makes the document of both. */
#ifndef SCHEDULER_PORT_API_ANSWER_H
#define SCHEDULER_PORT_API_ANSWER_H

#include "scheduler/port/api_call.h"

enum answer_more {
    ANSWER_CONFLICT = 1, /* 409 */
    ANSWER_DATA = 2,     /* 422 */
    ANSWER_MATCH = 4,    /* it takes If-Match: 412 */
    ANSWER_MISSING = 8,  /* 404, also of what is not in its path */
    ANSWER_KEY = 16,     /* it takes an Idempotency-Key */
    ANSWER_LOADING = 32, /* 503 with the same shape */
    ANSWER_SEARCH = 64,  /* 413: a search may be too long */
    ANSWER_GONE = 128,   /* 410: what it was kept in is not there any more */
    ANSWER_RANGE = 256   /* it takes a Range: 206, 416 */
};

/* Types are those of api_schema.h. */
struct route_answer {
    bool (*handle)(struct call *call, struct nx_err *err); /* the route's */
    const char *shape;                                     /* of 200; NULL: there is no 200 */
    const char *created;                                   /* of 201 */
    unsigned more;                                         /* enum answer_more */
    const char *takes; /* types of parameters and members: "state:run_state"; "!name" is required */
    const char *type;  /* of the content; NULL: application/json */
    int status;        /* instead of 200: 202 or 302 */
};

/* NULL: the table lacks it. */
const struct route_answer *answer_of(const struct route *route);
/* The type of a parameter or member, and whether it must be there. */
const char *answer_takes(const struct route *route, const struct route_param *param, char *type,
                         size_t size, bool *required);
/* "responses": of an operation. */
void put_responses(struct buf *buf, const struct route *route);

#endif
