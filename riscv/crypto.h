/*
 * What instructions of Zkn compute (Unprivileged ISA 20240411, chapter 33). AES goes by tables: its
 * time is not independent of the data, as Zkt would have it.
 */
#ifndef RISCV_CRYPTO_H
#define RISCV_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Half a round, without its key, of the state that has bytes 0 to 7 in `low`: columns 0 and 1 of
 * the result. `middle`: columns are mixed (AES64ESM, AES64DSM), as in all rounds but the last.
 */
uint64_t riscv_aes_round(uint64_t low, uint64_t high, bool decrypt, bool middle);
/* InvMixColumns of two columns (AES64IM). */
uint64_t riscv_aes_unmix(uint64_t v);
/* AES64KS1I; `round` is 0 to 10. */
uint64_t riscv_aes_key(uint64_t v, unsigned round);
/* Elements of 4 or 8 bits of `table`, chosen by those of `indices`; 0 beyond its end (XPERM). */
uint64_t riscv_permute(uint64_t table, uint64_t indices, unsigned bits);
/* BREV8. */
uint64_t riscv_reverse_in_bytes(uint64_t v);

#endif
