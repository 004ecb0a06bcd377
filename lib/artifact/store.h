/* What the files of lib/artifact share: the store's places, and the manifest of a folder. */
#ifndef LIB_ARTIFACT_STORE_H
#define LIB_ARTIFACT_STORE_H

#include "lib/artifact/artifact.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/base/vec.h"
#include "lib/crypt/crypt.h"

/* Room for what the store adds to its root: "/sha256/ab/<hex>.d", "/tmp/<id>". */
#define ARTIFACT_ROOT_MAX (PATH_MAX_BYTES - 160)

struct artifact_store {
    char root[ARTIFACT_ROOT_MAX];
};

struct artifact_file {
    char *path; /* below the folder */
    uint64_t n_bytes;
    char sha256[SHA256_HEX];
};

struct artifact_manifest {
    VEC(struct artifact_file) files;
    uint64_t n_bytes;
};

/* artifact.c: the file of an address: the content, or the manifest of a folder, whose files are in
 * `files`. */
bool artifact_find(const struct artifact_store *store, const char *address,
                   char file[PATH_MAX_BYTES], char files[PATH_MAX_BYTES], bool *is_folder,
                   struct nx_err *err);
/* Locks <root>/lock, shared to put, exclusive to remove. Closing *fd unlocks. (A
 * descriptor each time: the locks of one descriptor are one lock for all threads.) */
bool artifact_lock(const struct artifact_store *store, bool exclusive, int *fd, struct nx_err *err);

/* walk.c: the regular files of a folder, sorted, without sizes and hashes; empty folders are
 * removed when `tidy`. */
bool artifact_walk(const char *folder, bool tidy, struct artifact_manifest *manifest,
                   struct nx_err *err);
/* Sizes and hashes of files of a folder, as they are now. */
bool artifact_hash_files(const char *folder, struct artifact_manifest *manifest,
                         struct nx_err *err);
void artifact_manifest_text(const struct artifact_manifest *manifest, struct buf *text);
/* One line of a manifest, without its newline, taken apart in place: entry points into it. */
bool artifact_manifest_line(char *line, struct artifact_entry *entry);
/* Whether it is the first line of a manifest, newline included. */
bool artifact_manifest_begins(const char *line);
/* Reads a manifest; false when the text is none. */
bool artifact_manifest_parse(const char *text, struct artifact_manifest *manifest);
void artifact_manifest_fini(struct artifact_manifest *manifest);

/* Copies a file (cloned where possible), and a folder's files. */
bool artifact_copy_file(const char *from, const char *to, struct nx_err *err);
bool artifact_copy_files(const char *from, const char *to, const struct artifact_manifest *manifest,
                         struct nx_err *err);
/* Makes a file or folder durable. */
bool artifact_sync(const char *path, struct nx_err *err);

#endif
