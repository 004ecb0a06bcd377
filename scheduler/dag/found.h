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

struct found_file {
    char *path; /* relative to the folder */
    struct file_sign sign;
};

struct found_files {
    struct found_file *at; /* by path */
    size_t n, cap;
};

/* Finds .yaml and .yml files; hidden names and linked folders are left out. Adds an inotify watch
 * for every folder when inotify_fd >= 0. False: the folder itself is not there. */
bool found_scan(const char *folder, int inotify_fd, struct found_files *found);
void found_fini(struct found_files *found);

#endif
