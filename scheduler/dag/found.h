/* The DAG files below a folder, as they are now. */
#ifndef SCHEDULER_DAG_FOUND_H
#define SCHEDULER_DAG_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* What tells, without reading it, whether a file has changed. */
struct file_sign {
    int64_t modified_ns, changed_ns, n_bytes;
    uint64_t inode;
};

struct file_sign sign_of(const struct stat *st);
bool sign_equal(const struct file_sign *a, const struct file_sign *b);

/* Whether a file of that name is a DAG file: .yaml, .yml or .lua. */
bool found_is_name(const char *name);

struct found_file {
    char *path; /* relative to the folder */
    struct file_sign sign;
};

/* Why a DAG file of that path must not be opened: it is a link to nothing, a folder, a pipe. NULL:
 * it is a regular file, or not there at all. */
const char *found_unusable(const char *path);

struct found_files {
    struct found_file *at; /* by path */
    size_t n, cap;
};

/* Finds DAG files, also unusable ones; hidden names and linked folders are left out.
 * Adds an inotify watch for every folder when inotify_fd >= 0. False: the folder itself is not
 * there. */
bool found_scan(const char *folder, int inotify_fd, struct found_files *found);
void found_fini(struct found_files *found);

#endif
