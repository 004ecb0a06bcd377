/* What the SHA-256 sources share: the compression functions. Each mixes n blocks of 64 bytes into
 * the state. */
#ifndef LIB_CRYPT_SHA256_H
#define LIB_CRYPT_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const uint32_t sha256_k[64]; /* FIPS 180-4, 4.2.2 */

void sha256_blocks_plain(uint32_t state[8], const uint8_t *p, size_t n);
/* With the SHA instructions of x86-64; only where sha256_has_instructions. */
bool sha256_has_instructions(void);
void sha256_blocks_fast(uint32_t state[8], const uint8_t *p, size_t n);

#endif
