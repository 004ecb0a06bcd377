/* Artifacts and `files:` between a worker elsewhere and the scheduler's depot. Blocking, in bounded
 * memory, for several threads at once. A content is checked against its hash by who receives it; a
 * transfer that was cut goes on where it was. */
#ifndef WORKER_TRANSFER_H
#define WORKER_TRANSFER_H

#include "lib/artifact/artifact.h"
#include "worker/line.h"

struct transfer;

/* home: absolute; artifacts are kept below it. The line is borrowed. */
bool transfer_open(const char *home, struct line *line, uint64_t session,
                   struct transfer **transfer, struct nx_err *err);
void transfer_close(struct transfer *transfer); /* NULL is fine */
struct artifact_store *transfer_store(struct transfer *transfer);

/* Whether the artifact is here; then it counts as used now. Does not wait. */
bool transfer_has(struct transfer *transfer, const char *hash);
/* Brings an artifact here, unless it is. One that the scheduler does not have is no error:
 * *found false. *n_bytes is added to by what came. */
bool transfer_get(struct transfer *transfer, const char *hash, const atomic_bool *give_up,
                  bool *found, uint64_t *n_bytes, struct nx_err *err);
/* Takes an artifact that is here to the scheduler, unless it has it. */
bool transfer_put(struct transfer *transfer, const char *hash, const atomic_bool *give_up,
                  struct nx_err *err);

/* The folder with the files of a DAG version ("" when it has none), if that is known already. Does
 * not wait. */
bool transfer_knows_files(struct transfer *transfer, uint64_t version, char *to, size_t size);
/* Brings them; folders are named by their content, so versions share them. */
bool transfer_files(struct transfer *transfer, uint64_t version, const atomic_bool *give_up,
                    struct nx_err *err);

#endif
