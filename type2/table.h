/* Plain text tables: columns as wide as their widest cell. */
#ifndef TYPE2_TABLE_H
#define TYPE2_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_MAX    160

struct table {
    unsigned columns;
    bool right[TABLE_COLUMNS_MAX]; /* numbers */
    char (*cells)[TABLE_CELL_MAX]; /* row after row */
    size_t count;
    bool failed; /* out of memory; printing then says so */
};

/* `heads`: names of the columns; one that begins with '>' is aligned to the right. NULL past the
 * last. */
void table_init(struct table *table, const char *const *heads);
/* The next cell of the row; rows follow each other. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, FILE *to);
void table_fini(struct table *table);

/* "512 MiB", "1.5 GiB" into `text`, which it returns. */
const char *table_bytes(char text[32], uint64_t bytes);
/* "61.3 M", "2.4 G": counts. */
const char *table_count(char text[32], uint64_t count);

#endif
