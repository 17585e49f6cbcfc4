#include "type2/layout.h"

#include "type2/table.h"

#include <string.h>

static void append(char cell[TABLE_CELL_MAX], const char *word)
{
    size_t len = strlen(cell);
    snprintf(cell + len, TABLE_CELL_MAX - len, "%s%s", len > 0 ? " " : "", word);
}

static const char *name_of(const struct plan *plan, unsigned partition)
{
    return plan->partitions[partition].spec->name;
}

static void print_board(const struct plan_board *board, FILE *to)
{
    uint64_t memory = 0;
    char text[32];
    for (unsigned i = 0; i < board->memory_count; i++)
        memory += board->memory[i].size;
    fprintf(to, "board: %u harts, %s of memory, %u PMP entries with a grain of %llu bytes\n",
            board->hart_count, table_bytes(text, memory), board->pmp_entries,
            (unsigned long long)board->pmp_grain);
    fprintf(to, "firmware: %s at 0x%llx", table_bytes(text, board->firmware.size),
            (unsigned long long)board->firmware.base);
    fprintf(to, ", bundle: %s at 0x%llx\n\n", table_bytes(text, board->bundle.size),
            (unsigned long long)board->bundle.base);
}

/* The most that one of its harts takes. */
static unsigned entries_of(const struct plan *plan, const struct plan_board *board, unsigned p)
{
    const struct plan_partition *partition = &plan->partitions[p];
    unsigned most = 0;
    for (unsigned v = 0; v < partition->vcpu_count; v++) {
        struct pmp_entry entries[PMP_ENTRIES];
        int count = plan_pmp(plan, board, p, partition->harts[v], entries);
        if (count > 0 && (unsigned)count > most)
            most = (unsigned)count;
    }
    return most;
}

static void add_row(struct table *table, const struct plan *plan, const struct plan_board *board,
                    unsigned p)
{
    const struct plan_partition *partition = &plan->partitions[p];
    char harts[TABLE_CELL_MAX] = "", devices[TABLE_CELL_MAX] = "", text[32];

    for (unsigned v = 0; v < partition->vcpu_count; v++) {
        snprintf(text, sizeof text, "%llu%s",
                 (unsigned long long)board->harts[partition->harts[v]].id,
                 plan_hart_shared(plan, partition->harts[v]) ? "*" : "");
        append(harts, text);
    }
    for (unsigned i = 0; i < partition->device_count; i++)
        append(devices, board->devices[partition->devices[i]].name);
    table_add(table, "%u", p);
    table_add(table, "%s", name_of(plan, p));
    table_add(table, "%s", harts);
    table_add(table, "%s", table_bytes(text, partition->ram[0].size));
    table_add(table, "0x%llx-0x%llx", (unsigned long long)partition->ram[0].base,
              (unsigned long long)(partition->ram[0].base + partition->ram[0].size - 1));
    table_add(table, "%u of %u", entries_of(plan, board, p), board->pmp_entries);
    table_add(table, "%s", devices[0] != 0 ? devices : "-");
}

static void print_shared_hart(const struct plan *plan, const struct plan_board *board, unsigned h,
                              FILE *to)
{
    const struct plan_hart *hart = &plan->harts[h];
    unsigned sum = 0;
    for (unsigned i = 0; i < hart->sharer_count; i++)
        sum += hart->sharers[i].weight;
    fprintf(to, "* hart %llu is shared:", (unsigned long long)board->harts[h].id);
    for (unsigned i = 0; i < hart->sharer_count; i++)
        fprintf(to, "%s %s (VCPU %u) %u %%", i > 0 ? "," : "",
                name_of(plan, hart->sharers[i].partition), hart->sharers[i].vcpu,
                (hart->sharers[i].weight * 100 + sum / 2) / sum);
    fprintf(to, "\n");
}

static void print_trusted(const struct plan *plan, const struct plan_board *board, unsigned p,
                          FILE *to)
{
    const struct plan_partition *partition = &plan->partitions[p];
    for (unsigned i = 0; i < partition->device_count; i++) {
        const struct plan_device *device = &board->devices[partition->devices[i]];
        if (device->master)
            fprintf(to, "%s is trusted with all memory: %s may reach it by DMA\n", name_of(plan, p),
                    device->name);
    }
}

/* A device tree does not say what is behind a virtio-mmio device. */
static void print_presumed(const struct plan *plan, FILE *to)
{
    for (unsigned p = 0; p < plan->partition_count; p++) {
        const struct spec_vm *spec = plan->partitions[p].spec;
        if (spec->disk_count + spec->net_count > 0)
            fprintf(to,
                    "%s: which virtio devices board:N are is seen on the board; another of them "
                    "stands for each here\n",
                    name_of(plan, p));
    }
}

void layout_print(const struct plan *plan, const struct plan_board *board, FILE *to)
{
    static const char *const heads[] = {">#",    "PARTITION", "HARTS",   ">MEMORY",
                                        "WHERE", ">PMP",      "DEVICES", NULL};
    struct table table;
    char text[32];

    print_board(board, to);
    table_init(&table, heads);
    for (unsigned p = 0; p < plan->partition_count; p++)
        add_row(&table, plan, board, p);
    table_print(&table, to);
    table_fini(&table);
    for (unsigned h = 0; h < board->hart_count; h++) {
        if (!plan_hart_shared(plan, h))
            continue;
        print_shared_hart(plan, board, h, to);
        if (board->harts[h].imsic.size != 0)
            fprintf(to, "hart %llu is shared: its partitions have no IMSIC\n",
                    (unsigned long long)board->harts[h].id);
    }
    for (unsigned i = 0; i < plan->window_count; i++) {
        const struct plan_window *window = &plan->windows[i];
        fprintf(to, "%s: %s at 0x%llx, shared by %s and %s\n", window->name,
                table_bytes(text, window->range.size), (unsigned long long)window->range.base,
                name_of(plan, window->partitions[0]), name_of(plan, window->partitions[1]));
    }
    for (unsigned p = 0; p < plan->partition_count; p++)
        print_trusted(plan, board, p, to);
    print_presumed(plan, to);
}
