/* The flattened device tree, and the options on the command line. */
#include "guest.h"

enum { FDT_MAGIC = 0xd00dfeed, FDT_BEGIN_NODE = 1, FDT_END_NODE, FDT_PROP, FDT_NOP };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t cells(const uint8_t *p, uint32_t count)
{
    uint64_t value = 0;

    while (count--) {
        value = value << 32 | be32(p);
        p += 4;
    }
    return value;
}

bool text_begins(const char *text, const char *with)
{
    while (*with)
        if (*text++ != *with++)
            return false;
    return true;
}

bool text_same(const char *a, const char *b)
{
    return text_begins(a, b) && text_begins(b, a);
}

bool tree_walk(const void *tree, void (*visit)(void *context, const struct tree_node *node),
               void *context)
{
    const uint8_t *blob = tree;
    /* Properties come before children, so a node is whole before its first child begins. */
    static struct tree_node nodes[TREE_DEPTH];
    unsigned depth = 0;

    if (be32(blob) != FDT_MAGIC)
        return false;
    const uint8_t *p = blob + be32(blob + 8);
    const char *strings = (const char *)blob + be32(blob + 12);
    for (;;) {
        uint32_t token = be32(p);
        p += 4;
        if (token == FDT_BEGIN_NODE) {
            if (depth == TREE_DEPTH)
                return false;
            struct tree_node *node = &nodes[depth], *up = depth ? &nodes[depth - 1] : NULL;
            node->name = (const char *)p;
            node->parent = up ? up->name : "";
            node->address_cells = up ? (uint32_t)tree_number(up, "#address-cells", 2) : 2;
            node->size_cells = up ? (uint32_t)tree_number(up, "#size-cells", 1) : 1;
            node->count = 0;
            depth++;
            while (*p++)
                ;
        } else if (token == FDT_PROP) {
            struct tree_node *node = &nodes[depth - 1];
            uint32_t length = be32(p);
            if (node->count < TREE_PROPERTIES)
                node->properties[node->count++] =
                    (struct tree_property){strings + be32(p + 4), p + 8, length};
            p += 8 + length;
        } else if (token == FDT_END_NODE && depth) {
            visit(context, &nodes[--depth]);
        } else if (token != FDT_NOP) {
            return true;
        }
        p = (const uint8_t *)(((uintptr_t)p + 3) & ~(uintptr_t)3);
    }
}

const struct tree_property *tree_find(const struct tree_node *node, const char *name)
{
    for (unsigned i = 0; i < node->count; i++)
        if (text_same(node->properties[i].name, name))
            return &node->properties[i];
    return NULL;
}

uint64_t tree_number(const struct tree_node *node, const char *name, uint64_t otherwise)
{
    const struct tree_property *property = tree_find(node, name);

    if (!property || (property->length != 4 && property->length != 8))
        return otherwise;
    return cells(property->value, property->length / 4);
}

bool tree_range(const struct tree_node *node, unsigned index, uint64_t *base, uint64_t *size)
{
    const struct tree_property *reg = tree_find(node, "reg");
    uint32_t stride = 4 * (node->address_cells + node->size_cells);

    if (!reg || !stride || reg->length < (index + 1) * stride)
        return false;
    *base = cells(reg->value + index * stride, node->address_cells);
    *size = cells(reg->value + index * stride + 4 * node->address_cells, node->size_cells);
    return true;
}

bool tree_compatible(const struct tree_node *node, const char *with)
{
    const struct tree_property *list = tree_find(node, "compatible");

    for (uint32_t i = 0; list && i < list->length; i++)
        if ((i == 0 || list->value[i - 1] == 0) && text_begins((const char *)list->value + i, with))
            return true;
    return false;
}

const char *option_find(const char *line, const char *name)
{
    for (const char *word = line; *word;) {
        size_t length = 0;
        while (name[length] && word[length] == name[length])
            length++;
        if (!name[length] && word[length] == '=')
            return word + length + 1;
        while (*word && *word != ' ')
            word++;
        while (*word == ' ')
            word++;
    }
    return NULL;
}

uint64_t option_number(const char *line, const char *name, uint64_t otherwise)
{
    const char *text = option_find(line, name);
    uint64_t value = 0;

    if (!text || *text < '0' || *text > '9')
        return otherwise;
    while (*text >= '0' && *text <= '9')
        value = value * 10 + (uint64_t)(*text++ - '0');
    return value;
}
