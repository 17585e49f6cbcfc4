/*
 * What every bare S-mode guest of ours needs: its device tree, the SBI below it, and printing.
 * A guest defines guest_start, which head.S calls on the first hart with interrupts off, no
 * translation and .bss cleared.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `entered`: rdtime as the first instruction. */
_Noreturn void guest_start(uint64_t hart_id, const void *tree, uint64_t entered);
extern char image_start[], image_end[];

/* --- device tree (Devicetree Specification 0.4, chapter 5) --- */
#define TREE_DEPTH      8
#define TREE_PROPERTIES 40

struct tree_property {
    const char *name;
    const uint8_t *value;
    uint32_t length;
};
struct tree_node {
    const char *name, *parent;          /* parent: "" for children of the root */
    uint32_t address_cells, size_cells; /* of this node's reg */
    unsigned count;
    struct tree_property properties[TREE_PROPERTIES];
};
/* Shows every node to `visit`, children before parents. False: no device tree. */
bool tree_walk(const void *tree, void (*visit)(void *context, const struct tree_node *node),
               void *context);
/* NULL: there is none. */
const struct tree_property *tree_find(const struct tree_node *node, const char *name);
/* A property of one or two cells; `otherwise` if there is none. */
uint64_t tree_number(const struct tree_node *node, const char *name, uint64_t otherwise);
/* The index-th range of reg. */
bool tree_range(const struct tree_node *node, unsigned index, uint64_t *base, uint64_t *size);
/* One of the strings of `compatible` begins so. */
bool tree_compatible(const struct tree_node *node, const char *with);

/* --- text --- */
bool text_begins(const char *text, const char *with);
bool text_same(const char *a, const char *b);
/* The value of NAME=VALUE in a command line: where it starts, or NULL. */
const char *option_find(const char *line, const char *name);
uint64_t option_number(const char *line, const char *name, uint64_t otherwise);

/* --- SBI 3.0 --- */
enum {
    SBI_LEGACY_PUTCHAR = 1,
    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_HSM = 0x48534d,
    SBI_SRST = 0x53525354,
    SBI_DBCN = 0x4442434e,
};
struct sbi_result {
    long error;
    long value;
};
struct sbi_result sbi(uint64_t extension, uint64_t function, const uint64_t arguments[6]);
struct sbi_result sbi3(uint64_t extension, uint64_t function, uint64_t a, uint64_t b, uint64_t c);
_Noreturn void power_off(bool failed);

void print(const char *text);
void print_number(uint64_t value);
void print_hex(uint64_t value);

static inline uint64_t time_now(void)
{
    uint64_t now;

    __asm__ volatile("rdtime %0" : "=r"(now));
    return now;
}

#define csr_read(csr)                                                                              \
    ({                                                                                             \
        uint64_t value_;                                                                           \
        __asm__ volatile("csrr %0, " #csr : "=r"(value_) : : "memory");                            \
        value_;                                                                                    \
    })
#define csr_write(csr, value)                                                                      \
    __asm__ volatile("csrw " #csr ", %0" : : "r"((uint64_t)(value)) : "memory")
#define csr_set(csr, bits)                                                                         \
    __asm__ volatile("csrs " #csr ", %0" : : "r"((uint64_t)(bits)) : "memory")
#define csr_clear(csr, bits)                                                                       \
    __asm__ volatile("csrc " #csr ", %0" : : "r"((uint64_t)(bits)) : "memory")

enum { SIP_SSIP = 1 << 1, SIP_STIP = 1 << 5, SIP_SEIP = 1 << 9 };
#define SSTATUS_SIE  (1UL << 1)
#define SSTATUS_SPIE (1UL << 5)
#define SSTATUS_SPP  (1UL << 8)
#define SSTATUS_VS   (3UL << 9)
#define SSTATUS_FS   (3UL << 13)
#define SSTATUS_SUM  (1UL << 18)
#define SSTATUS_MXR  (1UL << 19)

#endif
