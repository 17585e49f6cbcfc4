#include "type2/results.h"

#include "type2/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

void results_print_engines(const json_t *results, FILE *to)
{
    size_t index;
    json_t *result, *value;
    const char *key;

    json_array_foreach(results, index, result)
    {
        json_t *engine = json_object_get(result, "engine");
        if (json_object_size(engine) < 2)
            continue; /* it counts nothing */
        fprintf(to, "engine %s:\n", json_string_value(json_object_get(engine, "name")));
        json_object_foreach(engine, key, value)
        {
            if (json_is_integer(value))
                fprintf(to, "  %-28s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
        }
    }
}

int results_open(struct results_file *to, const char *path, struct problem *problem)
{
    *to = (struct results_file){.path = path};
    if (path == NULL)
        return 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
    to->made = fd >= 0;
    if (fd < 0 && errno == EEXIST) /* O_CREAT: a symbolic link to a file that is yet to be made */
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    to->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (to->file != NULL)
        return 0;
    int error = problem_set(problem, -errno, "--json %s: %s; name a file that you can write", path,
                            strerror(errno));
    if (fd >= 0)
        close(fd);
    return error;
}

int results_write(struct results_file *to, json_t *results, struct problem *problem)
{
    if (to->file == NULL)
        return 0;
    json_t *whole = json_pack("{s:O}", "vms", results);
    struct stat st;
    bool well = fstat(fileno(to->file), &st) == 0 &&
                (!S_ISREG(st.st_mode) || ftruncate(fileno(to->file), 0) == 0) &&
                json_dumpf(whole, to->file,
                           JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) == 0 &&
                fputc('\n', to->file) != EOF;
    int error = errno;
    if (fclose(to->file) != 0) {
        error = errno;
        well = false;
    }
    to->file = NULL;
    json_decref(whole);
    if (!well)
        return problem_set(problem, -E_IO, "--json %s: cannot be written: %s", to->path,
                           strerror(error));
    return 0;
}

void results_abandon(struct results_file *to)
{
    if (to->file == NULL)
        return;
    fclose(to->file);
    to->file = NULL;
    if (to->made)
        unlink(to->path);
}
