/* Artifacts: files and folders in a local store, addressed by the SHA-256 of their content.
 *
 *     <root>/sha256/ab/<hex>      a file, or the manifest of a folder
 *     <root>/sha256/ab/<hex>.d/   the folder's files
 *     <root>/tmp/                 what is being put; leftovers of a crash go with artifact_sweep
 *
 * A folder's manifest is a text: "nexus-folder 1", then one line "<sha256> <size> <path>" a file,
 * sorted by the bytes of the path; its SHA-256 is the address. Empty folders inside are not kept;
 * symbolic links, sockets and the like are refused. Stored files are read-only. Putting is
 * idempotent and safe with other threads and processes; what artifact_put has returned is on disk.
 */
#ifndef LIB_ARTIFACT_ARTIFACT_H
#define LIB_ARTIFACT_ARTIFACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus/error.h"

#define ARTIFACT_ADDRESS_MAX 72   /* "sha256:" and 64 digits and the final zero */
#define ARTIFACT_FILES_MAX 100000 /* in one folder */

struct artifact_store; /* may be used by several threads at once */

struct artifact_info {
    char address[ARTIFACT_ADDRESS_MAX];
    bool is_folder;
    uint64_t n_files; /* 1 for a file */
    uint64_t n_bytes; /* of the content */
};

/* Creates the folders if need be. */
bool artifact_open(const char *root, struct artifact_store **store, struct nx_err *err);
void artifact_close(struct artifact_store *store);

enum artifact_how {
    ARTIFACT_COPY, /* the source stays (cloned where the file system can) */
    ARTIFACT_MOVE  /* the source is moved into the store (copied and removed across file systems) */
};

/* Keeps a file or folder. Nobody may write to a moved source any more. */
bool artifact_put(struct artifact_store *store, const char *path, enum artifact_how how,
                  struct artifact_info *info, struct nx_err *err);

/* Whether the text is an address. */
bool artifact_is_address(const char *text);
/* Where the file or folder is (size: PATH_MAX_BYTES is enough). NX_E_NOT_FOUND names the address;
 * NX_E_INVALID when the text is none. */
bool artifact_path(const struct artifact_store *store, const char *address, char *to, size_t size,
                   struct nx_err *err);
/* As above, what it is (a folder's sizes come from its manifest). */
bool artifact_stat(const struct artifact_store *store, const char *address,
                   struct artifact_info *info, struct nx_err *err);
/* One file of a folder; lives as long as the call. */
struct artifact_entry {
    const char *path; /* below the folder */
    uint64_t n_bytes;
    const char *sha256; /* 64 digits */
};

/* Calls each with the folder's files in the order of their paths, from the `from`-th on, until it
 * returns false. NX_E_INVALID when the artifact is a file. */
bool artifact_files(const struct artifact_store *store, const char *address, uint64_t from,
                    bool (*each)(void *arg, const struct artifact_entry *entry), void *arg,
                    struct nx_err *err);
/* Opens a file for reading: that of a folder at `path`, exactly as its list has it; or, path NULL,
 * the artifact that is a file. `sha256`: 65 bytes. */
bool artifact_open_file(const struct artifact_store *store, const char *address, const char *path,
                        int *fd, uint64_t *n_bytes, char *sha256, struct nx_err *err);
/* Hashes the stored content again; NX_E_DATA says what differs. */
bool artifact_verify(const struct artifact_store *store, const char *address, struct nx_err *err);

/* Calls each with every artifact, in no order, until it returns false. */
bool artifact_list(const struct artifact_store *store,
                   bool (*each)(void *arg, const char *address, int64_t put_wall_ms), void *arg,
                   struct nx_err *err);
/* Removes what was put (or put again) before that instant and what `keep` does not keep, and
 * leftovers in tmp/ that old. keep is asked for old artifacts only. n_removed may be NULL. */
bool artifact_sweep(struct artifact_store *store, int64_t before_wall_ms,
                    bool (*keep)(void *arg, const char *address), void *arg, uint64_t *n_removed,
                    struct nx_err *err);

#endif
