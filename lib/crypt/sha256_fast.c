/* SHA-256 with the SHA extensions of x86-64, about seven times as fast as plain C. Source: Intel
 * SHA Extensions, S. Gulley et al., 2013 (the order of the instructions). */
#include "lib/crypt/sha256.h"

#include "lib/base/must.h"

#if defined(__x86_64__)

#include <immintrin.h>

bool sha256_has_instructions(void)
{
#if defined(__clang__)
    return false; /* clang 14 cannot ask; its builds are for fuzzing */
#else
    return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
#endif
}

/* Four rounds with the words w[0..3], whose constants start at k. */
#define FOUR_ROUNDS(w, i) \
    do { \
        __m128i wk = _mm_add_epi32(w, _mm_loadu_si128((const __m128i *)(const void *)&k[i])); \
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk); \
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e)); \
    } while (0)

/* The next four words of the schedule from the sixteen before them, oldest first; into w0. */
#define NEXT_WORDS(w0, w1, w2, w3) \
    w0 = _mm_sha256msg2_epu32( \
        _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4)), w3)

__attribute__((target("sha,sse4.1,ssse3"))) void sha256_blocks_fast(uint32_t state[8],
                                                                    const uint8_t *p, size_t n)
{
    const uint32_t *k = sha256_k;
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
    __m128i *half = (__m128i *)(void *)state;
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(half), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(half + 1), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (; n; n--, p += 64) {
        const __m128i *block = (const __m128i *)(const void *)p;
        __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(block), swap);
        __m128i w1 = _mm_shuffle_epi8(_mm_loadu_si128(block + 1), swap);
        __m128i w2 = _mm_shuffle_epi8(_mm_loadu_si128(block + 2), swap);
        __m128i w3 = _mm_shuffle_epi8(_mm_loadu_si128(block + 3), swap);
        for (int i = 0;; i += 16) {
            FOUR_ROUNDS(w0, i);
            FOUR_ROUNDS(w1, i + 4);
            FOUR_ROUNDS(w2, i + 8);
            FOUR_ROUNDS(w3, i + 12);
            if (i == 48)
                break;
            NEXT_WORDS(w0, w1, w2, w3);
            NEXT_WORDS(w1, w2, w3, w0);
            NEXT_WORDS(w2, w3, w0, w1);
            NEXT_WORDS(w3, w0, w1, w2);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128(half, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128(half + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#else

bool sha256_has_instructions(void)
{
    return false;
}

void sha256_blocks_fast(uint32_t state[8], const uint8_t *p, size_t n)
{
    (void)state;
    (void)p;
    (void)n;
    must(!"sha256_has_instructions");
}

#endif
