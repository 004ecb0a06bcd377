/* Hashes of content, random bytes, secrets at rest. By libsodium. */
#ifndef LIB_CRYPT_CRYPT_H
#define LIB_CRYPT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

/* SHA-256 (FIPS 180-4), as a stream or at once; uses the processor's SHA instructions if present.
 */
#define SHA256_BYTES 32
#define SHA256_HEX 65 /* with the final zero */

struct sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    uint8_t block[64];
};

void sha256_init(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *p, size_t n);
void sha256_end(struct sha256 *sha, uint8_t hash[SHA256_BYTES]);
void sha256_end_hex(struct sha256 *sha, char hex[SHA256_HEX]);
void sha256_of(const void *p, size_t n, char hex[SHA256_HEX]);
/* Of a file's content; n_bytes (may be NULL) gets its size. */
bool sha256_of_file(const char *path, char hex[SHA256_HEX], uint64_t *n_bytes, struct nx_err *err);
/* Of what an open file has from its start; the position is left alone. */
bool sha256_of_fd(int fd, char hex[SHA256_HEX], uint64_t *n_bytes, struct nx_err *err);

/* HMAC-SHA256 (RFC 2104, 4231). */
void hmac_sha256(const void *key, size_t n_key, const void *p, size_t n, char hex[SHA256_HEX]);

/* Lower-case hexadecimal; to has 2 n + 1 bytes. */
void crypt_hex(char *to, const void *p, size_t n);

/* Unpredictable bytes, for ids and keys. */
void crypt_random(void *p, size_t n);
uint64_t crypt_random_u64(void);
/* n random characters of [a-z0-9] (5.17 bits each) and a final zero. */
void crypt_random_id(char *to, size_t n);

/* Whether the bytes are equal, in a time that does not depend on where they differ. */
bool crypt_equal(const void *a, const void *b, size_t n);
/* Overwrites what was secret. p may be NULL. */
void crypt_wipe(void *p, size_t n);

/* Secrets at rest: XSalsa20-Poly1305 (NaCl's secretbox) under a key in a file. */
struct crypt_key {
    uint8_t bytes[32];
};

/* Reads the key file, or makes it (mode 0600; safe when two do so at once). A file that others may
 * read is NX_E_DENIED. */
bool crypt_key_open(const char *path, struct crypt_key *key, struct nx_err *err);
void crypt_key_wipe(struct crypt_key *key);
/* Appends nonce and box (n + 40 bytes) to `to`. */
void crypt_seal(const struct crypt_key *key, const void *p, size_t n, struct buf *to);
/* Appends what was sealed; NX_E_DENIED when it was changed or sealed with another key. */
bool crypt_unseal(const struct crypt_key *key, const void *p, size_t n, struct buf *to,
                  struct nx_err *err);

#endif
