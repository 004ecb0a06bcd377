#include "scheduler/store/seal.h"

#include <string.h>

#include "lib/base/str.h"

void unseal_begin(struct unseal *unseal, const char *key_path)
{
    *unseal = (struct unseal){0};
    str_copy(unseal->key_path, sizeof unseal->key_path, key_path);
}

void unseal_end(struct unseal *unseal)
{
    crypt_key_wipe(&unseal->key);
}

static bool open_key(struct unseal *unseal)
{
    if (unseal->asked)
        return unseal->open;
    unseal->asked = true;
    unseal->open = path_exists(unseal->key_path)
                       ? crypt_key_open(unseal->key_path, &unseal->key, &unseal->err)
                       : nx_fail(&unseal->err, NX_E_DENIED,
                                 "the key file %s is missing: put it back, or set the secret anew "
                                 "after all that were sealed with it are deleted",
                                 unseal->key_path);
    return unseal->open;
}

/* What stands before the value, with a zero at its end. No name has a slash. */
static void add_label(struct buf *to, enum kept_kind kind, const char *name)
{
    if (kind != KEPT_SECRET) {
        buf_str(to, kept_name(kind));
        buf_char(to, '/');
    }
    buf_add(to, name, strlen(name) + 1);
}

bool unseal_row(struct unseal *unseal, enum kept_kind kind, const struct kept_row *row,
                struct buf *value, struct nx_err *err)
{
    struct buf text, label;
    if (!open_key(unseal)) {
        *err = unseal->err;
        return false;
    }
    buf_init(&text);
    buf_init(&label);
    add_label(&label, kind, row->name);
    bool ok = crypt_unseal(&unseal->key, row->sealed, row->n_sealed, &text, err) ||
              nx_wrap(err, "with the key file %s", unseal->key_path);
    if (ok && (text.len < label.len || memcmp(text.data, label.data, label.len) != 0))
        ok = nx_fail(err, NX_E_DENIED, "it was sealed under another name");
    if (ok)
        buf_add(value, text.data + label.len, text.len - label.len);
    buf_fini(&label);
    buf_fini(&text);
    return ok;
}

bool seal_value(const char *key_path, enum kept_kind kind, const char *name, const char *value,
                struct buf *sealed, struct nx_err *err)
{
    struct crypt_key key;
    struct buf text;
    if (!crypt_key_open(key_path, &key, err))
        return false;
    buf_init(&text);
    add_label(&text, kind, name);
    buf_str(&text, value);
    crypt_seal(&key, text.data, text.len, sealed);
    crypt_key_wipe(&key);
    buf_fini(&text);
    return true;
}

/* ---- One, for a reader ---- */

struct finding {
    struct unseal unseal;
    enum kept_kind kind;
    const char *name;
    struct buf *value;
    struct nx_err *err;
    bool found, ok;
};

static void look(void *arg, const struct kept_row *row)
{
    struct finding *finding = arg;
    if (!str_eq(row->name, finding->name))
        return;
    finding->found = true;
    finding->ok = unseal_row(&finding->unseal, finding->kind, row, finding->value, finding->err);
}

bool seal_find(struct query *query, const char *key_path, enum kept_kind kind, const char *name,
               struct buf *value, struct nx_err *err)
{
    struct finding finding = {.kind = kind, .name = name, .value = value, .err = err};
    unseal_begin(&finding.unseal, key_path);
    bool ok = query_each_sealed(query, kind, look, &finding, err);
    unseal_end(&finding.unseal);
    if (ok && !finding.found)
        return nx_fail(err, NX_E_NOT_FOUND, "there is no %s '%.80s'", kept_name(kind), name);
    return ok && finding.ok;
}
