/* Offsets in struct hart that start.S uses (checked in hart.h), and sizes. */
#ifndef TYPE1_OFFSETS_H
#define TYPE1_OFFSETS_H

#define HART_STACK       56
#define HART_PANIC_STACK 64
#define HART_SCRATCH     72
#define HART_SATP        80
#define HART_ID          88

/* How far the start is: bits of a word. */
#define STARTED_FIRST 1 /* a hart boots */
#define STARTED_READY 2 /* memory is as the program expects it */

#define BOOT_STACK_SIZE 16384

#endif
