/* The join file: how a worker on another machine finds the scheduler and proves itself. JSON, made
 * by `nexus token create --worker`:
 *
 *   {"url": "tls+tcp://host:port", "token": "nxw_...", "certificate": "-----BEGIN ..."} */
#ifndef WORKER_JOIN_H
#define WORKER_JOIN_H

#include <stdbool.h>

#include "nexus/error.h"

#define JOIN_FILE_MAX (64 * 1024)

struct join {
    char url[320], token[129], certificate[4096];
};

/* Reads it. A file that others may read is accepted, with a warning in the log. */
bool join_read(const char *path, struct join *join, struct nx_err *err);
/* Makes a home this scheduler's: what another one's worker left there (logs that were not sent,
 * files of its DAGs) is removed. NX_E_CONFLICT when it is the home of a scheduler. */
bool join_home(const struct join *join, const char *home, struct nx_err *err);

#endif
