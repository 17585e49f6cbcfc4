#include "engine/jit/symbols.h"

#include <elf.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX     (1ULL << 30)
#define FUNCTION_MAX (1ULL << 20) /* further from a symbol than this is not its function */

struct symbol {
    uint64_t address;
    const char *name; /* in `bytes` */
};

struct jit_symbols {
    char *bytes; /* the file, and a NUL */
    uint64_t size;
    struct symbol *list; /* ascending */
    size_t count, capacity;
};

static void add(struct jit_symbols *s, uint64_t address, const char *name)
{
    if (name[0] == 0 || name[0] == '$' || name[0] == '.')
        return; /* mapping symbols and labels of the compiler */
    if (s->count == s->capacity) {
        size_t capacity = s->capacity != 0 ? s->capacity * 2 : 1024;
        struct symbol *list = realloc(s->list, capacity * sizeof *list);
        if (list == NULL)
            return;
        s->list = list;
        s->capacity = capacity;
    }
    s->list[s->count++] = (struct symbol){address, name};
}

/* "ffffffff80001000 T name" a line. */
static void read_map(struct jit_symbols *s)
{
    for (char *line = s->bytes, *next; line < s->bytes + s->size; line = next) {
        char *end;
        next = strchr(line, '\n');
        next = next != NULL ? next + 1 : s->bytes + s->size;
        if (next > line && next[-1] == '\n')
            next[-1] = 0;
        uint64_t address = strtoull(line, &end, 16);
        if (end != line && end[0] == ' ' && (end[1] == 'T' || end[1] == 't' || end[1] == 'W') &&
            end[2] == ' ')
            add(s, address, end + 3);
    }
}

static bool within(const struct jit_symbols *s, uint64_t at, uint64_t size)
{
    return at <= s->size && size <= s->size - at;
}

static void read_elf(struct jit_symbols *s)
{
    Elf64_Ehdr head;
    memcpy(&head, s->bytes, sizeof head);
    for (unsigned i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr table, strings;
        uint64_t at = head.e_shoff + (uint64_t)i * sizeof table;
        if (head.e_shoff > s->size || !within(s, at, sizeof table))
            return;
        memcpy(&table, s->bytes + at, sizeof table);
        at = head.e_shoff + (uint64_t)table.sh_link * sizeof strings;
        if (table.sh_type != SHT_SYMTAB || !within(s, at, sizeof strings))
            continue;
        memcpy(&strings, s->bytes + at, sizeof strings);
        if (!within(s, table.sh_offset, table.sh_size) ||
            !within(s, strings.sh_offset, strings.sh_size))
            continue;
        for (uint64_t n = 0; n < table.sh_size / sizeof(Elf64_Sym); n++) {
            Elf64_Sym symbol;
            memcpy(&symbol, s->bytes + table.sh_offset + n * sizeof symbol, sizeof symbol);
            unsigned type = ELF64_ST_TYPE(symbol.st_info);
            if ((type == STT_FUNC || type == STT_NOTYPE) && symbol.st_shndx != SHN_UNDEF &&
                symbol.st_name < strings.sh_size)
                add(s, symbol.st_value, s->bytes + strings.sh_offset + symbol.st_name);
        }
    }
}

static int by_address(const void *a, const void *b)
{
    uint64_t x = ((const struct symbol *)a)->address, y = ((const struct symbol *)b)->address;
    return (x > y) - (x < y);
}

static bool read_all(struct jit_symbols *s, const char *path)
{
    FILE *file = fopen(path, "rbe");
    long size = -1;
    if (file == NULL)
        return false;
    if (fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    bool well = size > 0 && (uint64_t)size <= FILE_MAX && fseek(file, 0, SEEK_SET) == 0 &&
                (s->bytes = malloc((size_t)size + 1)) != NULL &&
                fread(s->bytes, 1, (size_t)size, file) == (size_t)size;
    fclose(file);
    if (well) {
        s->size = (uint64_t)size;
        s->bytes[size] = 0;
    }
    return well;
}

struct jit_symbols *jit_symbols_open(const char *path)
{
    struct jit_symbols *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    if (read_all(s, path)) {
        if (s->size >= sizeof(Elf64_Ehdr) && memcmp(s->bytes, ELFMAG, SELFMAG) == 0) {
            if (s->bytes[EI_CLASS] == ELFCLASS64 && s->bytes[EI_DATA] == ELFDATA2LSB)
                read_elf(s);
        } else {
            read_map(s);
        }
    }
    if (s->count == 0) {
        jit_symbols_close(s);
        return NULL;
    }
    qsort(s->list, s->count, sizeof *s->list, by_address);
    return s;
}

void jit_symbols_close(struct jit_symbols *symbols)
{
    if (symbols == NULL)
        return;
    free(symbols->list);
    free(symbols->bytes);
    free(symbols);
}

const char *jit_symbols_find(const struct jit_symbols *symbols, uint64_t pc, uint64_t *offset)
{
    if (symbols == NULL || pc < symbols->list[0].address)
        return NULL;
    size_t low = 0, high = symbols->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (symbols->list[middle].address <= pc)
            low = middle;
        else
            high = middle;
    }
    *offset = pc - symbols->list[low].address;
    return *offset < FUNCTION_MAX ? symbols->list[low].name : NULL;
}
