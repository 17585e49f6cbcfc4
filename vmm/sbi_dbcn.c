/*
 * Debug console (SBI 2.0, chapter 12): what the UART's line carries, past its registers.
 */
#include "vmm/sbi_impl.h"

#define DBCN_CHUNK 65536 /* bytes of one call; the caller comes again for the rest */

struct sbi_result sbi_dbcn(struct vm *vm, struct riscv_vcpu *hart)
{
    enum { WRITE = 0, READ = 1, WRITE_BYTE = 2 };
    uint64_t function = hart->x[16], len = hart->x[10], gpa = hart->x[11];
    uint8_t byte = (uint8_t)hart->x[10];
    void *hva;
    size_t count;

    switch (function) {
    case WRITE:
    case READ:
        hva = hart->x[12] == 0 ? mem_map(&vm->mem, gpa, len, function == READ) : NULL;
        if (hva == NULL)
            return sbi_error(SBI_ERR_INVALID_PARAM);
        if (len > DBCN_CHUNK)
            len = DBCN_CHUNK;
        if (function == WRITE)
            return sbi_value(sbi_console_write(vm, hva, len));
        count = sbi_console_read(vm, hva, len);
        mem_done(&vm->mem, gpa, count);
        return sbi_value(count);
    case WRITE_BYTE:
        return sbi_error(sbi_console_write(vm, &byte, 1) == 1 ? SBI_SUCCESS : SBI_ERR_FAILED);
    default: return sbi_error(SBI_ERR_NOT_SUPPORTED);
    }
}
