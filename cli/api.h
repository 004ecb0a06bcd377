/* Requests to the server's /api/v1. A path is a format: %s stands for one path segment or query
 * value and is percent-encoded; %lld is a number; %% a percent sign.
 *
 * Functions that return an int give CLI_DONE, or the exit status after they have said on stderr
 * what is wrong. */
#ifndef CLI_API_H
#define CLI_API_H

#include <jansson.h>

#include "cli/command.h"
#include "lib/base/buf.h"

/* Adds text with all but [A-Za-z0-9._~-] percent-encoded. */
void api_encode(struct buf *to, const char *text);
/* The path that a format makes, in the arena. */
const char *api_path(struct arena *arena, const char *format, ...);

int api_get(struct cli *cli, json_t **reply, const char *path);
/* `body` is taken; NULL: none. *reply (may be NULL) gets the answer, or null when it is empty. */
int api_send(struct cli *cli, const char *method, const char *path, json_t *body, json_t **reply);
/* All items of a paged list, at most `limit` (0: all); *reply is an array. */
int api_list(struct cli *cli, json_t **reply, const char *path, size_t limit);
/* The same without words: an error instead. */
bool api_try(struct cli *cli, const char *method, const char *path, const json_t *body,
             json_t **reply, struct nx_err *err);
bool api_try_list(struct cli *cli, json_t **reply, const char *path, size_t limit,
                  struct nx_err *err);

/* Bytes of an answer as they come; each returns false to stop. `cancelled` may be NULL. */
bool api_stream(struct cli *cli, const char *path, bool (*each)(void *arg, const char *p, size_t n),
                bool (*cancelled)(void *arg), void *arg, struct nx_err *err);

/* The answer's bytes to a file: all or nothing. */
bool api_download(struct cli *cli, const char *path, const char *file, struct nx_err *err);

/* Says why a request failed and returns the status. When a DAG, run or task does not exist, the
 * nearest name is added. */
int api_fail(struct cli *cli, const struct nx_err *err);
/* The server's address; NULL after it has said what is wrong, with *status. */
const char *api_url(struct cli *cli, int *status);
void api_fini(struct cli *cli);

#endif
