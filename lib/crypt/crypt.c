#include "lib/crypt/crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/must.h"
#include "lib/base/path.h"

/* Fine to call often and from several threads. */
static void ready(void)
{
    must(sodium_init() >= 0);
}

void crypt_hex(char *to, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = p;
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = digits[from[i] >> 4];
        to[2 * i + 1] = digits[from[i] & 15];
    }
    to[2 * n] = 0;
}

void hmac_sha256(const void *key, size_t n_key, const void *p, size_t n, char hex[SHA256_HEX])
{
    crypto_auth_hmacsha256_state state;
    uint8_t hash[crypto_auth_hmacsha256_BYTES];
    ready();
    crypto_auth_hmacsha256_init(&state, key, n_key);
    crypto_auth_hmacsha256_update(&state, p, n);
    crypto_auth_hmacsha256_final(&state, hash);
    crypt_hex(hex, hash, sizeof hash);
}

void crypt_random(void *p, size_t n)
{
    ready();
    randombytes_buf(p, n);
}

uint64_t crypt_random_u64(void)
{
    uint64_t v;
    crypt_random(&v, sizeof v);
    return v;
}

void crypt_random_id(char *to, size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    ready();
    for (size_t i = 0; i < n; i++)
        to[i] = letters[randombytes_uniform(36)];
    to[n] = 0;
}

bool crypt_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

/* A key file that is there: complete, and readable by its owner alone. */
static bool read_key(int fd, struct crypt_key *key, struct nx_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return nx_fail(err, NX_E_IO, "%s", strerror(errno));
    if (st.st_mode & 077)
        return nx_fail(err, NX_E_DENIED, "others may read this key; chmod 600 it");
    struct crypt_key read_in;
    if (st.st_size != sizeof read_in.bytes ||
        read(fd, read_in.bytes, sizeof read_in.bytes) != sizeof read_in.bytes)
        return nx_fail(err, NX_E_DATA, "not a key file (%lld bytes, a key has %zu)",
                       (long long)st.st_size, sizeof read_in.bytes);
    *key = read_in;
    crypt_key_wipe(&read_in);
    return true;
}

/* So that a crash does not take the name away: what is sealed with the key would be lost. */
static bool sync_folder(const char *path)
{
    char folder[PATH_MAX_BYTES] = ".";
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Made beside it and then linked: whoever is first wins, and nobody sees half a key. */
static bool make_key(const char *path, struct nx_err *err)
{
    char temp[PATH_MAX_BYTES], id[9];
    struct crypt_key key;
    crypt_random_id(id, 8);
    int len = snprintf(temp, sizeof temp, "%s.%s.tmp", path, id);
    if (len < 0 || (size_t)len >= sizeof temp)
        return nx_fail(err, NX_E_LIMIT, "the path is too long");
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return nx_fail(err, NX_E_IO, "%s", strerror(errno));
    crypt_random(key.bytes, sizeof key.bytes);
    bool ok = write(fd, key.bytes, sizeof key.bytes) == sizeof key.bytes && fsync(fd) == 0;
    crypt_key_wipe(&key);
    ok = close(fd) == 0 && ok;
    ok = ok && (link(temp, path) == 0 || errno == EEXIST) && sync_folder(path);
    int why = errno;
    unlink(temp);
    return ok || nx_fail(err, NX_E_IO, "%s", strerror(why));
}

bool crypt_key_open(const char *path, struct crypt_key *key, struct nx_err *err)
{
    ready();
    if (!path_exists(path) && !make_key(path, err))
        return nx_wrap(err, "cannot make the key file %s", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return nx_fail(err, errno == EACCES ? NX_E_DENIED : NX_E_IO, "cannot read %s: %s", path,
                       strerror(errno));
    bool ok = read_key(fd, key, err);
    close(fd);
    return ok || nx_wrap(err, "%s", path);
}

void crypt_wipe(void *p, size_t n)
{
    if (n)
        sodium_memzero(p, n);
}

void crypt_key_wipe(struct crypt_key *key)
{
    sodium_memzero(key, sizeof *key);
}

void crypt_seal(const struct crypt_key *key, const void *p, size_t n, struct buf *to)
{
    _Static_assert(sizeof key->bytes == crypto_secretbox_KEYBYTES, "size of a key");
    size_t n_sealed = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + n;
    uint8_t *nonce = (uint8_t *)buf_reserve(to, n_sealed + 1);
    uint8_t empty = 0;
    crypt_random(nonce, crypto_secretbox_NONCEBYTES);
    must(crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, n ? p : &empty, n, nonce,
                               key->bytes) == 0);
    to->len += n_sealed;
    to->data[to->len] = 0;
}

bool crypt_unseal(const struct crypt_key *key, const void *p, size_t n, struct buf *to,
                  struct nx_err *err)
{
    size_t n_around = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
    const uint8_t *nonce = p;
    ready();
    if (n < n_around)
        return nx_fail(err, NX_E_DENIED, "not a sealed secret");
    char *room = buf_reserve(to, n - n_around + 1);
    if (crypto_secretbox_open_easy((uint8_t *)room, nonce + crypto_secretbox_NONCEBYTES,
                                   n - crypto_secretbox_NONCEBYTES, nonce, key->bytes) != 0)
        return nx_fail(err, NX_E_DENIED, "the secret was sealed with another key, or was changed");
    to->len += n - n_around;
    to->data[to->len] = 0;
    return true;
}
