/* Vector instructions: all of them by riscv_vector. Included by run.c. */

op_vector:
    switch (riscv_vector(hart, op_vector_number(op), (uint32_t)op->imm, &it->vmemory)) {
    case VECTOR_DONE: NEXT;
    case VECTOR_ILLEGAL: goto illegal;
    case VECTOR_TRAP: goto memory_trap;
    }
    goto illegal;
