#include "type1/trace.h"

#include "type1/print.h"

#define HELD      48           /* exits that wait to be shown */
#define SHOW_NS   500000000ULL /* between two lots of them: what a line of 115,200 baud takes */
#define UNLIMITED UINT64_MAX

struct trace {
    struct host_lock lock;
    bool on;
    uint64_t left; /* exits that are wanted yet */
    uint64_t more; /* for which there was no place */
    unsigned count;
    uint64_t shown_ns;
    struct {
        unsigned vcpu;
        struct hext_record record;
    } held[HELD];
};

const char *const trace_exit_names[HEXT_EXIT_COUNTS + 1] = {"interrupt", "ecall", "mmio", "wfi",
                                                            "virtual",   "fault", "other"};

static struct guest *guest_of(const struct vm *vm)
{
    return (struct guest *)((char *)(uintptr_t)vm - offsetof(struct guest, vm));
}

void hext_host_record(struct hext_vcpu *v, const struct hext_record *record)
{
    struct trace *trace = guest_of(v->hart->vcpu.vm)->trace;
    host_lock_acquire(&trace->lock);
    if (trace->left != 0 && trace->count < HELD) {
        trace->held[trace->count].vcpu = v->hart->vcpu.id;
        trace->held[trace->count++].record = *record;
        trace->left -= trace->left != UNLIMITED;
    } else if (trace->left != 0) {
        trace->more++;
    }
    host_lock_release(&trace->lock);
}

/* ---- Lines ---- */

/* SBI's extensions have numbers that are names (SBI 2.0, 3); the others are shown as numbers. */
static void name_extension(uint64_t id, char *text, size_t size)
{
    char name[5];
    size_t length = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        char c = (char)(id >> shift);
        if (c != 0 || length != 0)
            name[length++] = c;
    }
    name[length] = 0;
    bool good = length >= 3 && id >> 32 == 0;
    for (size_t i = 0; good && i < length; i++)
        good = name[i] >= '0' && name[i] <= 'z';
    if (id == 0x10)
        text_format(text, size, "BASE");
    else if (good)
        text_format(text, size, "%s", name);
    else
        text_format(text, size, "extension %lx", (unsigned long)id);
}

static size_t put_call(const struct hext_record *record, char *text, size_t size)
{
    char name[32];
    name_extension(record->args[7], name, sizeof name);
    size_t at = text_format(text, size, "%s function %lu (%lx, %lx, %lx)", name,
                            (unsigned long)record->args[6], (unsigned long)record->args[0],
                            (unsigned long)record->args[1], (unsigned long)record->args[2]);
    if (!record->answered)
        return at + text_format(text + at, size - at, " does not return");
    return at + text_format(text + at, size - at, " = error %ld, value %lx",
                            (long)record->result[0], (unsigned long)record->result[1]);
}

static size_t put_access(struct guest *guest, const struct hext_record *record, char *text,
                         size_t size)
{
    const struct hext_access *access = &record->access;
    const struct bus_range *range = bus_find(&guest->vm.bus, record->gpa);
    bool store = access->kind == ACCESS_STORES || access->kind == ACCESS_FSTORES;
    size_t at = text_format(text, size, "%s of %u bytes at %lx (%s + %lx)",
                            store ? "write" : "read", access->width, (unsigned long)record->gpa,
                            range != NULL ? range->name : "nothing",
                            (unsigned long)(record->gpa - (range != NULL ? range->base : 0)));
    if (access->kind == ACCESS_LOADS || access->kind == ACCESS_STORES)
        at += text_format(text + at, size - at, " = %lx", (unsigned long)record->value);
    return at;
}

static void show(struct guest *guest, unsigned vcpu, const struct hext_record *record)
{
    char text[160];
    size_t at = 0;
    text[0] = 0;
    switch (record->kind) {
    case HEXT_EXIT_ECALL: at = put_call(record, text, sizeof text); break;
    case HEXT_EXIT_MMIO: at = put_access(guest, record, text, sizeof text); break;
    case HEXT_EXIT_INTERRUPT:
        at = text_format(text, sizeof text, "number %u", (unsigned)(record->cause & 0xff));
        break;
    case HEXT_EXIT_WFI: break;
    case HEXT_EXIT_VIRTUAL:
        at = text_format(text, sizeof text, "instruction %lx", (unsigned long)record->tval);
        break;
    default:
        at = text_format(text, sizeof text, "scause %lx  stval %lx  guest-physical %lx",
                         (unsigned long)record->cause, (unsigned long)record->tval,
                         (unsigned long)record->gpa);
        break;
    }
    if (record->fault)
        text_format(text + at, sizeof text - at, "; an exception for the guest");
    console_answer("%s/%u %-9s pc %lx  %s", guest->spec->name, vcpu, trace_exit_names[record->kind],
                   (unsigned long)record->pc, text);
}

/* ---- On and off ---- */

static void set(struct guest *guest, struct trace *trace, uint64_t wanted)
{
    host_lock_acquire(&trace->lock);
    trace->on = wanted != 0;
    trace->left = wanted;
    if (wanted == 0)
        trace->count = 0;
    host_lock_release(&trace->lock);
    for (unsigned i = 0; i < guest->spec->cpus && guest->harts[i].vcpu.engine_data != NULL; i++)
        hext_trace(&guest->harts[i].vcpu, trace->on);
    console_answer("%s: the trace is %s", guest->spec->name, trace->on ? "on" : "off");
}

/* What is held stays as it is while it is shown: others only add to it. */
static void show_lot(struct guest *guest, struct trace *trace)
{
    uint64_t more = 0;
    bool end = false, over = false;
    for (unsigned shown = 0; !end; shown++) {
        host_lock_acquire(&trace->lock);
        end = shown == trace->count;
        if (end) {
            over = trace->on && trace->left == 0;
            more = trace->more;
            trace->count = 0;
            trace->more = 0;
        }
        host_lock_release(&trace->lock);
        if (!end)
            show(guest, trace->held[shown].vcpu, &trace->held[shown].record);
    }
    if (more != 0)
        console_answer("%s: %lu more exits, not shown", guest->spec->name, (unsigned long)more);
    if (over)
        set(guest, trace, 0);
}

void trace_show(void)
{
    uint64_t now = host_time_ns();
    for (unsigned i = 0; i < guest_count; i++) {
        struct trace *trace = guests[i]->trace;
        if (trace == NULL || trace->count == 0 || now - trace->shown_ns < SHOW_NS)
            continue;
        trace->shown_ns = now;
        show_lot(guests[i], trace);
    }
}

void trace_command(struct guest *guest, char *text)
{
    uint64_t wanted = 0;
    while (*text == ' ')
        text++;
    const char *digit = text;
    while (*digit >= '0' && *digit <= '9' && wanted < UINT32_MAX)
        wanted = wanted * 10 + (unsigned)(*digit++ - '0');
    if (strcmp(text, "on") == 0) {
        wanted = UNLIMITED;
    } else if (strcmp(text, "off") != 0 && (*digit != 0 || wanted == 0)) {
        console_answer("trace %s: say on, off, or how many exits", guest->spec->name);
        return;
    }
    if (guest->harts == NULL || guest->harts[0].vcpu.engine_data == NULL) {
        console_answer("%s has no VCPUs", guest->spec->name);
        return;
    }
    if (guest->trace == NULL) {
        struct trace *trace = host_alloc(sizeof *trace, 64);
        if (trace == NULL) {
            console_answer("no memory is left for a trace");
            return;
        }
        host_lock_init(&trace->lock);
        guest->trace = trace;
    }
    set(guest, guest->trace, wanted);
}

void trace_list(void)
{
    for (unsigned i = 0; i < guest_count; i++)
        console_answer("%-16s %s", guests[i]->spec->name,
                       guests[i]->trace != NULL && guests[i]->trace->on ? "traced" : "not traced");
}
