/*
 * On which line of a YAML file a value stands.
 *
 * libcyaml checks a document against a schema and fills structs, but forgets where each value came
 * from. This remembers, so that a message can name the line of any key.
 */
#ifndef TYPE2_YAML_LINES_H
#define TYPE2_YAML_LINES_H

#include <stddef.h>

struct yaml_lines;

enum yaml_root { YAML_ROOT_NONE, YAML_ROOT_SCALAR, YAML_ROOT_SEQUENCE, YAML_ROOT_MAPPING };

/*
 * Reads the document. NULL when it is not YAML (or holds more than one document): *line and
 * `reason` then say where and why. `bytes` may be freed afterwards.
 */
struct yaml_lines *yaml_lines_read(const void *bytes, size_t size, unsigned *line, char *reason,
                                   size_t reason_size);
void yaml_lines_free(struct yaml_lines *lines);
enum yaml_root yaml_lines_root(struct yaml_lines *lines);
/*
 * The line, from 1, of a path such as "vms[1].memory"; where there is no such thing, of the nearest
 * thing around it.
 */
unsigned yaml_lines_find(struct yaml_lines *lines, const char *path);

#endif
