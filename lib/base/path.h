/* Paths and whole files. */
#ifndef LIB_BASE_PATH_H
#define LIB_BASE_PATH_H

#include "lib/base/buf.h"
#include "nexus/error.h"

#define PATH_MAX_BYTES 4096

/* "a/b"; `name` alone when it is absolute or dir is empty. False when longer than size. */
bool path_join(char *to, size_t size, const char *dir, const char *name);
const char *path_base(const char *path); /* what follows the last slash */
/* Creates the folder and its parents (mode 0777 less umask); fine if it exists. */
bool path_make_folders(const char *path, struct nx_err *err);
/* The same, and the folder itself, if it is new, is its owner's alone (mode 0700). */
bool path_make_private_folder(const char *path, struct nx_err *err);
bool path_exists(const char *path);
bool path_is_folder(const char *path);
/* Reads a whole file into buf (appended); NX_E_LIMIT when larger than max. */
bool path_read(const char *path, size_t max, struct buf *buf, struct nx_err *err);
/* Writes to a temporary file beside it, syncs, renames: all or nothing, also after a crash. */
bool path_write(const char *path, const void *p, size_t n, struct nx_err *err);
/* The same for the owner's eyes alone (mode 0600). */
bool path_write_private(const char *path, const void *p, size_t n, struct nx_err *err);
/* Removes a folder and what is in it; fine if it does not exist. */
bool path_remove_tree(const char *path, struct nx_err *err);
/* The folder of the running program, without a final slash. */
bool path_of_program(char *to, size_t size);
/* The path of another program of Nexus: beside this one, in ../libexec/nexus from it, or in the
 * folder that NEXUS_LIBEXEC names. */
bool path_find_program(const char *name, char *to, size_t size, struct nx_err *err);

#endif
