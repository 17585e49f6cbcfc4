/*
 * A dump is gathered in a temporary file while the machine runs, and told at its end, when the
 * system's objdump has disassembled all host code at once.
 */
#define _GNU_SOURCE
#include "engine/jit/observe.h"

#include "engine/jit/symbols.h"
#include "riscv/insn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUEST_WIDTH 58

struct jit_observer {
    struct jit_options options;
    const struct jit_backend *backend;
    struct jit_symbols *symbols;
    FILE *map;     /* perf's */
    FILE *records; /* of the dump: struct record, operations, where they are, guest bytes */
    FILE *host;    /* their host code, one after the other */
    char host_path[64];
    uint64_t host_at;
    uint32_t count;
};

struct record {
    uint64_t pa, pc;
    uint64_t host_at; /* in the file of host code */
    uint32_t code, code_size;
    uint16_t bytes, instructions, ir_count;
    bool rare; /* it is what the block before it rarely executes */
};

static struct jit_options the_options;

void jit_set_options(const struct jit_options *options)
{
    the_options = *options;
}

const struct jit_options *jit_options(void)
{
    return &the_options;
}

static int open_dump(struct jit_observer *o)
{
    strcpy(o->host_path, "/tmp/trivisor-code-XXXXXX");
    int fd = mkstemp(o->host_path);
    o->host = fd >= 0 ? fdopen(fd, "wb") : NULL;
    o->records = tmpfile();
    return o->host != NULL && o->records != NULL ? 0 : -errno;
}

int jit_observer_open(struct jit_observer **observer, const struct jit_options *options,
                      const struct jit_backend *backend)
{
    char path[32];
    *observer = NULL;
    if (options->dump == NULL && !options->perf_map)
        return 0;
    struct jit_observer *o = calloc(1, sizeof *o);
    if (o == NULL)
        return -ENOMEM;
    int error = 0;
    o->options = *options;
    o->backend = backend;
    if (options->symbols != NULL)
        o->symbols = jit_symbols_open(options->symbols);
    if (options->perf_map) {
        snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
        o->map = fopen(path, "we");
        error = o->map != NULL ? 0 : -errno;
    }
    if (error == 0 && options->dump != NULL)
        error = open_dump(o);
    if (error != 0) {
        o->options.dump = NULL;
        jit_observer_close(o);
        return error;
    }
    *observer = o;
    return 0;
}

static void name_of(const struct jit_observer *o, uint64_t pc, char *text, size_t capacity)
{
    uint64_t offset;
    const char *name = jit_symbols_find(o->symbols, pc, &offset);
    if (name != NULL)
        snprintf(text, capacity, "%.80s+%#" PRIx64, name, offset);
    else
        snprintf(text, capacity, "guest_%" PRIx64, pc);
}

void jit_observe(struct jit_observer *o, const struct jit_block *block, const struct ir_block *ir,
                 const struct jit_emitted *emitted, const uint8_t *guest, const uint8_t *host,
                 const uint8_t *run)
{
    char name[128];

    if (o->map != NULL) {
        name_of(o, ir->pc, name, sizeof name);
        fprintf(o->map, "%" PRIxPTR " %x %s\n", (uintptr_t)run, block->code_size, name);
        if (block->rare_size > 0)
            fprintf(o->map, "%" PRIxPTR " %x %s, rare\n",
                    (uintptr_t)run + (block->rare - block->code), block->rare_size, name);
    }
    if (o->records == NULL || o->count >= o->options.dump_count || ir->pc < o->options.dump_first ||
        ir->pc > o->options.dump_last)
        return;
    struct record r = {.pa = block->pa,
                       .pc = ir->pc,
                       .host_at = o->host_at,
                       .code = block->code,
                       .code_size = block->code_size,
                       .bytes = ir->bytes,
                       .instructions = block->instructions,
                       .ir_count = ir->count};
    fwrite(&r, sizeof r, 1, o->records);
    fwrite(ir->code, sizeof ir->code[0], ir->count, o->records);
    fwrite(emitted->op_at, sizeof emitted->op_at[0], ir->count, o->records);
    fwrite(guest, 1, ir->bytes, o->records);
    fwrite(host, 1, block->code_size, o->host);
    o->host_at += block->code_size;
    o->count++;
    if (block->rare_size == 0)
        return;
    r = (struct record){
        .rare = true, .host_at = o->host_at, .code = block->rare, .code_size = block->rare_size};
    fwrite(&r, sizeof r, 1, o->records);
    fwrite(host + (block->rare - block->code), 1, block->rare_size, o->host);
    o->host_at += block->rare_size;
}

/* ---- telling ---- */

/* objdump's lines, of all host code in its order. */
struct listing {
    FILE *from; /* NULL: there is no objdump */
    const struct record *block;
    uint64_t at; /* of the line that is next, in the file of host code */
    char text[160];
};

/* "  1a40:	lea    rbx,[rbx-0x20]" is the next line; others are skipped. */
static void listing_next(struct listing *l)
{
    char line[256], *end;
    while (l->from != NULL && fgets(line, sizeof line, l->from) != NULL) {
        l->at = strtoull(line, &end, 16);
        if (end == line || end[0] != ':' || end[1] != '\t')
            continue;
        end[strcspn(end, "\n#")] = 0;
        snprintf(l->text, sizeof l->text, "%.150s", end + 2);
        return;
    }
    l->at = UINT64_MAX;
}

/* The next line of this block before `end` (of its code); false: none. Targets of jumps, which are
 * bare addresses, become those of the cache. */
static bool listing_take(struct listing *l, uint32_t end, char *text, size_t capacity)
{
    const struct record *r = l->block;
    while (l->at < r->host_at)
        listing_next(l);
    if (l->at >= r->host_at + end)
        return false;
    uint64_t offset = r->code + (l->at - r->host_at);
    char *operand = strchr(l->text, ' ');
    operand = operand != NULL ? operand + strspn(operand, " ") : NULL;
    if (operand != NULL && strncmp(operand, "0x", 2) == 0) {
        uint64_t target = strtoull(operand, NULL, 16);
        snprintf(text, capacity, "%6" PRIx64 "  %.*s%" PRIx64, offset, (int)(operand - l->text),
                 l->text, (target - r->host_at + r->code) & UINT32_MAX);
    } else {
        snprintf(text, capacity, "%6" PRIx64 "  %s", offset, l->text);
    }
    listing_next(l);
    return true;
}

/* Host code without a disassembler. */
static bool bytes_take(const struct record *r, const uint8_t *host, uint32_t *at, uint32_t end,
                       char *text, size_t capacity)
{
    size_t n = (size_t)snprintf(text, capacity, "%6x ", r->code + *at);
    if (*at >= end)
        return false;
    for (unsigned i = 0; i < 12 && *at < end && n + 4 < capacity; i++)
        n += (size_t)snprintf(text + n, capacity - n, " %02x", host[(*at)++]);
    return true;
}

struct telling {
    FILE *to;
    struct listing listing;
    const struct record *r;
    uint8_t *host;
    uint32_t host_done;
};

/* `left`, and the first line of host code up to `end` beside it. */
static void tell_line(struct telling *t, const char *left, uint32_t end)
{
    char right[256] = "";
    if (t->listing.from != NULL)
        listing_take(&t->listing, end, right, sizeof right);
    else
        bytes_take(t->r, t->host, &t->host_done, end, right, sizeof right);
    if (right[0] != 0)
        fprintf(t->to, "%-*s %s\n", GUEST_WIDTH, left, right);
    else if (left[0] != 0)
        fprintf(t->to, "%s\n", left);
}

static bool more(const struct telling *t, uint32_t end)
{
    if (t->listing.from == NULL)
        return t->host_done < end;
    return t->listing.at < t->r->host_at + end;
}

static void tell_block(struct telling *t, const struct jit_observer *o, unsigned number,
                       const struct ir *ir, const uint32_t *op_at, const uint8_t *guest)
{
    const struct record *r = t->r;
    char name[128], text[128], left[200];
    unsigned told = 0; /* bytes of guest code */

    if (r->rare) {
        fprintf(t->to, "%18srare paths, at %x, %u bytes\n", "", r->code, r->code_size);
        while (more(t, r->code_size))
            tell_line(t, "", r->code_size);
        return;
    }
    name_of(o, r->pc, name, sizeof name);
    fprintf(t->to,
            "\nblock %u: %s, pc %" PRIx64 ", physical %" PRIx64 "; %u instructions in %u bytes, "
            "host code at %x, %u bytes\n",
            number, name, r->pc, r->pa, r->instructions, r->bytes, r->code, r->code_size);
    for (unsigned i = 0; i <= r->ir_count; i++) {
        uint32_t end = i + 1 < r->ir_count ? op_at[i + 1] : r->code_size;
        while (told < r->bytes && (i == r->ir_count || told <= ir[i].at)) {
            uint32_t raw = 0;
            memcpy(&raw, guest + told, r->bytes - told < 4u ? r->bytes - told : 4u);
            unsigned length = insn_length((uint16_t)raw);
            insn_disassemble(length == 2 ? raw & 0xffff : raw, r->pc + told, text, sizeof text);
            snprintf(left, sizeof left, "%12" PRIx64 "  %s", r->pc + told, text);
            fprintf(t->to, "%s\n", left);
            told += length;
        }
        if (i == r->ir_count)
            break;
        ir_describe(&ir[i], text, sizeof text);
        snprintf(left, sizeof left, "%18s%s", "", text);
        tell_line(t, left, end);
        while (more(t, end))
            tell_line(t, "", end);
    }
}

static void tell_all(struct jit_observer *o, FILE *to, FILE *objdump)
{
    struct telling t = {.to = to, .listing = {.from = objdump}};
    struct record r;
    uint8_t guest[IR_REGION_MAX * 4 + 4]; /* the longest */
    static struct ir ir[IR_BLOCK_MAX];
    static uint32_t op_at[IR_BLOCK_MAX];
    FILE *host = fopen(o->host_path, "rbe");

    listing_next(&t.listing);
    rewind(o->records);
    for (unsigned number = 0; fread(&r, sizeof r, 1, o->records) == 1; number += !r.rare) {
        if (fread(ir, sizeof ir[0], r.ir_count, o->records) != r.ir_count ||
            fread(op_at, sizeof op_at[0], r.ir_count, o->records) != r.ir_count ||
            fread(guest, 1, r.bytes, o->records) != r.bytes)
            break;
        t.r = t.listing.block = &r;
        t.host_done = 0;
        t.host = malloc(r.code_size);
        if (t.host == NULL || host == NULL || fseek(host, (long)r.host_at, SEEK_SET) != 0 ||
            fread(t.host, 1, r.code_size, host) != r.code_size)
            r.code_size = 0;
        tell_block(&t, o, number, ir, op_at, guest);
        free(t.host);
    }
    if (host != NULL)
        fclose(host);
}

static void tell(struct jit_observer *o)
{
    char command[256];
    FILE *to = fopen(o->options.dump, "we");
    if (to == NULL)
        return;
    fflush(o->host);
    snprintf(command, sizeof command,
             "objdump -D -b binary -m %s --no-show-raw-insn -z %s 2>/dev/null",
             o->backend->disassembler, o->host_path);
    FILE *objdump = system("objdump --version >/dev/null 2>&1") == 0 ? popen(command, "re") : NULL;
    fprintf(to,
            "# %u blocks in the order in which they were translated: guest code, the "
            "intermediate form, code for %s%s.\n",
            o->count, o->backend->name,
            objdump != NULL ? "" : " (in bytes: no objdump is installed)");
    tell_all(o, to, objdump);
    if (objdump != NULL)
        pclose(objdump);
    fclose(to);
}

void jit_observer_close(struct jit_observer *o)
{
    if (o == NULL)
        return;
    if (o->options.dump != NULL)
        tell(o);
    if (o->host != NULL)
        fclose(o->host);
    if (o->host_path[0] != 0)
        unlink(o->host_path);
    if (o->records != NULL)
        fclose(o->records);
    if (o->map != NULL)
        fclose(o->map);
    jit_symbols_close(o->symbols);
    free(o);
}
