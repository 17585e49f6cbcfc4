#include "core/fdt.h"

#include "core/error.h"
#include "core/host.h"
#include "core/hot.h"

/* Devicetree Specification v0.4, 5.2 to 5.4. */
#define FDT_MAGIC           0xd00dfeedu
#define FDT_VERSION         17
#define FDT_LAST_COMPATIBLE 16
#define HEADER_SIZE         40
#define RESERVE_SIZE        16
#define SIZE_LIMIT          0x7fffffffu /* offsets are handed out as int */

enum header_field {
    HEADER_MAGIC = 0,
    HEADER_TOTAL_SIZE = 4,
    HEADER_STRUCT_OFF = 8,
    HEADER_STRINGS_OFF = 12,
    HEADER_RSVMAP_OFF = 16,
    HEADER_VERSION = 20,
    HEADER_LAST_COMPATIBLE = 24,
    HEADER_BOOT_CPU = 28,
    HEADER_STRINGS_SIZE = 32,
    HEADER_STRUCT_SIZE = 36,
};

enum token_kind {
    FDT_BEGIN_NODE = 1,
    FDT_END_NODE = 2,
    FDT_PROP = 3,
    FDT_NOP = 4,
    FDT_END = 9,
};

uint32_t fdt_cell(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t get_be64(const uint8_t *p)
{
    return (uint64_t)fdt_cell(p) << 32 | fdt_cell(p + 4);
}

static void put_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static void put_be64(uint8_t *p, uint64_t value)
{
    put_be32(p, (uint32_t)(value >> 32));
    put_be32(p + 4, (uint32_t)value);
}

/* Length of a string that must end before `limit` bytes, or `limit` if it does not. */
static size_t bounded_length(const uint8_t *s, size_t limit)
{
    size_t len = 0;
    while (len < limit && s[len] != 0)
        len++;
    return len;
}

/* ---- Reader ---- */

struct token {
    uint32_t kind;
    const char *name;     /* of a node or property */
    const uint8_t *value; /* of a property */
    uint32_t len;
};

/* Decodes the token at `at`. Returns the offset behind it, or 0 if it does not fit or is unknown.
 */
HOT static uint32_t token_read(const struct fdt *fdt, uint32_t at, struct token *token)
{
    const uint8_t *block = fdt->blob + fdt->struct_off;
    const char *strings = (const char *)fdt->blob + fdt->strings_off;
    uint64_t end = (uint64_t)at + 4;
    if (end > fdt->struct_size)
        return 0;
    token->kind = fdt_cell(block + at);

    switch (token->kind) {
    case FDT_BEGIN_NODE: {
        size_t len = bounded_length(block + end, fdt->struct_size - end);
        if (len == fdt->struct_size - end)
            return 0;
        token->name = (const char *)block + end;
        end += len + 1;
        break;
    }
    case FDT_PROP: {
        if (fdt->struct_size - end < 8)
            return 0;
        token->len = fdt_cell(block + end);
        uint32_t name = fdt_cell(block + end + 4);
        end += 8;
        if (token->len > fdt->struct_size - end || name >= fdt->strings_size)
            return 0;
        token->value = block + end;
        token->name = strings + name;
        end += token->len;
        break;
    }
    case FDT_END_NODE:
    case FDT_NOP:
    case FDT_END: break;
    default: return 0;
    }

    end = (end + 3) & ~3ULL;
    return end <= fdt->struct_size ? (uint32_t)end : 0;
}

uint32_t fdt_total_size(const void *header)
{
    const uint8_t *bytes = header;
    return fdt_cell(bytes + HEADER_MAGIC) == FDT_MAGIC ? fdt_cell(bytes + HEADER_TOTAL_SIZE) : 0;
}

static bool inside(uint32_t offset, uint32_t len, uint32_t size)
{
    return offset >= HEADER_SIZE && offset <= size && len <= size - offset;
}

/* The memory reservation block ends with an entry of zeros. */
static bool reservations_valid(const struct fdt *fdt)
{
    if (fdt->rsvmap_off % 8 != 0)
        return false;
    for (uint64_t at = fdt->rsvmap_off; at + RESERVE_SIZE <= fdt->size; at += RESERVE_SIZE) {
        if (at >= HEADER_SIZE && get_be64(fdt->blob + at) == 0 && get_be64(fdt->blob + at + 8) == 0)
            return true;
    }
    return false;
}

/* One root node first, properties before child nodes, every name terminated, all nodes closed, then
 * the end. */
HOT static bool structure_valid(const struct fdt *fdt)
{
    unsigned depth = 0;
    bool root_seen = false;
    bool properties = false; /* properties may come here */
    uint32_t at = 0;
    /* Nearly always it ends with one, and then all names end. */
    bool names_end =
        fdt->strings_size != 0 && fdt->blob[fdt->strings_off + fdt->strings_size - 1] == 0;

    for (;;) {
        struct token token;
        uint32_t next = token_read(fdt, at, &token);
        if (next == 0)
            return false;

        switch (token.kind) {
        case FDT_BEGIN_NODE:
            if (depth == FDT_DEPTH_MAX || (depth == 0 && (root_seen || at != 0)))
                return false;
            root_seen = true;
            depth++;
            properties = true;
            break;
        case FDT_PROP: {
            if (!properties)
                return false;
            const uint8_t *name = (const uint8_t *)token.name;
            size_t limit = (size_t)(fdt->blob + fdt->strings_off + fdt->strings_size - name);
            if (!names_end && bounded_length(name, limit) == limit)
                return false;
            break;
        }
        case FDT_END_NODE:
            if (depth == 0)
                return false;
            depth--;
            properties = false;
            break;
        case FDT_END: return root_seen && depth == 0;
        default: break;
        }
        at = next;
    }
}

int fdt_open(struct fdt *fdt, const void *blob, size_t size)
{
    const uint8_t *bytes = blob;
    if (size < HEADER_SIZE || fdt_cell(bytes + HEADER_MAGIC) != FDT_MAGIC)
        return -E_INVAL;
    uint32_t total = fdt_cell(bytes + HEADER_TOTAL_SIZE);
    if (total < HEADER_SIZE || total > size || total > SIZE_LIMIT)
        return -E_INVAL;
    if (fdt_cell(bytes + HEADER_VERSION) < FDT_VERSION ||
        fdt_cell(bytes + HEADER_LAST_COMPATIBLE) > FDT_VERSION)
        return -E_INVAL;

    *fdt = (struct fdt){
        .blob = bytes,
        .size = total,
        .struct_off = fdt_cell(bytes + HEADER_STRUCT_OFF),
        .struct_size = fdt_cell(bytes + HEADER_STRUCT_SIZE),
        .strings_off = fdt_cell(bytes + HEADER_STRINGS_OFF),
        .strings_size = fdt_cell(bytes + HEADER_STRINGS_SIZE),
        .rsvmap_off = fdt_cell(bytes + HEADER_RSVMAP_OFF),
    };
    if (!inside(fdt->struct_off, fdt->struct_size, total) || fdt->struct_off % 4 != 0 ||
        !inside(fdt->strings_off, fdt->strings_size, total) || !reservations_valid(fdt) ||
        !structure_valid(fdt))
        return -E_INVAL;
    return 0;
}

int fdt_root(const struct fdt *fdt)
{
    (void)fdt;
    return 0;
}

/*
 * The offset behind the token at `at`, of a blob that fdt_open has accepted: all that walks need.
 * Most of the time that a tree takes is spent here.
 */
static inline uint32_t token_pass(const struct fdt *fdt, uint32_t at, unsigned *kind)
{
    const uint8_t *token = fdt->blob + fdt->struct_off + at;
    uint32_t size = 4;

    *kind = token[3];
    if (*kind == FDT_PROP) {
        size = 12 + fdt_cell(token + 4);
    } else if (*kind == FDT_BEGIN_NODE) {
        while (token[size] != 0)
            size++;
        size++;
    }
    return at + ((size + 3) & ~3U);
}

/* Offset of the next node that begins at or behind `at`, without leaving the node we are in. */
HOT static int next_begin(const struct fdt *fdt, uint32_t at)
{
    for (;;) {
        unsigned kind;
        uint32_t next = token_pass(fdt, at, &kind);
        if (kind == FDT_BEGIN_NODE)
            return (int)at;
        if (kind == FDT_END_NODE || kind == FDT_END)
            return -E_NOENT;
        at = next;
    }
}

int fdt_first_child(const struct fdt *fdt, int node)
{
    unsigned kind;
    return node < 0 ? -E_NOENT : next_begin(fdt, token_pass(fdt, (uint32_t)node, &kind));
}

HOT int fdt_next_sibling(const struct fdt *fdt, int node)
{
    if (node < 0)
        return -E_NOENT;
    uint32_t at = (uint32_t)node;
    unsigned depth = 0;
    do {
        unsigned kind;
        at = token_pass(fdt, at, &kind);
        if (kind == FDT_BEGIN_NODE)
            depth++;
        else if (kind == FDT_END_NODE)
            depth--;
    } while (depth > 0);
    return next_begin(fdt, at);
}

/* `want` of `len` characters names a node: wholly, or all but the unit address. */
static bool name_matches(const char *name, const char *want, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (name[i] != want[i])
            return false;
    }
    if (name[len] == 0)
        return true;
    if (name[len] != '@')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (want[i] == '@')
            return false;
    }
    return true;
}

static int child_of_length(const struct fdt *fdt, int node, const char *name, size_t len)
{
    int child = fdt_first_child(fdt, node);
    while (child >= 0 && !name_matches(fdt_name(fdt, child), name, len))
        child = fdt_next_sibling(fdt, child);
    return child;
}

int fdt_child(const struct fdt *fdt, int node, const char *name)
{
    return child_of_length(fdt, node, name, strlen(name));
}

int fdt_path(const struct fdt *fdt, const char *path)
{
    if (path[0] != '/')
        return -E_NOENT;
    int node = fdt_root(fdt);
    while (node >= 0) {
        while (*path == '/')
            path++;
        if (*path == 0)
            break;
        size_t len = 0;
        while (path[len] != 0 && path[len] != '/')
            len++;
        node = child_of_length(fdt, node, path, len);
        path += len;
    }
    return node;
}

/* The name of the property whose token this is. */
static inline const char *prop_name(const struct fdt *fdt, const uint8_t *token)
{
    return (const char *)fdt->blob + fdt->strings_off + fdt_cell(token + 8);
}

static inline bool prop_is(const struct fdt *fdt, const uint8_t *token, const char *name)
{
    const char *found = prop_name(fdt, token);
    return found[0] == name[0] && strcmp(found, name) == 0;
}

/* Whether a list of strings has one; `want_size` counts its NUL. */
static bool list_has(const uint8_t *list, uint32_t len, const char *want, size_t want_size)
{
    for (uint32_t at = 0; len - at >= want_size && at < len; at++) {
        if (memcmp(list + at, want, want_size) == 0)
            return true;
        while (at < len && list[at] != 0)
            at++;
    }
    return false;
}

/* One walk: properties come right behind their node's beginning. */
HOT int fdt_compatible_next(const struct fdt *fdt, int node, const char *compatible)
{
    static const char wanted[] = "compatible";
    const char *known = wanted; /* that name, where the last property had it */
    size_t size = strlen(compatible) + 1;
    uint32_t at = node < 0 ? 0 : (uint32_t)node;
    int in = -1; /* the node whose properties these are; `node` itself does not count */
    for (;;) {
        unsigned kind;
        uint32_t next = token_pass(fdt, at, &kind);
        if (kind == FDT_BEGIN_NODE) {
            in = (int)at == node ? -1 : (int)at;
        } else if (kind == FDT_PROP && in >= 0) {
            const uint8_t *token = fdt->blob + fdt->struct_off + at;
            const char *name = prop_name(fdt, token);
            if (name == known || (name[0] == wanted[0] && strcmp(name, wanted) == 0)) {
                known = name;
                if (list_has(token + 12, fdt_cell(token + 4), compatible, size))
                    return in;
            }
        } else if (kind == FDT_END) {
            return -E_NOENT;
        }
        at = next;
    }
}

int fdt_by_phandle(const struct fdt *fdt, uint32_t phandle)
{
    if (phandle == 0 || phandle == UINT32_MAX)
        return -E_NOENT;
    uint32_t at = 0;
    int in = -1;
    for (;;) {
        unsigned kind;
        uint32_t next = token_pass(fdt, at, &kind);
        if (kind == FDT_BEGIN_NODE) {
            in = (int)at;
        } else if (kind == FDT_PROP) {
            const uint8_t *token = fdt->blob + fdt->struct_off + at;
            if (fdt_cell(token + 4) >= 4 && fdt_cell(token + 12) == phandle &&
                (prop_is(fdt, token, "phandle") || prop_is(fdt, token, "linux,phandle")))
                return in;
        } else if (kind == FDT_END) {
            return -E_NOENT;
        }
        at = next;
    }
}

HOT int fdt_parent(const struct fdt *fdt, int node)
{
    int ancestors[FDT_DEPTH_MAX];
    unsigned depth = 0;
    uint32_t at = 0;
    if (node < 0)
        return -E_NOENT;
    for (;;) {
        unsigned kind;
        uint32_t next = token_pass(fdt, at, &kind);
        if (kind == FDT_BEGIN_NODE) {
            if (at == (uint32_t)node)
                return depth > 0 ? ancestors[depth - 1] : -E_NOENT;
            ancestors[depth++] = (int)at;
        } else if (kind == FDT_END_NODE) {
            depth--;
        } else if (kind == FDT_END) {
            return -E_NOENT;
        }
        at = next;
    }
}

const char *fdt_name(const struct fdt *fdt, int node)
{
    return node < 0 ? "" : (const char *)fdt->blob + fdt->struct_off + node + 4;
}

HOT bool fdt_next_prop(const struct fdt *fdt, int node, uint32_t *cursor, const char **name,
                       const void **value, uint32_t *len)
{
    if (node < 0)
        return false;
    unsigned kind;
    uint32_t at = *cursor != 0 ? *cursor : token_pass(fdt, (uint32_t)node, &kind), next;
    while (next = token_pass(fdt, at, &kind), kind == FDT_NOP)
        at = next;
    *cursor = at;
    if (kind != FDT_PROP)
        return false;
    const uint8_t *token = fdt->blob + fdt->struct_off + at;
    *cursor = next;
    *len = fdt_cell(token + 4);
    *name = (const char *)fdt->blob + fdt->strings_off + fdt_cell(token + 8);
    *value = token + 12;
    return true;
}

HOT const void *fdt_prop(const struct fdt *fdt, int node, const char *name, uint32_t *len)
{
    unsigned kind;
    if (len != NULL)
        *len = 0;
    if (node < 0)
        return NULL;
    for (uint32_t at = token_pass(fdt, (uint32_t)node, &kind);;) {
        const uint8_t *token = fdt->blob + fdt->struct_off + at;
        at = token_pass(fdt, at, &kind);
        if (kind == FDT_PROP && prop_is(fdt, token, name)) {
            if (len != NULL)
                *len = fdt_cell(token + 4);
            return token + 12;
        }
        if (kind != FDT_PROP && kind != FDT_NOP)
            return NULL;
    }
}

uint32_t fdt_u32(const struct fdt *fdt, int node, const char *name, uint32_t fallback)
{
    uint32_t len;
    const uint8_t *value = fdt_prop(fdt, node, name, &len);
    return value != NULL && len >= 4 ? fdt_cell(value) : fallback;
}

uint64_t fdt_u64(const struct fdt *fdt, int node, const char *name, uint64_t fallback)
{
    uint32_t len;
    const uint8_t *value = fdt_prop(fdt, node, name, &len);
    if (value == NULL || len < 4)
        return fallback;
    return len >= 8 ? get_be64(value) : fdt_cell(value);
}

HOT const char *fdt_str_at(const struct fdt *fdt, int node, const char *name, unsigned index)
{
    uint32_t len;
    const uint8_t *value = fdt_prop(fdt, node, name, &len);
    if (value == NULL)
        return NULL;
    uint32_t at = 0;
    while (at < len) {
        uint32_t end = at + (uint32_t)bounded_length(value + at, len - at);
        if (end == len)
            return NULL;
        if (index-- == 0)
            return (const char *)value + at;
        at = end + 1;
    }
    return NULL;
}

const char *fdt_str(const struct fdt *fdt, int node, const char *name)
{
    return fdt_str_at(fdt, node, name, 0);
}

int fdt_reg(const struct fdt *fdt, int node, unsigned index, uint64_t *address, uint64_t *size)
{
    return fdt_reg_under(fdt, fdt_parent(fdt, node), node, index, address, size);
}

int fdt_reg_under(const struct fdt *fdt, int parent, int node, unsigned index, uint64_t *address,
                  uint64_t *size)
{
    uint32_t len;
    const uint8_t *reg = fdt_prop(fdt, node, "reg", &len);
    if (parent < 0 || reg == NULL)
        return -E_NOENT;
    /* Devicetree Specification v0.4, 2.3.5: the defaults are two and one. */
    uint32_t address_cells = fdt_u32(fdt, parent, "#address-cells", 2);
    uint32_t size_cells = fdt_u32(fdt, parent, "#size-cells", 1);
    if (address_cells < 1 || address_cells > 2 || size_cells > 2)
        return -E_NOENT;

    uint64_t entry = 4 * (uint64_t)(address_cells + size_cells);
    if (((uint64_t)index + 1) * entry > len)
        return -E_NOENT;
    reg += index * entry;
    *address = address_cells == 2 ? get_be64(reg) : fdt_cell(reg);
    reg += 4 * address_cells;
    *size = size_cells == 2 ? get_be64(reg) : size_cells == 1 ? fdt_cell(reg) : 0;
    return 0;
}

/* ---- Writer ---- */

static void writer_fail(struct fdt_writer *w, int error)
{
    if (w->error == 0)
        w->error = error;
}

/* Room for `len` more bytes at the end of the structure block, padded to 4 by zeros; NULL if there
 * is none. */
static uint8_t *grow(struct fdt_writer *w, size_t len)
{
    size_t room = w->strings_at - w->struct_end;
    if (w->error == 0 && (len > room || ((len + 3) & ~(size_t)3) > room))
        writer_fail(w, -E_NOSPC);
    if (w->error != 0)
        return NULL;
    len = (len + 3) & ~(size_t)3;
    uint8_t *at = w->buf + w->struct_end;
    w->struct_end += len;
    if (len != 0)
        put_be32(at + len - 4, 0);
    return at;
}

static void put_token(struct fdt_writer *w, enum token_kind kind)
{
    uint8_t *at = grow(w, 4);
    if (at != NULL)
        put_be32(at, kind);
}

void fdt_begin(struct fdt_writer *w, void *buf, size_t capacity)
{
    if (capacity > SIZE_LIMIT)
        capacity = SIZE_LIMIT;
    *w = (struct fdt_writer){.buf = buf, .capacity = capacity, .strings_at = capacity};
    grow(w, HEADER_SIZE);
}

void fdt_reserve(struct fdt_writer *w, uint64_t address, uint64_t size)
{
    /* An entry of zeros would end the list. */
    if (w->struct_at != 0 || (address == 0 && size == 0)) {
        writer_fail(w, -E_INVAL);
        return;
    }
    uint8_t *at = grow(w, RESERVE_SIZE);
    if (at == NULL)
        return;
    put_be64(at, address);
    put_be64(at + 8, size);
}

static void begin_node(struct fdt_writer *w, const char *name, const char *suffix)
{
    size_t name_len = strlen(name);
    size_t suffix_len = strlen(suffix);
    bool root = w->depth == 0;
    if (root == (name_len != 0) || (root && w->struct_at != 0) || w->depth == FDT_DEPTH_MAX) {
        writer_fail(w, -E_INVAL);
        return;
    }
    if (root) {
        uint8_t *end = grow(w, RESERVE_SIZE);
        if (end != NULL)
            memset(end, 0, RESERVE_SIZE);
        w->struct_at = w->struct_end;
    }
    put_token(w, FDT_BEGIN_NODE);
    uint8_t *at = grow(w, name_len + suffix_len + 1);
    if (at != NULL) {
        memcpy(at, name, name_len);
        memcpy(at + name_len, suffix, suffix_len);
    }
    w->depth++;
    w->node_ended = false;
}

void fdt_node(struct fdt_writer *w, const char *name)
{
    begin_node(w, name, "");
}

void fdt_node_at(struct fdt_writer *w, const char *name, uint64_t unit_address)
{
    char suffix[18]; /* "@", 16 digits, NUL */
    unsigned digits = 1;
    while (digits < 16 && unit_address >> (4 * digits) != 0)
        digits++;
    suffix[0] = '@';
    for (unsigned i = 0; i < digits; i++)
        suffix[1 + i] = "0123456789abcdef"[unit_address >> (4 * (digits - 1 - i)) & 15];
    suffix[1 + digits] = 0;
    begin_node(w, name, suffix);
}

void fdt_end(struct fdt_writer *w)
{
    if (w->depth == 0) {
        writer_fail(w, -E_INVAL);
        return;
    }
    put_token(w, FDT_END_NODE);
    w->depth--;
    w->node_ended = true;
}

/*
 * Strings grow down from the end of the buffer, so while writing a name's offset counts back from
 * there; fdt_finish turns it around. Returns 0 when there is no room. A name for which the table
 * has no place is written again each time, which is right, and longer.
 */
HOT static uint32_t string_offset(struct fdt_writer *w, const char *name)
{
    uint32_t hash = 0, *known = NULL;
    size_t len = 0;
    while (name[len] != 0)
        hash = hash * 33 + (uint8_t)name[len++];
    len++;
    for (unsigned i = 0; i < FDT_NAMES && known == NULL; i++) {
        uint32_t *place = &w->names[(hash + i) % FDT_NAMES];
        if (*place == 0)
            known = place;
        else if (strcmp((char *)w->buf + w->capacity - *place, name) == 0)
            return *place;
    }
    if (w->error == 0 && len > w->strings_at - w->struct_end)
        writer_fail(w, -E_NOSPC);
    if (w->error != 0)
        return 0;
    w->strings_at -= len;
    memcpy(w->buf + w->strings_at, name, len);
    uint32_t offset = (uint32_t)(w->capacity - w->strings_at);
    if (known != NULL)
        *known = offset;
    return offset;
}

/* A property with room for `len` bytes of value; NULL on error. */
static uint8_t *begin_prop(struct fdt_writer *w, const char *name, size_t len)
{
    if (w->depth == 0 || w->node_ended || name[0] == 0)
        writer_fail(w, -E_INVAL);
    if (w->error == 0 && len > w->strings_at - w->struct_end)
        writer_fail(w, -E_NOSPC);
    if (w->error != 0)
        return NULL;
    uint32_t offset = string_offset(w, name);
    uint8_t *at = grow(w, 12 + len);
    if (at == NULL)
        return NULL;
    put_be32(at, FDT_PROP);
    put_be32(at + 4, (uint32_t)len);
    put_be32(at + 8, offset);
    return at + 12;
}

void fdt_put(struct fdt_writer *w, const char *name, const void *bytes, size_t len)
{
    uint8_t *value = begin_prop(w, name, len);
    if (value != NULL && len > 0)
        memcpy(value, bytes, len);
}

void fdt_put_empty(struct fdt_writer *w, const char *name)
{
    begin_prop(w, name, 0);
}

void fdt_put_u32(struct fdt_writer *w, const char *name, uint32_t value)
{
    fdt_put_cells(w, name, &value, 1);
}

void fdt_put_u64(struct fdt_writer *w, const char *name, uint64_t value)
{
    uint8_t *at = begin_prop(w, name, 8);
    if (at != NULL)
        put_be64(at, value);
}

void fdt_put_cells(struct fdt_writer *w, const char *name, const uint32_t *cells, size_t count)
{
    uint8_t *at = begin_prop(w, name, count > SIZE_LIMIT ? SIZE_LIMIT : count * 4);
    for (size_t i = 0; at != NULL && i < count; i++)
        put_be32(at + 4 * i, cells[i]);
}

void fdt_put_reg64(struct fdt_writer *w, uint64_t address, uint64_t size)
{
    uint8_t *at = begin_prop(w, "reg", 16);
    if (at == NULL)
        return;
    put_be64(at, address);
    put_be64(at + 8, size);
}

void fdt_put_str(struct fdt_writer *w, const char *name, const char *value)
{
    fdt_put(w, name, value, strlen(value) + 1);
}

void fdt_put_strs(struct fdt_writer *w, const char *name, const char *const *values, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += strlen(values[i]) + 1;
    uint8_t *at = begin_prop(w, name, len);
    for (size_t i = 0; at != NULL && i < count; i++) {
        size_t each = strlen(values[i]) + 1;
        memcpy(at, values[i], each);
        at += each;
    }
}

/* Names counted back from the end of the strings become offsets from their start. */
static void turn_names(struct fdt_writer *w, uint32_t strings_size)
{
    size_t at = w->struct_at;
    while (at < w->struct_end) {
        uint32_t kind = fdt_cell(w->buf + at);
        at += 4;
        if (kind == FDT_BEGIN_NODE) {
            at += strlen((char *)w->buf + at) + 1;
        } else if (kind == FDT_PROP) {
            uint32_t len = fdt_cell(w->buf + at);
            put_be32(w->buf + at + 4, strings_size - fdt_cell(w->buf + at + 4));
            at += 8 + (size_t)len;
        }
        at = (at + 3) & ~(size_t)3;
    }
}

void fdt_put_line(struct fdt_writer *w, const struct fdt_line *line)
{
    fdt_put_u32(w, "interrupt-parent", line->parent);
    fdt_put_cells(w, "interrupts", &line->line, line->type != 0 ? 2 : 1);
}

long fdt_finish(struct fdt_writer *w)
{
    if (w->depth != 0 || w->struct_at == 0)
        writer_fail(w, -E_INVAL);
    put_token(w, FDT_END);
    if (w->error != 0)
        return w->error;

    uint32_t strings_size = (uint32_t)(w->capacity - w->strings_at);
    turn_names(w, strings_size);
    memmove(w->buf + w->struct_end, w->buf + w->strings_at, strings_size);

    put_be32(w->buf + HEADER_MAGIC, FDT_MAGIC);
    put_be32(w->buf + HEADER_TOTAL_SIZE, (uint32_t)w->struct_end + strings_size);
    put_be32(w->buf + HEADER_STRUCT_OFF, (uint32_t)w->struct_at);
    put_be32(w->buf + HEADER_STRINGS_OFF, (uint32_t)w->struct_end);
    put_be32(w->buf + HEADER_RSVMAP_OFF, HEADER_SIZE);
    put_be32(w->buf + HEADER_VERSION, FDT_VERSION);
    put_be32(w->buf + HEADER_LAST_COMPATIBLE, FDT_LAST_COMPATIBLE);
    put_be32(w->buf + HEADER_BOOT_CPU, 0);
    put_be32(w->buf + HEADER_STRINGS_SIZE, strings_size);
    put_be32(w->buf + HEADER_STRUCT_SIZE, (uint32_t)(w->struct_end - w->struct_at));
    return (long)(w->struct_end + strings_size);
}
