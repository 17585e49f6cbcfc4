#include "type2/yaml_lines.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct yaml_lines {
    yaml_document_t document;
};

static void describe(const yaml_parser_t *parser, unsigned *line, char *reason, size_t reason_size)
{
    const char *problem = parser->problem != NULL ? parser->problem : "is not YAML";
    if (parser->error == YAML_READER_ERROR) {
        *line = 1;
        snprintf(reason, reason_size, "is not a text in UTF-8 (%s at byte %zu)", problem,
                 parser->problem_offset);
        return;
    }
    *line = (unsigned)parser->problem_mark.line + 1;
    snprintf(reason, reason_size, "is not YAML: %s%s%s; check indentation, quotes and colons",
             problem, parser->context != NULL ? " " : "",
             parser->context != NULL ? parser->context : "");
}

struct yaml_lines *yaml_lines_read(const void *bytes, size_t size, unsigned *line, char *reason,
                                   size_t reason_size)
{
    yaml_parser_t parser;
    yaml_document_t second;
    struct yaml_lines *lines = calloc(1, sizeof(*lines));

    *line = 1;
    if (lines == NULL || !yaml_parser_initialize(&parser)) {
        free(lines);
        snprintf(reason, reason_size, "cannot be read: not enough memory");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, bytes, size);
    bool good = yaml_parser_load(&parser, &lines->document);
    if (good && yaml_document_get_root_node(&lines->document) != NULL) {
        bool more = yaml_parser_load(&parser, &second);
        good = more;
        if (more) {
            const yaml_node_t *root = yaml_document_get_root_node(&second);
            if (root != NULL) {
                *line = (unsigned)root->start_mark.line + 1;
                snprintf(reason, reason_size, "holds a second document ('---'); write one only");
            }
            yaml_document_delete(&second);
            if (root != NULL) {
                yaml_document_delete(&lines->document);
                yaml_parser_delete(&parser);
                free(lines);
                return NULL;
            }
        } else {
            yaml_document_delete(&lines->document);
        }
    }
    if (!good) {
        describe(&parser, line, reason, reason_size);
        free(lines);
        lines = NULL;
    }
    yaml_parser_delete(&parser);
    return lines;
}

void yaml_lines_free(struct yaml_lines *lines)
{
    if (lines == NULL)
        return;
    yaml_document_delete(&lines->document);
    free(lines);
}

enum yaml_root yaml_lines_root(struct yaml_lines *lines)
{
    const yaml_node_t *root = yaml_document_get_root_node(&lines->document);
    if (root == NULL)
        return YAML_ROOT_NONE;
    return root->type == YAML_MAPPING_NODE    ? YAML_ROOT_MAPPING
           : root->type == YAML_SEQUENCE_NODE ? YAML_ROOT_SEQUENCE
                                              : YAML_ROOT_SCALAR;
}

static bool is_key(const yaml_node_t *node, const char *key, size_t len)
{
    return node != NULL && node->type == YAML_SCALAR_NODE && node->data.scalar.length == len &&
           memcmp(node->data.scalar.value, key, len) == 0;
}

/* The value of the last `key` (the one of two that is too many); *line gets the line of the key. */
static yaml_node_t *mapping_get(yaml_document_t *document, const yaml_node_t *node, const char *key,
                                size_t len, unsigned *line)
{
    yaml_node_t *value = NULL;
    if (node->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(document, pair->key);
        if (is_key(name, key, len)) {
            *line = (unsigned)name->start_mark.line + 1;
            value = yaml_document_get_node(document, pair->value);
        }
    }
    return value;
}

static yaml_node_t *sequence_get(yaml_document_t *document, const yaml_node_t *node,
                                 unsigned long index, unsigned *line)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return NULL;
    const yaml_node_item_t *start = node->data.sequence.items.start;
    if (index >= (unsigned long)(node->data.sequence.items.top - start))
        return NULL;
    yaml_node_t *item = yaml_document_get_node(document, start[index]);
    if (item != NULL)
        *line = (unsigned)item->start_mark.line + 1;
    return item;
}

unsigned yaml_lines_find(struct yaml_lines *lines, const char *path)
{
    yaml_document_t *document = &lines->document;
    const yaml_node_t *node = yaml_document_get_root_node(document);
    unsigned line = node != NULL ? (unsigned)node->start_mark.line + 1 : 1;

    while (node != NULL && *path != 0) {
        if (*path == '[') {
            char *end;
            unsigned long index = strtoul(path + 1, &end, 10);
            node = sequence_get(document, node, index, &line);
            path = *end == ']' ? end + 1 : end;
        } else {
            path += *path == '.' ? 1 : 0;
            size_t len = strcspn(path, ".[");
            node = mapping_get(document, node, path, len, &line);
            path += len;
            if (len == 0)
                break;
        }
    }
    return line;
}
