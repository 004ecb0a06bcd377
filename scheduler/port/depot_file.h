/* What a request to the depot means to files below the home. */
#ifndef SCHEDULER_PORT_DEPOT_FILE_H
#define SCHEDULER_PORT_DEPOT_FILE_H

#include <pthread.h>

#include "lib/artifact/artifact.h"
#include "lib/base/map.h"
#include "lib/base/path.h"
#include "lib/wire/bulk.h"

struct depot_files {
    char home[PATH_MAX_BYTES];
    struct artifact_store *store;
    struct query_pool *pool; /* for whose an attempt is */
    pthread_mutex_t lock;
    struct map lists; /* under the lock: a DAG version -> struct buf *, the list of its `files:` */
};

bool depot_files_open(struct depot_files *files, const char *home, struct nx_err *err);
void depot_files_close(struct depot_files *files);

/* Fills *reply; what it borrows is in `room` or constant. token: the id of that with which it came.
 * False: *err is the answer. Any thread. */
bool depot_serve(struct depot_files *files, const char *token, const struct bulk_request *request,
                 struct buf *room, struct bulk_reply *reply, struct nx_err *err);

#endif
