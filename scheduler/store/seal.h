/* What is stored sealed: the values of secrets and connections. Each is sealed together with its
 * kind and name, so that a row that was moved to another name does not open. */
#ifndef SCHEDULER_STORE_SEAL_H
#define SCHEDULER_STORE_SEAL_H

#include "lib/base/path.h"
#include "lib/crypt/crypt.h"
#include "scheduler/store/kept.h"

/* Unseals many: the key file is read when the first one asks. */
struct unseal {
    char key_path[PATH_MAX_BYTES];
    struct crypt_key key;
    bool asked, open; /* for the key */
    struct nx_err err;
};

void unseal_begin(struct unseal *unseal, const char *key_path);
void unseal_end(struct unseal *unseal); /* the key is wiped */
/* Appends the value of the row. */
bool unseal_row(struct unseal *unseal, enum kept_kind kind, const struct kept_row *row,
                struct buf *value, struct nx_err *err);

/* Makes the key file if it is not there: the caller says whether something is sealed with it. */
bool seal_value(const char *key_path, enum kept_kind kind, const char *name, const char *value,
                struct buf *sealed, struct nx_err *err);

/* For a reader: the value of one, appended. NX_E_NOT_FOUND, or why it cannot be read. */
bool seal_find(struct query *query, const char *key_path, enum kept_kind kind, const char *name,
               struct buf *value, struct nx_err *err);

#endif
