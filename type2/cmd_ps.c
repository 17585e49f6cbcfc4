/* ps: the machines that run. */
#include "type2/command.h"
#include "type2/control.h"
#include "type2/table.h"

#include <stdio.h>
#include <stdlib.h>

#define STATUS_MS 2000

struct listing {
    bool json;
    struct table table;
};

static void list_one(void *arg, const char *name, int fd)
{
    struct listing *listing = arg;
    struct problem problem = {.text = ""};
    json_t *request = json_pack("{s:s}", "cmd", "status");
    json_t *status = control_call(fd, request, STATUS_MS, &problem);
    char text[32];

    json_decref(request);
    if (listing->json) {
        if (status == NULL)
            status = json_pack("{s:s,s:i,s:s}", "name", name, "pid", (int)control_peer(fd), "state",
                               "silent");
        else
            json_object_del(status, "ok");
        char *line =
            json_dumps(status, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
        printf("%s\n", line != NULL ? line : "{}");
        free(line);
        json_decref(status);
        return;
    }
    table_add(&listing->table, "%s", name);
    table_add(&listing->table, "%ld", (long)control_peer(fd));
    if (status == NULL) {
        table_add(&listing->table, "silent"); /* still starting, or stuck */
        for (int i = 0; i < 6; i++)
            table_add(&listing->table, "-");
        return;
    }
    table_add(&listing->table, "%s", json_string_value(json_object_get(status, "state")));
    table_add(&listing->table, "%d", (int)json_integer_value(json_object_get(status, "harts")));
    table_add(&listing->table, "%s",
              table_bytes(text, (uint64_t)json_integer_value(json_object_get(status, "memory"))));
    table_add(&listing->table, "%s",
              table_bytes(text, (uint64_t)json_integer_value(json_object_get(status, "resident"))));
    json_t *given = json_object_get(json_object_get(status, "balloon"), "given");
    if (given != NULL)
        table_add(&listing->table, "%s", table_bytes(text, (uint64_t)json_integer_value(given)));
    else
        table_add(&listing->table, "-");
    table_add(&listing->table, "%.0f s", json_real_value(json_object_get(status, "run_ms")) / 1000);
    table_add(
        &listing->table, "%s",
        table_count(text, (uint64_t)json_integer_value(json_object_get(status, "instructions"))));
    json_decref(status);
}

int cmd_ps(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"json", no_argument, NULL, 'j'}, {0}};
    static const char *const heads[] = {"name",          ">pid",      "state",    ">harts",
                                        ">memory",       ">resident", ">balloon", ">up",
                                        ">instructions", NULL};
    struct listing listing = {.json = false};
    struct problem problem = {.text = ""};
    int c;

    while ((c = command_getopt(argc, argv, options)) == 'j')
        listing.json = true;
    if (c != -1)
        return c == -2 ? 0 : 2;
    if (!command_words(argc, argv, 0))
        return 2;
    table_init(&listing.table, heads);
    int error = control_each(list_one, &listing, &problem);
    if (error == 0 && !listing.json)
        table_print(&listing.table, stdout);
    table_fini(&listing.table);
    return error < 0 ? command_fail("%s", problem.text) : 0;
}
