#include "type2/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table, const char *const *heads)
{
    memset(table, 0, sizeof(*table));
    while (heads[table->columns] != NULL && table->columns < TABLE_COLUMNS_MAX) {
        table->right[table->columns] = heads[table->columns][0] == '>';
        table->columns++;
    }
    for (unsigned i = 0; i < table->columns; i++)
        table_add(table, "%s", heads[i] + (table->right[i] ? 1 : 0));
}

void table_add(struct table *table, const char *format, ...)
{
    va_list args;

    /* Room grows row by row. */
    if (table->count % table->columns == 0 && !table->failed) {
        void *more =
            realloc(table->cells, (table->count + table->columns) * sizeof(table->cells[0]));
        if (more == NULL)
            table->failed = true;
        else
            table->cells = more;
    }
    if (table->failed)
        return;
    va_start(args, format);
    vsnprintf(table->cells[table->count++], TABLE_CELL_MAX, format, args);
    va_end(args);
}

void table_print(const struct table *table, FILE *to)
{
    int widths[TABLE_COLUMNS_MAX] = {0};

    if (table->failed)
        fprintf(to, "(out of memory)\n");
    for (size_t i = 0; i < table->count; i++) {
        int length = (int)strlen(table->cells[i]);
        if (length > widths[i % table->columns])
            widths[i % table->columns] = length;
    }
    for (size_t i = 0; i < table->count; i++) {
        unsigned column = (unsigned)(i % table->columns);
        bool last = column + 1 == table->columns;
        if (table->right[column])
            fprintf(to, "%*s", widths[column], table->cells[i]);
        else
            fprintf(to, "%-*s", last ? 0 : widths[column], table->cells[i]);
        fputs(last ? "\n" : "  ", to);
    }
}

void table_fini(struct table *table)
{
    free(table->cells);
}

const char *table_bytes(char text[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;

    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 32, value == (double)(uint64_t)value ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return text;
}

const char *table_count(char text[32], uint64_t count)
{
    if (count < 10000)
        snprintf(text, 32, "%llu", (unsigned long long)count);
    else if (count < 1000000)
        snprintf(text, 32, "%.1f k", (double)count / 1e3);
    else if (count < 1000000000)
        snprintf(text, 32, "%.1f M", (double)count / 1e6);
    else
        snprintf(text, 32, "%.2f G", (double)count / 1e9);
    return text;
}
