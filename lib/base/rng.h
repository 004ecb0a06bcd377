/* Seeded pseudo-random numbers: xoshiro256** (Blackman, Vigna 2018) seeded by splitmix64. The same
 * seed gives the same numbers on every machine. Not for secrets. */
#ifndef LIB_BASE_RNG_H
#define LIB_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, n); n > 0. Unbiased. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* Uniform in [0, 1), 53 bits. */
double rng_unit(struct rng *rng);
/* True with probability numerator / denominator. */
int rng_chance(struct rng *rng, uint64_t numerator, uint64_t denominator);

#endif
