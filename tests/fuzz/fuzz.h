/*
 * What a fuzz target has: libFuzzer's entry point, and seeds of its own.
 *
 * A target is built with clang's -fsanitize=fuzzer, or with driver.c, which needs neither clang nor
 * a corpus.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; a defect shows as an abort or a sanitizer's report. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/*
 * Writes seed `index` (from 0) into `buf` and returns its size, or 0 when there are no more. A
 * target may leave it out: mutation then begins with nothing.
 */
size_t fuzz_seed(unsigned index, uint8_t *buf, size_t capacity);

#endif
