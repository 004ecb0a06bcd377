/* One DAG file as the loader knows it: what it claims, read and checked. */
#ifndef SCHEDULER_DAG_CLAIMS_H
#define SCHEDULER_DAG_CLAIMS_H

#include "lib/base/map.h"
#include "lib/base/vec.h"
#include "scheduler/dag/found.h"
#include "scheduler/dag/loader.h"

/* A file, from one scan to the next. */
struct dag_file {
    char *path; /* relative to the folder */
    struct file_sign sign;
    bool sign_known;
    int64_t written_since; /* mono_ms of the first scan that found it being written; 0: it rests */
    bool seen;             /* by this scan */
    bool has_files;        /* it names `files`: they are looked at in every scan */
    bool conflicted;       /* an id of it is in another file too: looked at in every scan */
    bool version_told;     /* since its errors were told */
    bool errors_open;      /* there were errors at the last start, and nothing was told since */
    char source_hash[LOADER_HASH_MAX];
    char files_sign[LOADER_HASH_MAX];  /* of the signs of all `files` */
    char errors_hash[LOADER_HASH_MAX]; /* of the errors told last; empty: none */
    VEC(char *) ids; /* of the DAGs in it; with errors also of those that were in it before */
};

void dag_file_free(struct dag_file *file);
bool dag_file_claims(const struct dag_file *file, const char *id);
void dag_file_claim(struct dag_file *file, const char *id);

/* Whether a key `files` seems to be in the text, broken or not. A quick look that may say yes too
 * often: then the file is checked more often than it needs. */
bool guess_files(const char *text);
/* Ids of a text's documents as far as a quick look tells: `id: x` at the start of a line, or the
 * file's name. */
struct id_list {
    VEC(char *) list;
};

/* The same of a file written in Lua that has been run. */
void tree_ids(const char *path, const json_t *tree, struct id_list *ids);
void guess_ids(const char *path, const char *text, struct id_list *ids);
void id_list_fini(struct id_list *ids);

/* The hash of a version: of the source, the id and the files. */
void version_hash(const struct spec *spec, const char *source_hash, const struct loader_file *files,
                  size_t n_files, char hash[LOADER_HASH_MAX]);
/* Of the files' signs alone, without reading them. */
void files_sign(struct spec *const *specs, size_t n, char hash[LOADER_HASH_MAX]);
/* Reads the files of a spec; false: one cannot be read, and nothing is kept. */
bool read_version_files(const struct spec *spec, struct loader_file **files, size_t *n_files,
                        struct nx_err *err);
void free_version_files(struct loader_file *files, size_t n_files);

#endif
