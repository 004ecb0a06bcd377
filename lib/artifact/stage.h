/* Content that comes from another machine piece by piece, until it is an artifact.
 *
 *     <root>/tmp/in-<session>-<hash>     a file that is not all there
 *     <root>/tmp/ok-<session>-<hash>     one that is, and whose content has that hash
 *
 * A piece that does not continue what is there changes nothing: the answer says how far it is, so
 * repeating a piece is harmless and a transfer goes on after a crash. Sessions are apart from each
 * other: who puts wrong bytes spoils his own transfer alone. */
#ifndef LIB_ARTIFACT_STAGE_H
#define LIB_ARTIFACT_STAGE_H

#include "lib/artifact/artifact.h"

struct stage_piece {
    uint64_t session;
    const char *hash; /* 64 digits: of the whole file */
    uint64_t size;    /* of the whole file */
    uint64_t offset;
    const void *bytes;
    size_t n; /* may be 0: only asks how far it is */
};

/* Adds a piece; *have is how far the file is now: its size when it is complete. NX_E_DATA, and it
 * begins anew, when what came does not have the hash. */
bool stage_add(struct artifact_store *store, const struct stage_piece *piece, uint64_t *have,
               struct nx_err *err);
/* Makes an artifact of the complete file of that hash; folder: of its manifest (that of
 * artifact.h) and the files that it lists, all complete. Fine when the artifact is there already.
 */
bool stage_keep(struct artifact_store *store, uint64_t session, const char *hash, bool folder,
                struct artifact_info *info, struct nx_err *err);
/* The complete file (size: PATH_MAX_BYTES is enough). */
bool stage_path(const struct artifact_store *store, uint64_t session, const char *hash, char *to,
                size_t size);
/* Whether a path of a manifest stays below its folder. */
bool stage_path_is_safe(const char *path);

#endif
