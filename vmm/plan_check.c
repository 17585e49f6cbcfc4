/*
 * Whether a plan keeps partitions apart. It believes nothing of how the plan was made: it decodes
 * the PMP entries that harts will have. proofs/ shows that what it accepts is so.
 */
#include "vmm/plan_check.h"

#include "vmm/plan_impl.h"

bool plan_world_reaches(const struct plan_world *world, struct plan_range range)
{
    for (unsigned i = 0; i < world->count && range.size != 0; i++) {
        uint64_t first = range.base, last = range.base + (range.size - 1);
        if (plan_may_reach(world->entries, i, &first, &last))
            return true;
    }
    return false;
}

bool plan_worlds_apart(const struct plan_world *a, const struct plan_world *b,
                       const struct plan_range *windows, unsigned window_count)
{
    for (unsigned i = 0; i < a->count; i++) {
        uint64_t first = 0, last = UINT64_MAX;
        if (!plan_may_reach(a->entries, i, &first, &last))
            continue;
        for (unsigned j = 0; j < b->count; j++) {
            uint64_t low = first, high = last;
            if (plan_may_reach(b->entries, j, &low, &high) &&
                !plan_covered(windows, window_count, low, high))
                return false;
        }
    }
    return true;
}

struct checking {
    const struct plan *plan;
    const struct plan_board *board;
    struct plan_problem *problem;
};

static const char *name_of(const struct checking *c, unsigned p)
{
    const struct spec_vm *spec = c->plan->partitions[p].spec;
    return spec != NULL ? spec->name : "all";
}

/* What a partition's worlds may reach nothing of. */
static int check_forbidden(const struct checking *c, const struct plan_world *world, unsigned p,
                           struct plan_range range, const char *what)
{
    return plan_world_reaches(world, range)
               ? plan_fail(c->problem, -E_INVAL, "partition %u (%s) would reach %s at %x", p,
                           name_of(c, p), what, range.base)
               : 0;
}

/* Of the PLIC a partition reaches the claim page of a hart that it has for itself, no more. */
static int check_plic(const struct checking *c, const struct plan_world *world, unsigned p,
                      unsigned h)
{
    const struct plan_board *board = c->board;
    struct plan_range page = plan_claim_page(board, board->harts[h].plic_context);
    struct plan_range rest = board->plic;
    int error = 0;

    if (page.size != 0 && !plan_hart_shared(c->plan, h)) {
        rest.size = page.base - rest.base;
        struct plan_range behind = {page.base + page.size,
                                    board->plic.size - rest.size - page.size};
        error = check_forbidden(c, world, p, behind, "the PLIC");
    }
    return error != 0 ? error : check_forbidden(c, world, p, rest, "the PLIC");
}

static int check_world(const struct checking *c, const struct plan_world *world, unsigned p,
                       unsigned h)
{
    const struct plan_board *board = c->board;
    const struct plan_partition *partition = &c->plan->partitions[p];
    int error = check_forbidden(c, world, p, board->firmware, "the firmware");

    if (error == 0)
        error = check_forbidden(c, world, p, board->bundle, "the bundle");
    for (unsigned i = 0; i < board->machine_count && error == 0; i++)
        error = check_forbidden(c, world, p, board->machine[i], "a device of M-mode");
    if (partition->everything || error != 0)
        return error;
    error = check_plic(c, world, p, h);
    if (error == 0)
        error = check_forbidden(c, world, p, board->aplic, "the APLIC");
    for (unsigned i = 0; i < board->hart_count && error == 0; i++) {
        bool own = false;
        for (unsigned v = 0; v < partition->vcpu_count; v++)
            own = own || (partition->harts[v] == i && !plan_hart_shared(c->plan, i));
        if (!own)
            error = check_forbidden(c, world, p, board->harts[i].imsic, "another's IMSIC");
    }
    for (unsigned d = 0; d < board->device_count; d++) {
        const struct plan_device *device = &board->devices[d];
        bool fine = !device->master || (partition->spec != NULL && partition->spec->trusted_dma);
        for (unsigned i = 0; !fine && i < device->reg_count && error == 0; i++)
            error = check_forbidden(c, world, p, device->regs[i], device->name);
    }
    return error;
}

static int make_world(const struct checking *c, struct plan_world *world, unsigned p, unsigned h)
{
    int count = plan_pmp(c->plan, c->board, p, h, world->entries);
    if (count < 0)
        return plan_fail(c->problem, -E_INVAL, "partition %u (%s): too few PMP entries", p,
                         name_of(c, p));
    world->count = (unsigned)count;
    return 0;
}

/* Against the worlds of all later partitions. */
static int check_others(const struct checking *c, const struct plan_world *world, unsigned p)
{
    struct plan_range windows[PLAN_WINDOWS_MAX];
    for (unsigned q = p + 1; q < c->plan->partition_count; q++) {
        const struct plan_partition *other = &c->plan->partitions[q];
        unsigned count = 0;
        for (unsigned i = 0; i < c->plan->window_count; i++) {
            const unsigned *ends = c->plan->windows[i].partitions;
            if ((ends[0] == p && ends[1] == q) || (ends[0] == q && ends[1] == p))
                windows[count++] = c->plan->windows[i].range;
        }
        for (unsigned v = 0; v < other->vcpu_count; v++) {
            struct plan_world theirs;
            int error = make_world(c, &theirs, q, other->harts[v]);
            if (error != 0)
                return error;
            if (!plan_worlds_apart(world, &theirs, windows, count))
                return plan_fail(c->problem, -E_INVAL,
                                 "partitions %u (%s) and %u (%s) would reach the same address", p,
                                 name_of(c, p), q, name_of(c, q));
        }
    }
    return 0;
}

int plan_check(const struct plan *plan, const struct plan_board *board,
               struct plan_problem *problem)
{
    const struct checking c = {plan, board, problem};
    problem->text[0] = 0;
    /* First what nobody may have, then each against each. */
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned p = 0; p < plan->partition_count; p++) {
            const struct plan_partition *partition = &plan->partitions[p];
            for (unsigned v = 0; v < partition->vcpu_count; v++) {
                struct plan_world world;
                int error = make_world(&c, &world, p, partition->harts[v]);
                if (error == 0)
                    error = pass == 0 ? check_world(&c, &world, p, partition->harts[v])
                                      : check_others(&c, &world, p);
                if (error != 0)
                    return error;
            }
        }
    }
    return 0;
}
