/* Offsets in struct hart that start.S uses (checked in hart.h), and sizes. */
#ifndef TYPE1_OFFSETS_H
#define TYPE1_OFFSETS_H

#define HART_STACK       32
#define HART_PANIC_STACK 40
#define HART_SCRATCH     48
#define HART_SATP        56

#define BOOT_STACK_SIZE 16384

#endif
