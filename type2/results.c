#include "type2/results.h"

#include "type2/table.h"

#include <errno.h>
#include <string.h>

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* "sbi 1200, wfi 310", most frequent first. */
static void exits_text(const json_t *exits, char *text, size_t capacity)
{
    char used[32][32];
    size_t used_count = 0, at = 0;

    text[0] = 0;
    for (;;) {
        const char *key, *best = NULL;
        json_t *value;
        json_int_t most = 0;
        json_object_foreach((json_t *)(uintptr_t)exits, key, value)
        {
            bool seen = false;
            for (size_t i = 0; i < used_count; i++)
                seen |= strcmp(used[i], key) == 0;
            if (!seen && json_integer_value(value) > most) {
                most = json_integer_value(value);
                best = key;
            }
        }
        if (best == NULL || used_count == 32)
            return;
        char count[32];
        int n = snprintf(text + at, capacity - at, "%s%s %s", at > 0 ? ", " : "", best,
                         table_count(count, (uint64_t)most));
        if (n < 0 || (size_t)n >= capacity - at) {
            text[at] = 0;
            return;
        }
        at += (size_t)n;
        snprintf(used[used_count++], sizeof(used[0]), "%s", best);
    }
}

void results_print(const json_t *results, FILE *to)
{
    static const char *const heads[] = {
        "name",          ">harts", ">memory",         ">time to init",
        ">instructions", "result", "exits by reason", NULL};
    struct table table;
    size_t index;
    json_t *result;

    table_init(&table, heads);
    json_array_foreach(results, index, result)
    {
        char text[TABLE_CELL_MAX], bytes[32], count[32];
        const json_t *init = json_object_get(result, "init_ms");
        const char *message = json_string_value(json_object_get(result, "message"));

        table_add(&table, "%s", json_string_value(json_object_get(result, "name")));
        table_add(&table, "%d", (int)number(result, "harts"));
        table_add(&table, "%s", table_bytes(bytes, number(result, "memory")));
        if (json_is_real(init))
            table_add(&table, "%.2f s", json_real_value(init) / 1000);
        else
            table_add(&table, "-");
        table_add(&table, "%s", table_count(count, number(result, "instructions")));
        snprintf(text, sizeof(text), "%s%s%s", json_string_value(json_object_get(result, "result")),
                 message != NULL ? ": " : "", message != NULL ? message : "");
        if (strlen(text) > 60)
            strcpy(text + 57, "...");
        table_add(&table, "%s", text);
        exits_text(json_object_get(result, "exits"), text, sizeof(text));
        table_add(&table, "%s", text[0] != 0 ? text : "-");
    }
    table_print(&table, to);
    table_fini(&table);
}

int results_write(json_t *results, const char *path, struct problem *problem)
{
    json_t *whole = json_pack("{s:O}", "vms", results);
    FILE *file = fopen(path, "we");
    int error = 0;

    if (file == NULL)
        error = problem_set(problem, -errno, "--json %s: %s", path, strerror(errno));
    else if (json_dumpf(whole, file,
                        JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) < 0 ||
             fputc('\n', file) == EOF)
        error = problem_set(problem, -E_IO, "--json %s: cannot be written", path);
    if (file != NULL && fclose(file) != 0 && error == 0)
        error = problem_set(problem, -errno, "--json %s: %s", path, strerror(errno));
    json_decref(whole);
    return error;
}
