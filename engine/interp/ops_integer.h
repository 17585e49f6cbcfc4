/* Integer operations and control transfer. Included by run.c inside interp_run. */

/* clang-format off */
    OP(addi) RD = RS1 + IMM; NEXT;
    OP(slti) RD = (int64_t)RS1 < (int64_t)op->imm; NEXT;
    OP(sltiu) RD = RS1 < IMM; NEXT;
    OP(xori) RD = RS1 ^ IMM; NEXT;
    OP(ori) RD = RS1 | IMM; NEXT;
    OP(andi) RD = RS1 & IMM; NEXT;
    OP(slli) RD = RS1 << op->imm; NEXT;
    OP(srli) RD = RS1 >> op->imm; NEXT;
    OP(srai) RD = (uint64_t)((int64_t)RS1 >> op->imm); NEXT;
    OP(addiw) RD = sext32(RS1 + IMM); NEXT;
    OP(slliw) RD = sext32(RS1 << op->imm); NEXT;
    OP(srliw) RD = sext32((uint32_t)RS1 >> op->imm); NEXT;
    OP(sraiw) RD = (uint64_t)(int64_t)((int32_t)RS1 >> op->imm); NEXT;
    OP(lui) RD = IMM; NEXT;
    OP(auipc) RD = PC + IMM; NEXT;

    OP(add) RD = RS1 + RS2; NEXT;
    OP(sub) RD = RS1 - RS2; NEXT;
    OP(sll) RD = RS1 << (RS2 & 63); NEXT;
    OP(slt) RD = (int64_t)RS1 < (int64_t)RS2; NEXT;
    OP(sltu) RD = RS1 < RS2; NEXT;
    OP(xor) RD = RS1 ^ RS2; NEXT;
    OP(srl) RD = RS1 >> (RS2 & 63); NEXT;
    OP(sra) RD = (uint64_t)((int64_t)RS1 >> (RS2 & 63)); NEXT;
    OP(or) RD = RS1 | RS2; NEXT;
    OP(and) RD = RS1 & RS2; NEXT;
    OP(addw) RD = sext32(RS1 + RS2); NEXT;
    OP(subw) RD = sext32(RS1 - RS2); NEXT;
    OP(sllw) RD = sext32((uint32_t)RS1 << (RS2 & 31)); NEXT;
    OP(srlw) RD = sext32((uint32_t)RS1 >> (RS2 & 31)); NEXT;
    OP(sraw) RD = (uint64_t)(int64_t)((int32_t)RS1 >> (RS2 & 31)); NEXT;

    /* M */
    OP(mul) RD = RS1 * RS2; NEXT;
    OP(mulh) RD = (uint64_t)((__int128)(int64_t)RS1 * (int64_t)RS2 >> 64); NEXT;
    OP(mulhsu) RD = (uint64_t)((__int128)(int64_t)RS1 * RS2 >> 64); NEXT;
    OP(mulhu) RD = (uint64_t)((unsigned __int128)RS1 * RS2 >> 64); NEXT;
    OP(mulw) RD = sext32(RS1 * RS2); NEXT;
    OP(div) RD = div_signed(RS1, RS2); NEXT;
    OP(divu) RD = RS2 == 0 ? UINT64_MAX : RS1 / RS2; NEXT;
    OP(rem) RD = rem_signed(RS1, RS2); NEXT;
    OP(remu) RD = RS2 == 0 ? RS1 : RS1 % RS2; NEXT;
    OP(divw) RD = sext32(div_signed(sext32(RS1), sext32(RS2))); NEXT;
    OP(divuw) RD = (uint32_t)RS2 == 0 ? UINT64_MAX : sext32((uint32_t)RS1 / (uint32_t)RS2); NEXT;
    OP(remw) RD = sext32(rem_signed(sext32(RS1), sext32(RS2))); NEXT;
    OP(remuw) RD = sext32((uint32_t)RS2 == 0 ? RS1 : (uint32_t)RS1 % (uint32_t)RS2); NEXT;

    /* Zba */
    OP(sh1add) RD = (RS1 << 1) + RS2; NEXT;
    OP(sh2add) RD = (RS1 << 2) + RS2; NEXT;
    OP(sh3add) RD = (RS1 << 3) + RS2; NEXT;
    OP(add_uw) RD = (uint32_t)RS1 + RS2; NEXT;
    OP(sh1add_uw) RD = ((uint64_t)(uint32_t)RS1 << 1) + RS2; NEXT;
    OP(sh2add_uw) RD = ((uint64_t)(uint32_t)RS1 << 2) + RS2; NEXT;
    OP(sh3add_uw) RD = ((uint64_t)(uint32_t)RS1 << 3) + RS2; NEXT;
    OP(slli_uw) RD = (uint64_t)(uint32_t)RS1 << op->imm; NEXT;

    /* Zbb */
    OP(andn) RD = RS1 & ~RS2; NEXT;
    OP(orn) RD = RS1 | ~RS2; NEXT;
    OP(xnor) RD = ~(RS1 ^ RS2); NEXT;
    OP(clz) RD = RS1 == 0 ? 64 : (uint64_t)__builtin_clzll(RS1); NEXT;
    OP(ctz) RD = RS1 == 0 ? 64 : (uint64_t)__builtin_ctzll(RS1); NEXT;
    OP(cpop) RD = (uint64_t)__builtin_popcountll(RS1); NEXT;
    OP(clzw) RD = (uint32_t)RS1 == 0 ? 32 : (uint64_t)__builtin_clz((uint32_t)RS1); NEXT;
    OP(ctzw) RD = (uint32_t)RS1 == 0 ? 32 : (uint64_t)__builtin_ctz((uint32_t)RS1); NEXT;
    OP(cpopw) RD = (uint64_t)__builtin_popcount((uint32_t)RS1); NEXT;
    OP(min) RD = (int64_t)RS1 < (int64_t)RS2 ? RS1 : RS2; NEXT;
    OP(max) RD = (int64_t)RS1 > (int64_t)RS2 ? RS1 : RS2; NEXT;
    OP(minu) RD = RS1 < RS2 ? RS1 : RS2; NEXT;
    OP(maxu) RD = RS1 > RS2 ? RS1 : RS2; NEXT;
    OP(sext_b) RD = (uint64_t)(int64_t)(int8_t)RS1; NEXT;
    OP(sext_h) RD = (uint64_t)(int64_t)(int16_t)RS1; NEXT;
    OP(zext_h) RD = (uint16_t)RS1; NEXT;
    OP(rol) RD = rotate_right(RS1, 0 - RS2); NEXT;
    OP(ror) RD = rotate_right(RS1, RS2); NEXT;
    OP(rori) RD = rotate_right(RS1, IMM); NEXT;
    OP(rolw) RD = rotate_right_word(RS1, 0 - RS2); NEXT;
    OP(rorw) RD = rotate_right_word(RS1, RS2); NEXT;
    OP(roriw) RD = rotate_right_word(RS1, IMM); NEXT;
    OP(orc_b) RD = or_combine(RS1); NEXT;
    OP(rev8) RD = __builtin_bswap64(RS1); NEXT;

    /* Zbc */
    OP(clmul) RD = carryless_low(RS1, RS2); NEXT;
    OP(clmulh) RD = carryless_high(RS1, RS2); NEXT;
    OP(clmulr) RD = carryless_high(RS1, RS2) << 1 | carryless_low(RS1, RS2) >> 63; NEXT;

    /* Zkn */
    OP(pack) RD = (uint32_t)RS1 | RS2 << 32; NEXT;
    OP(packh) RD = (uint8_t)RS1 | (RS2 & 0xff) << 8; NEXT;
    OP(packw) RD = (uint64_t)(int64_t)(int32_t)((uint32_t)(uint16_t)RS1 | (uint32_t)RS2 << 16); NEXT;
    OP(brev8) RD = riscv_reverse_in_bytes(RS1); NEXT;
    OP(xperm4) RD = riscv_permute(RS1, RS2, 4); NEXT;
    OP(xperm8) RD = riscv_permute(RS1, RS2, 8); NEXT;
    OP(aes64es) RD = riscv_aes_round(RS1, RS2, false, false); NEXT;
    OP(aes64esm) RD = riscv_aes_round(RS1, RS2, false, true); NEXT;
    OP(aes64ds) RD = riscv_aes_round(RS1, RS2, true, false); NEXT;
    OP(aes64dsm) RD = riscv_aes_round(RS1, RS2, true, true); NEXT;
    OP(aes64im) RD = riscv_aes_unmix(RS1); NEXT;
    OP(aes64ks1i)
    OP(aes64ks1i_8)
    OP(aes64ks1i_10) RD = riscv_aes_key(RS1, (unsigned)op->imm); NEXT;
    OP(aes64ks2) RD = (RS1 >> 32 ^ (uint32_t)RS2) | (RS1 >> 32 ^ (uint32_t)RS2 ^ RS2 >> 32) << 32; NEXT;
    OP(sha256sum0) RD = rotate_right_word(RS1, 2) ^ rotate_right_word(RS1, 13) ^ rotate_right_word(RS1, 22); NEXT;
    OP(sha256sum1) RD = rotate_right_word(RS1, 6) ^ rotate_right_word(RS1, 11) ^ rotate_right_word(RS1, 25); NEXT;
    OP(sha256sig0) RD = rotate_right_word(RS1, 7) ^ rotate_right_word(RS1, 18) ^ (uint32_t)RS1 >> 3; NEXT;
    OP(sha256sig1) RD = rotate_right_word(RS1, 17) ^ rotate_right_word(RS1, 19) ^ (uint32_t)RS1 >> 10; NEXT;
    OP(sha512sum0) RD = rotate_right(RS1, 28) ^ rotate_right(RS1, 34) ^ rotate_right(RS1, 39); NEXT;
    OP(sha512sum1) RD = rotate_right(RS1, 14) ^ rotate_right(RS1, 18) ^ rotate_right(RS1, 41); NEXT;
    OP(sha512sig0) RD = rotate_right(RS1, 1) ^ rotate_right(RS1, 8) ^ RS1 >> 7; NEXT;
    OP(sha512sig1) RD = rotate_right(RS1, 19) ^ rotate_right(RS1, 61) ^ RS1 >> 6; NEXT;

    /* Zbs */
    OP(bclr) RD = RS1 & ~(1ULL << (RS2 & 63)); NEXT;
    OP(bclri) RD = RS1 & ~(1ULL << op->imm); NEXT;
    OP(bext) RD = RS1 >> (RS2 & 63) & 1; NEXT;
    OP(bexti) RD = RS1 >> op->imm & 1; NEXT;
    OP(binv) RD = RS1 ^ 1ULL << (RS2 & 63); NEXT;
    OP(binvi) RD = RS1 ^ 1ULL << op->imm; NEXT;
    OP(bset) RD = RS1 | 1ULL << (RS2 & 63); NEXT;
    OP(bseti) RD = RS1 | 1ULL << op->imm; NEXT;

    /* Zicond; Zimop writes 0 */
    OP(czero_eqz) RD = RS2 == 0 ? 0 : RS1; NEXT;
    OP(czero_nez) RD = RS2 != 0 ? 0 : RS1; NEXT;
    OP(mop_r) RD = 0; NEXT;
    OP(mop_rr) RD = 0; NEXT;

    /* Control transfer. Targets are always even and C is always on: nothing can be misaligned. */
#define BRANCH(name, condition)                                                                    \
    OP(name)                                                                                       \
    if (condition)                                                                                 \
        GO(PC + IMM, taken);                                                                       \
    GO(pc + b->bytes, next);
    BRANCH(beq, RS1 == RS2)
    BRANCH(bne, RS1 != RS2)
    BRANCH(blt, (int64_t)RS1 < (int64_t)RS2)
    BRANCH(bge, (int64_t)RS1 >= (int64_t)RS2)
    BRANCH(bltu, RS1 < RS2)
    BRANCH(bgeu, RS1 >= RS2)
#undef BRANCH
    OP(jal) RD = PC + op->rs2; GO(PC + IMM, taken);
    OP(jalr) {
        const uint64_t to = (RS1 + IMM) & ~1ULL;
        RD = PC + op->rs2;
        done += b->count;
        pc = to;
        goto jump;
    }
/* clang-format on */
