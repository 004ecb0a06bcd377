#include "worker/join.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/text/json.h"

static bool take(const json_t *root, const char *key, char *to, size_t size, struct nx_err *err)
{
    const char *text = js_get_text(root, key, NULL);
    if (!text || !*text)
        return nx_fail(err, NX_E_INVALID, "'%s' is missing", key);
    return str_copy(to, size, text) || nx_fail(err, NX_E_LIMIT, "'%s' is too long", key);
}

bool join_read(const char *path, struct join *join, struct nx_err *err)
{
    struct buf text = {0};
    struct stat st;
    if (!path_read(path, JOIN_FILE_MAX, &text, err)) {
        buf_fini(&text);
        return nx_wrap(err, "the join file");
    }
    json_t *root = json_loads(buf_text(&text), 0, NULL);
    bool ok = json_is_object(root) ||
              nx_fail(err, NX_E_INVALID,
                      "it is no JSON object: `nexus token create --worker -o FILE` makes one");
    ok = ok && take(root, "url", join->url, sizeof join->url, err) &&
         take(root, "token", join->token, sizeof join->token, err) &&
         take(root, "certificate", join->certificate, sizeof join->certificate, err);
    json_decref(root);
    crypt_wipe(text.data, text.len);
    buf_fini(&text);
    if (ok && stat(path, &st) == 0 && (st.st_mode & 077))
        log_warn("others may read %s, and whoever has its token can be a worker; chmod 600 it",
                 path);
    return ok || nx_wrap(err, "the join file %s", path);
}

/* Of what was done for one scheduler. */
static const char *const folders[] = {"logs", "files", "work"};

/* Whether the home is new, or a worker's: what others have there is not ours to take away. */
static bool check_empty(const char *home, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (path_join(folder, sizeof folder, home, folders[i]) && path_exists(folder))
            return nx_fail(err, NX_E_CONFLICT,
                           "%s is there already, and is not of a worker that joined: give this "
                           "worker a --home of its own, such as an empty folder",
                           folder);
    }
    return true;
}

/* Which scheduler a home belongs to: a hash of its certificate. */
static bool write_owner(const char *home, const char *path, const char *owner, struct nx_err *err)
{
    char folder[PATH_MAX_BYTES];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!path_join(folder, sizeof folder, home, folders[i]) || !path_remove_tree(folder, err))
            return false;
    }
    return path_write(path, owner, strlen(owner), err);
}

bool join_home(const struct join *join, const char *home, struct nx_err *err)
{
    char path[PATH_MAX_BYTES], database[PATH_MAX_BYTES], owner[SHA256_HEX];
    struct buf text = {0};
    if (!path_join(path, sizeof path, home, "run/joined") ||
        !path_join(database, sizeof database, home, "nexus.db"))
        return nx_fail(err, NX_E_LIMIT, "the path of the home is too long");
    if (path_exists(database))
        return nx_fail(err, NX_E_CONFLICT,
                       "%s is the home of a scheduler: give this worker a --home of its own", home);
    sha256_of(join->certificate, strlen(join->certificate), owner);
    bool joined = path_exists(path);
    bool same =
        joined && path_read(path, SHA256_HEX, &text, NULL) && str_eq(buf_text(&text), owner);
    buf_fini(&text);
    return same || ((joined || check_empty(home, err)) && write_owner(home, path, owner, err));
}
