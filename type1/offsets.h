/* Offsets in struct hart that start.S uses (checked in hart.h), and sizes. */
#ifndef TYPE1_OFFSETS_H
#define TYPE1_OFFSETS_H

#define HART_STACK       48
#define HART_PANIC_STACK 56
#define HART_SCRATCH     64
#define HART_SATP        72

#define BOOT_STACK_SIZE 16384

#endif
