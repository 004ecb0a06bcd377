/* What every fuzzer includes: libFuzzer calls it with bytes; it must neither crash nor break what
 * it checks with must(). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
