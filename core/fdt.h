/*
 * Flattened device trees, read and written (Devicetree Specification v0.4, chapter 5).
 *
 * The reader works on a blob in place and trusts nothing in it: every function first sees a blob
 * that fdt_open accepted, and stays inside it. Nodes are named by their offset in the structure
 * block.
 */
#ifndef CORE_FDT_H
#define CORE_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDT_DEPTH_MAX 16
#define FDT_NAMES     64 /* of properties, which a writer knows where to find */

struct fdt {
    const uint8_t *blob;
    uint32_t size;
    uint32_t struct_off, struct_size, strings_off, strings_size, rsvmap_off;
};

/*
 * 0, or -E_INVAL for a blob that is malformed anywhere (the whole structure is walked once), of
 * another version than 17 or nested deeper than FDT_DEPTH_MAX. `size` may exceed the blob's own
 * size.
 */
int fdt_open(struct fdt *fdt, const void *blob, size_t size);
/* Total size that a header claims, or 0 if there is no header; for blobs of unknown length. */
uint32_t fdt_total_size(const void *header);

/*
 * Node offsets; negative: -E_NOENT. fdt_root is 0 and always exists. A negative `node` is a node
 * without children and properties, so look-ups can be chained.
 */
int fdt_root(const struct fdt *fdt);
int fdt_first_child(const struct fdt *fdt, int node);
int fdt_next_sibling(const struct fdt *fdt, int node);
int fdt_child(const struct fdt *fdt, int node,
              const char *name); /* "memory" also finds "memory@80000000" */
int fdt_path(const struct fdt *fdt, const char *path);
/* Next node in document order after `node` whose "compatible" list holds `compatible`; start with
 * -1. */
int fdt_compatible_next(const struct fdt *fdt, int node, const char *compatible);
int fdt_by_phandle(const struct fdt *fdt, uint32_t phandle);
int fdt_parent(const struct fdt *fdt, int node);
const char *fdt_name(const struct fdt *fdt, int node);

/* Property value (big-endian bytes) or NULL; *len gets its length (may be NULL). */
const void *fdt_prop(const struct fdt *fdt, int node, const char *name, uint32_t *len);
/* A cell of a property's value. */
uint32_t fdt_cell(const uint8_t *bytes);
/* First cell; `fallback` if the property is absent or too short. */
uint32_t fdt_u32(const struct fdt *fdt, int node, const char *name, uint32_t fallback);
/* One or two cells. */
uint64_t fdt_u64(const struct fdt *fdt, int node, const char *name, uint64_t fallback);
/* NUL-terminated string or NULL. */
const char *fdt_str(const struct fdt *fdt, int node, const char *name);
/* `index`-th string of a string list or NULL. */
const char *fdt_str_at(const struct fdt *fdt, int node, const char *name, unsigned index);
/* `index`-th (address, size) of "reg" by the parent's #address-cells and #size-cells. 0 or
 * -E_NOENT. */
int fdt_reg(const struct fdt *fdt, int node, unsigned index, uint64_t *address, uint64_t *size);
/* The same for one who knows the parent, which it takes a walk to find. */
int fdt_reg_under(const struct fdt *fdt, int parent, int node, unsigned index, uint64_t *address,
                  uint64_t *size);
/* Iterates properties of a node: start with *cursor = 0; false at the end. */
bool fdt_next_prop(const struct fdt *fdt, int node, uint32_t *cursor, const char **name,
                   const void **value, uint32_t *len);

/* The writer: fills a caller's buffer front to back; the first error sticks and fdt_finish reports
 * it. */
struct fdt_writer {
    uint8_t *buf;
    size_t capacity;
    size_t struct_at;  /* where the structure block begins; 0 before the first node */
    size_t struct_end; /* header, memory reservations and the structure block grow up to here */
    size_t strings_at; /* strings grow down from the buffer's end */
    uint32_t names[FDT_NAMES]; /* hashed; 0: none */
    unsigned depth;
    bool node_ended; /* the current node has children: no more properties */
    int error;
};

void fdt_begin(struct fdt_writer *w, void *buf, size_t capacity);
void fdt_reserve(struct fdt_writer *w, uint64_t address,
                 uint64_t size);                       /* only before the first node */
void fdt_node(struct fdt_writer *w, const char *name); /* root: "" */
void fdt_node_at(struct fdt_writer *w, const char *name, uint64_t unit_address); /* name@hex */
void fdt_end(struct fdt_writer *w);
void fdt_put(struct fdt_writer *w, const char *name, const void *bytes, size_t len);
void fdt_put_empty(struct fdt_writer *w, const char *name);
void fdt_put_u32(struct fdt_writer *w, const char *name, uint32_t value);
void fdt_put_u64(struct fdt_writer *w, const char *name, uint64_t value);
void fdt_put_cells(struct fdt_writer *w, const char *name, const uint32_t *cells, size_t count);
void fdt_put_reg64(struct fdt_writer *w, uint64_t address,
                   uint64_t size); /* "reg", two cells each */
void fdt_put_str(struct fdt_writer *w, const char *name, const char *value);
/* "a\0b\0" list from an array. */
void fdt_put_strs(struct fdt_writer *w, const char *name, const char *const *values, size_t count);
/* The line of an interrupt controller that a device drives. */
struct fdt_line {
    uint32_t parent; /* the controller's phandle */
    uint32_t line;
    uint32_t type; /* the second cell, for a controller that wants two; else 0 */
};
void fdt_put_line(struct fdt_writer *w, const struct fdt_line *line);
/* Total size of the finished blob at `buf`, or a negative error (-E_NOSPC, -E_INVAL unbalanced). */
long fdt_finish(struct fdt_writer *w);

#endif
