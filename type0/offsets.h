/* Offsets in struct hart (checked in hart.h) and struct riscv_vcpu that the assembly uses; sizes.
 */
#ifndef TYPE0_OFFSETS_H
#define TYPE0_OFFSETS_H

#define HART_STACK       0
#define HART_X           8
#define HART_T0          16
#define HART_T1          24
#define HART_PANIC_STACK 32
#define HART_VID         40
#define HART_TIMER       48
#define HART_MTIMECMP    56
#define HART_ID          64
#define HART_CALLS       72

/* Behind x[0] of struct riscv_vcpu. */
#define X_PC 264

/* hart.timer */
#define TIMER_STIMECMP 0
#define TIMER_MACHINE  1
#define TIMER_SHARED   2

#define STACK_SIZE       4096
#define PANIC_STACK_SIZE 2048

#endif
