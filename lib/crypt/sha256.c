/* SHA-256 (FIPS 180-4). */
#include "lib/crypt/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/crypt/crypt.h"

#define READ_BYTES (256 * 1024)

const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t v, int n)
{
    return v >> n | v << (32 - n);
}

static void words_of_block(uint32_t w[64], const uint8_t *p)
{
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
}

void sha256_blocks_plain(uint32_t state[8], const uint8_t *p, size_t n)
{
    uint32_t w[64], s[8];
    for (; n; n--, p += 64) {
        words_of_block(w, p);
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t a = s[0], e = s[4];
            uint32_t t1 = s[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                          ((e & s[5]) ^ (~e & s[6])) + sha256_k[i] + w[i];
            uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                          ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

static void add_blocks(struct sha256 *sha, const uint8_t *p, size_t n)
{
    if (sha256_has_instructions())
        sha256_blocks_fast(sha->state, p, n);
    else
        sha256_blocks_plain(sha->state, p, n);
}

void sha256_init(struct sha256 *sha)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(sha->state, start, sizeof start);
    sha->n_bytes = 0;
}

void sha256_add(struct sha256 *sha, const void *from, size_t n)
{
    const uint8_t *p = from;
    size_t held = sha->n_bytes % 64;
    sha->n_bytes += n;
    if (held) {
        size_t take = 64 - held < n ? 64 - held : n;
        memcpy(sha->block + held, p, take);
        p += take;
        n -= take;
        if (held + take < 64)
            return;
        add_blocks(sha, sha->block, 1);
    }
    if (n >= 64)
        add_blocks(sha, p, n / 64);
    if (n % 64)
        memcpy(sha->block, p + n / 64 * 64, n % 64);
}

void sha256_end(struct sha256 *sha, uint8_t hash[SHA256_BYTES])
{
    uint8_t tail[72] = {0x80};
    uint64_t n_bits = sha->n_bytes * 8;
    size_t held = sha->n_bytes % 64;
    size_t n_zeros = held < 56 ? 56 - held : 120 - held; /* with the 0x80 */
    for (int i = 0; i < 8; i++)
        tail[n_zeros + (size_t)i] = (uint8_t)(n_bits >> (56 - 8 * i));
    sha256_add(sha, tail, n_zeros + 8);
    for (int i = 0; i < 32; i++)
        hash[i] = (uint8_t)(sha->state[i / 4] >> (24 - i % 4 * 8));
}

void sha256_end_hex(struct sha256 *sha, char hex[SHA256_HEX])
{
    uint8_t hash[SHA256_BYTES];
    sha256_end(sha, hash);
    crypt_hex(hex, hash, sizeof hash);
}

void sha256_of(const void *p, size_t n, char hex[SHA256_HEX])
{
    struct sha256 sha;
    sha256_init(&sha);
    if (n)
        sha256_add(&sha, p, n);
    sha256_end_hex(&sha, hex);
}

bool sha256_of_fd(int fd, char hex[SHA256_HEX], uint64_t *n_bytes, struct nx_err *err)
{
    struct sha256 sha;
    char *piece = mem_alloc(READ_BYTES);
    sha256_init(&sha);
    for (;;) {
        ssize_t n = pread(fd, piece, READ_BYTES, (off_t)sha.n_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            mem_free(piece);
            return nx_fail(err, NX_E_IO, "cannot read: %s", strerror(errno));
        }
        if (n == 0)
            break;
        sha256_add(&sha, piece, (size_t)n);
    }
    mem_free(piece);
    if (n_bytes)
        *n_bytes = sha.n_bytes;
    sha256_end_hex(&sha, hex);
    return true;
}

bool sha256_of_file(const char *path, char hex[SHA256_HEX], uint64_t *n_bytes, struct nx_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return nx_fail(err, errno == ENOENT ? NX_E_NOT_FOUND : NX_E_IO, "cannot read %s: %s", path,
                       strerror(errno));
    bool ok = sha256_of_fd(fd, hex, n_bytes, err);
    close(fd);
    return ok || nx_wrap(err, "%s", path);
}
