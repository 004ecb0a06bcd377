/* The loader: one thread that keeps the DAGs of a folder live.
 *
 * It watches the folder and those below it (inotify, and a scan every 5 s for file systems that
 * tell nothing), reads .yaml, .yml and .lua files that are new or changed, checks them and hands
 * over every finished version. It knows no store: what was known before is given to it, what it
 * finds it calls back with. Names that begin with a dot are left out. */
#ifndef SCHEDULER_DAG_LOADER_H
#define SCHEDULER_DAG_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/text/problem.h"
#include "nexus/error.h"
#include "scheduler/dag/spec.h"

#define LOADER_HASH_MAX 65 /* SHA-256 as hex, and the final zero */
#define LOADER_SCAN_MS 5000

struct loader;

/* What the store has of a file. A version (id is set): the file is not parsed again while its
 * source is the same. Or (id is NULL) that it has errors: they are told anew, or that there are
 * none any more. */
struct loader_known {
    const char *file; /* relative to the folder */
    const char *id;
    const char *hash;        /* of the version */
    const char *source_hash; /* of the file's text alone */
};

enum loader_kind {
    LOADER_VERSION, /* a DAG is new or changed */
    LOADER_REMOVED, /* its file, or the document in it, is gone (while the folder is there) */
    LOADER_ERRORS, /* the file cannot be used, or not all of it: problems; running versions stay. No
                      problems: all of it can be used again. After the versions of the same file */
    LOADER_SCANNED /* the first scan is complete: everything above it has been told */
};

/* A file of `files:` with its content. */
struct loader_file {
    const char *path;
    const char *data;
    size_t n_bytes;
    bool executable;
};

/* The receiver frees it with loader_event_free; it may first take spec and graph (set them NULL).
 */
struct loader_event {
    enum loader_kind kind;
    char *file; /* relative to the folder */
    char *id;   /* VERSION, REMOVED */
    char hash[LOADER_HASH_MAX];
    char source_hash[LOADER_HASH_MAX];
    struct buf source; /* VERSION: the file's text */
    struct spec *spec; /* VERSION */
    struct graph *graph;
    struct loader_file *files; /* VERSION */
    size_t n_files;
    struct problems problems; /* ERRORS */
};

void loader_event_free(struct loader_event *event);

/* Called on the loader's thread. Takes ownership of the event. */
typedef void loader_fn(void *arg, struct loader_event *event);

/* Starts the thread. `catalog` is borrowed until loader_stop and is not changed meanwhile. The
 * folder need not exist yet. */
bool loader_start(const char *folder, const json_t *catalog, const struct loader_known *known,
                  size_t n_known, loader_fn *fn, void *arg, struct loader **loader,
                  struct nx_err *err);
/* Looks at the folder now, instead of at the next change or scan. Any thread. */
void loader_scan(struct loader *loader);
/* Ends the thread; no callback comes afterwards. NULL is fine. */
void loader_stop(struct loader *loader);

#endif
