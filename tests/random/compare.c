/*
 * Random-program comparison: the same programs on two or three machines, and every register, trap
 * and byte of memory must agree. See image.h for how, generate.c for what is drawn and what is left
 * out.
 *
 *     random --harness FILE --work DIR --subject COMMAND [--second COMMAND] --oracle COMMAND
 *            [--oracle-is 7|10] [--vlen N] [--seed N] [--programs N] [--batch N] [--coverage N]
 * [--only INDEX
 * [--before N]]
 *
 * In a COMMAND, %s is the image. On a difference the program is cut shorter and shorter until it
 * vanishes; the last instruction of what remains made it. Status 0: all agree and each row was
 * covered; 1: not; 2: could not run.
 */
#include "generate.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX       4096
#define TIMEOUT_SECONDS 180
#define DIFFERENCES_MAX 8
#define CODE_SLOT       0x500000 /* from BATCH_BASE: code lies behind all descriptors */

_Static_assert(sizeof(struct batch) + BATCH_MAX * sizeof(struct descriptor) <= CODE_SLOT,
               "descriptors fit");

enum { SUBJECT, ORACLE, SECOND, SIDES }; /* SECOND: another subject, if there is a command */

struct options {
    const char *harness, *work, *command[SIDES];
    struct machine machine;
    uint64_t seed, programs, coverage;
    unsigned batch;
    bool only;
    uint64_t before; /* programs that run before the one to be explained, which may matter */
    uint64_t index;
};

struct image {
    uint8_t *bytes;
    size_t size, capacity;
    struct batch *batch;
};

/* The lines one machine printed. */
struct output {
    uint64_t *words, *marks, *illegal; /* the numbers of each line, or 0 (image.h) */
    size_t count;
    uint64_t storms; /* interrupts by hart 1 */
    bool ended;
};

static const char *const side_name[SIDES] = {"subject", "oracle", "second"};

static void die(const char *what, const char *name)
{
    fprintf(stderr, "random: %s %s: %s\n", what, name, strerror(errno));
    exit(2);
}

static void image_begin(struct image *image, const struct options *options, uint64_t flags)
{
    FILE *file = fopen(options->harness, "rb");

    image->capacity = BATCH_BASE - HARNESS_BASE + CODE_SLOT + (size_t)BATCH_MAX * CODE_MAX;
    if (image->bytes == NULL)
        image->bytes = malloc(image->capacity);
    if (file == NULL || image->bytes == NULL)
        die("cannot read", options->harness);
    memset(image->bytes, 0, BATCH_BASE - HARNESS_BASE + CODE_SLOT);
    if (fread(image->bytes, 1, TABLES_BASE - HARNESS_BASE, file) == 0)
        die("cannot read", options->harness);
    fclose(file);
    image->batch = (struct batch *)(void *)(image->bytes + (BATCH_BASE - HARNESS_BASE));
    image->batch->flags =
        flags | (options->machine.reference == REFERENCE_QEMU10 ? BATCH_SSTC | BATCH_STATEEN : 0) |
        (options->machine.vlen != 0 ? BATCH_VECTOR : 0) |
        (options->machine.hyper ? BATCH_HYPER : 0);
    image->size = BATCH_BASE - HARNESS_BASE + CODE_SLOT;
    data_words(image->batch->data, &options->machine);
}

/* WFI that reaches the end of a page; see 20 in generate.c. */
static bool ends_page_with_wfi(const uint8_t *code, size_t length, uint64_t pc)
{
    static const uint8_t wfi[] = {0x73, 0x00, 0x50, 0x10};

    for (size_t at = 0; at + sizeof wfi <= length; at += 2)
        if ((pc + at) % 4096 >= 4092 && memcmp(code + at, wfi, sizeof wfi) == 0)
            return true;
    return false;
}

static void image_add(struct image *image, const struct program *program, unsigned items)
{
    struct descriptor *d = &image->batch->descriptors[image->batch->count++];
    size_t length;

    for (;;) {
        uint8_t *code = image->bytes + image->size;
        uint64_t pc = HARNESS_BASE + image->size;

        length = program_place(program, items, pc, code, d);
        if (!ends_page_with_wfi(code, length, pc))
            break;
        image->size += 16;
    }
    image->size = (image->size + length + 15) & ~(size_t)15;
    if (d->storm)
        image->batch->flags |= BATCH_STORM;
}

/* The process, and where its output goes. */
static pid_t machine_start(const struct options *options, int side, const char *image,
                           const char *output)
{
    char command[4096];
    pid_t pid;

    snprintf(command, sizeof command, options->command[side], image);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (freopen(output, "wb", stdout) == NULL || freopen("/dev/null", "rb", stdin) == NULL)
            _exit(127);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (pid < 0)
        die("cannot start", options->command[side]);
    return pid;
}

static void machines_wait(pid_t pid[SIDES])
{
    time_t end = time(NULL) + TIMEOUT_SECONDS;
    int left = SIDES;

    while (left > 0) {
        left = 0;
        for (int side = 0; side < SIDES; side++) {
            if (pid[side] != 0 && waitpid(pid[side], NULL, WNOHANG) == pid[side])
                pid[side] = 0;
            if (pid[side] != 0 && time(NULL) >= end)
                kill(-pid[side], SIGKILL);
            left += pid[side] != 0;
        }
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void output_free(struct output *output)
{
    free(output->words);
    free(output->marks);
    free(output->illegal);
    output->words = output->marks = output->illegal = NULL;
}

static void output_read(struct output *output, const char *name)
{
    FILE *file = fopen(name, "rb");
    char line[256];
    size_t capacity = 0;

    output->count = 0;
    output->storms = 0;
    output->ended = false;
    output_free(output);
    if (file == NULL)
        die("cannot read", name);
    while (fgets(line, sizeof line, file) != NULL) {
        char *end;
        uint64_t word = strtoull(line, &end, 16);

        if (line[0] == 'E') {
            output->ended = true;
            output->storms = strtoull(line + 1, NULL, 16);
            break;
        }
        if (end != line + 16)
            continue;
        if (output->count == capacity) {
            capacity = capacity * 2 + 1024;
            output->words = realloc(output->words, capacity * sizeof *output->words);
            output->marks = realloc(output->marks, capacity * sizeof *output->marks);
            output->illegal = realloc(output->illegal, capacity * sizeof *output->illegal);
            if (output->words == NULL || output->marks == NULL || output->illegal == NULL)
                die("cannot hold", name);
        }
        output->marks[output->count] = strtoull(end, &end, 16);
        output->illegal[output->count] = strtoull(end, NULL, 16);
        output->words[output->count++] = word;
    }
    fclose(file);
}

static void run_all(const struct options *options, struct image *image, struct output output[SIDES])
{
    char image_name[512], name[SIDES][512];
    pid_t pid[SIDES] = {0};
    FILE *file;

    snprintf(image_name, sizeof image_name, "%s/image.bin", options->work);
    file = fopen(image_name, "wb");
    if (file == NULL || fwrite(image->bytes, 1, image->size, file) != image->size ||
        fclose(file) != 0)
        die("cannot write", image_name);
    for (int side = 0; side < SIDES; side++) {
        snprintf(name[side], sizeof name[side], "%s/%s.out", options->work, side_name[side]);
        if (options->command[side] != NULL)
            pid[side] = machine_start(options, side, image_name, name[side]);
    }
    machines_wait(pid);
    for (int side = 0; side < SIDES; side++)
        if (options->command[side] != NULL)
            output_read(&output[side], name[side]);
}

/* Drops the first `records` of a verbose output; each is a count and as many words. */
static void output_skip(struct output *output, uint64_t records)
{
    size_t at = 0;

    while (records-- > 0 && at < output->count)
        at += 1 + output->words[at];
    if (at > output->count)
        at = output->count;
    output->count -= at;
    memmove(output->words, output->words + at, output->count * sizeof *output->words);
}

/* The name of word `index` of struct record. */
static void word_name(size_t index, char *text, size_t capacity)
{
    static const char *const csrs[] = {
        "fcsr",    "end cause",  "end epc",    "end status", "mie",     "mip",
        "medeleg", "mideleg",    "sepc",       "scause",     "stval",   "stvec",
        "satp",    "mcounteren", "scounteren", "menvcfg",    "senvcfg", "pmpcfg0"};
    static const char *const vector[] = {"vl", "vtype", "vstart", "vcsr"};
    static const char *const trap[] = {"cause", "epc", "tval", "status", "V's state", "H's state"};
    static const char *const h[H_WORDS] = {"hstatus",    "hedeleg", "hideleg",   "hie",  "hvip",
                                           "hcounteren", "henvcfg", "vsstatus",  "vsie", "vsepc",
                                           "vscause",    "vstval",  "vsscratch", "vsatp"};
    size_t count = sizeof csrs / sizeof csrs[0];

#define AT(member) (offsetof(struct record, member) / 8)
    if (index < 32)
        snprintf(text, capacity, "x%zu %s", index, riscv_reg_names[index]);
    else if (index < AT(fcsr))
        snprintf(text, capacity, "f%zu %s", index - 32, riscv_freg_names[index - 32]);
    else if (index < AT(fcsr) + count)
        snprintf(text, capacity, "%s", csrs[index - AT(fcsr)]);
    else if (index < AT(leaf))
        snprintf(text, capacity, "pmpaddr%zu", index - AT(pmpaddr));
    else if (index < AT(data))
        snprintf(text, capacity, "pte %zu", index - AT(leaf));
    else if (index < AT(vl))
        snprintf(text, capacity, "memory at %#zx", DATA_BASE + DATA_CHUNK * (index - AT(data)));
    else if (index < AT(v))
        snprintf(text, capacity, "%s", vector[index - AT(vl)]);
    else if (index >= AT(h) && index < AT(traps))
        snprintf(text, capacity, "%s", h[index - AT(h)]);
    else if (index < AT(h))
        snprintf(text, capacity, "v, word %zu", index - AT(v));
    else if (index == AT(traps))
        snprintf(text, capacity, "traps");
    else
        snprintf(text, capacity, "trap %zu %s", (index - AT(trap)) / TRAP_WORDS,
                 trap[(index - AT(trap)) % TRAP_WORDS]);
}

static bool word_differs(const struct output *a, const struct output *b, size_t index)
{
    if (index >= a->count || index >= b->count)
        return a->count != b->count;
    return a->words[index] != b->words[index];
}

/* V's registers, element 0 to the right: before the last item, and behind it where it changed them.
 */
static void print_vectors(const struct options *options, const uint64_t *before,
                          const uint64_t *subject, const uint64_t *oracle)
{
    const uint64_t *values[] = {before, subject, oracle};
    const size_t words = options->machine.vlen / 64;

    for (size_t reg = 0; reg < 32; reg++)
        for (unsigned which = 0; which < 3; which++) {
            const uint64_t *v = values[which] + reg * words;
            bool differs = memcmp(subject + reg * words, oracle + reg * words, words * 8) != 0;

            if (which != 0 && memcmp(v, before + reg * words, words * 8) == 0 && !differs)
                continue;
            if (which == 2 && !differs)
                continue;
            if (which == 0)
                printf("v%-2zu                ", reg);
            else
                printf(" %-10s        ", which == 2 ? "oracle" : differs ? "subject" : "then");
            for (size_t i = words; i-- > 0;)
                printf(" %016llx", (unsigned long long)v[i]);
            printf("%s\n", which == 2 ? "  <--" : "");
        }
}

static void print_word(const char *name, uint64_t value)
{
    printf("%s %#llx, ", name, (unsigned long long)value);
}

static void print_state(const struct options *options, const struct program *program,
                        uint64_t index, unsigned items)
{
    static struct program earlier;
    struct image image = {0};
    struct output output[SIDES] = {{0}};
    const struct descriptor *d;
    const uint64_t *before;
    size_t v = 1 + offsetof(struct record, v) / 8;

    image_begin(&image, options, BATCH_VERBOSE);
    for (uint64_t i = index - options->before; i < index; i++) {
        program_make(&earlier, options->seed, i, &options->machine);
        image_add(&image, &earlier, earlier.item_count);
    }
    image_add(&image, program, items);
    image_add(&image, program, items == 0 ? 0 : items - 1); /* what the last item started from */
    d = &image.batch->descriptors[image.batch->count - 2];
    print_word("mode", d->mstatus >> 11 & 3);
    print_word("satp", d->satp);
    print_word("mstatus", d->mstatus);
    print_word("medeleg", d->medeleg);
    print_word("mideleg", d->mideleg);
    print_word("mie", d->mie);
    print_word("mip", d->mip);
    print_word("menvcfg", d->menvcfg);
    print_word("senvcfg", d->senvcfg);
    print_word("mcounteren", d->mcounteren);
    print_word("scounteren", d->scounteren);
    print_word("msip", d->msip);
    print_word("mtimecmp", d->mtimecmp);
    print_word("stimecmp", d->stimecmp);
    print_word("fcsr", d->fcsr);
    if (options->machine.hyper) {
        print_word("hstatus", d->hstatus);
        print_word("hedeleg", d->hedeleg);
        print_word("hideleg", d->hideleg);
        print_word("hvip", d->hvip);
        print_word("hcounteren", d->hcounteren);
        print_word("henvcfg", d->henvcfg);
        print_word("vsstatus", d->vsstatus);
        print_word("vsatp", d->vsatp);
    }
    printf("\n");
    run_all(options, &image, output);
    for (int side = 0; side < SIDES; side++)
        output_skip(&output[side], options->before);
    for (int side = 0; side < SIDES; side++)
        if (output[side].count > v + V_WORDS && output[side].count > output[side].words[0])
            output[side].count = 1 + output[side].words[0];
    before = output[ORACLE].words + output[ORACLE].count;
    printf("%-20s %16s %16s\n", "", side_name[0], side_name[1]);
    for (size_t i = 1; i < output[0].count || i < output[1].count; i++) {
        uint64_t a = i < output[0].count ? output[0].words[i] : 0,
                 b = i < output[1].count ? output[1].words[i] : 0;
        bool differs = word_differs(&output[SUBJECT], &output[ORACLE], i),
             trap = i - 1 > offsetof(struct record, traps) / 8;
        char name[40];

        word_name(i - 1, name, sizeof name);
        if (options->machine.vlen != 0 && i >= v && i < v + V_WORDS)
            continue;
        if (differs || trap || i <= 64)
            printf("%-20s %016llx %016llx%s", name, (unsigned long long)a, (unsigned long long)b,
                   differs ? "  <--" : "");
        if (i <= 64) /* what it started from helps to see what happened */
            printf("  (from %016llx)", (unsigned long long)before[i]);
        if (differs || trap || i <= 64)
            printf("\n");
    }
    if (options->machine.vlen != 0 && output[SUBJECT].count > v + V_WORDS)
        print_vectors(options, before + v, output[SUBJECT].words + v, output[ORACLE].words + v);
    for (unsigned i = 0; i < WINDOW_PAGES; i++)
        if (d->satp != 0 || d->vsatp != 0)
            printf("pte %u %016llx\n", i, (unsigned long long)d->leaf[i]);
    for (unsigned i = 0; options->machine.hyper && i < WINDOW_PAGES; i++)
        printf("g-stage pte %u %016llx\n", i, (unsigned long long)d->g_leaf[i]);
    if (d->satp != 0 || d->vsatp != 0)
        printf("mega %016llx\n", (unsigned long long)d->mega);
    if (d->pmpcfg0 != 0)
        for (unsigned i = 0; i < 8; i++)
            printf("pmp %u cfg %02x addr %#llx\n", i, (unsigned)(d->pmpcfg0 >> 8 * i & 0xff),
                   (unsigned long long)(d->pmpaddr[i] << 2));
    program_print(program, items, d->start, stdout);
    free(image.bytes);
    for (int side = 0; side < SIDES; side++)
        output_free(&output[side]);
}

/* Runs all beginnings of the program at once; the shortest that differs shows the instruction. */
static void explain(const struct options *all, int subject, uint64_t index)
{
    struct options two = *all, *options = &two;
    static struct program program;
    struct image image = {0};
    struct output output[SIDES] = {{0}};
    unsigned items;

    two.command[SUBJECT] = all->command[subject];
    two.command[SECOND] = NULL;
    program_make(&program, options->seed, index, &options->machine);
    image_begin(&image, options, 0);
    for (items = 0; items <= program.item_count; items++)
        image_add(&image, &program, items);
    run_all(options, &image, output);
    for (items = 0;
         items < program.item_count && !word_differs(&output[SUBJECT], &output[ORACLE], items);
         items++)
        ;
    printf("\n==== difference of the %s: --seed %llu --only %llu, %u of %u items\n",
           side_name[subject], (unsigned long long)options->seed, (unsigned long long)index, items,
           program.item_count);
    print_state(options, &program, index, items);
    fflush(stdout);
    free(image.bytes);
    for (int side = 0; side < SIDES; side++)
        output_free(&output[side]);
}

/* Counts the rows of the items that a program executed: marks come from the oracle. False: it did
 * not come to its end. */
static bool count_rows(const struct program *program, uint64_t marks, uint64_t illegal,
                       uint64_t *covered)
{
    for (unsigned i = 0; i < program->item_count; i++)
        for (unsigned k = 0; k < program->items[i].row_count && (marks >> i & 1) != 0; k++)
            if (!is_vector_row(program->items[i].rows[k]) || (illegal >> i & 1) == 0)
                covered[program->items[i].rows[k]]++;
    return marks != 0;
}

static bool check_coverage(const struct options *options, const uint64_t *covered)
{
    bool good = true;
    uint64_t least = UINT64_MAX;
    unsigned rows = 0;

    for (unsigned row = 1; row < row_count(); row++) {
        if (!row_covered(row, &options->machine))
            continue;
        rows++;
        if (covered[row] < least)
            least = covered[row];
        if (covered[row] < options->coverage) {
            printf("row %s: executed %llu times, want %llu\n", row_name(row),
                   (unsigned long long)covered[row], (unsigned long long)options->coverage);
            good = false;
        }
    }
    printf("%u rows of the instruction table, each executed at least %llu times\n", rows,
           (unsigned long long)least);
    return good;
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "random: %s is not a number\n", text);
        exit(2);
    }
    return value;
}

static void parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (strcmp(name, "--harness") == 0)
            options->harness = value;
        else if (strcmp(name, "--work") == 0)
            options->work = value;
        else if (strcmp(name, "--subject") == 0)
            options->command[SUBJECT] = value;
        else if (strcmp(name, "--second") == 0)
            options->command[SECOND] = value;
        else if (strcmp(name, "--oracle") == 0)
            options->command[ORACLE] = value;
        else if (strcmp(name, "--oracle-is") == 0)
            options->machine.reference = number(value) == 7 ? REFERENCE_QEMU7 : REFERENCE_QEMU10;
        else if (strcmp(name, "--vlen") == 0)
            options->machine.vlen = (unsigned)number(value);
        else if (strcmp(name, "--hyper") == 0)
            options->machine.hyper = number(value) != 0;
        else if (strcmp(name, "--seed") == 0)
            options->seed = number(value);
        else if (strcmp(name, "--programs") == 0)
            options->programs = number(value);
        else if (strcmp(name, "--coverage") == 0)
            options->coverage = number(value);
        else if (strcmp(name, "--before") == 0)
            options->before = number(value);
        else if (strcmp(name, "--batch") == 0)
            options->batch = (unsigned)number(value);
        else if (strcmp(name, "--only") == 0) {
            options->only = true;
            options->index = number(value);
        } else {
            fprintf(stderr, "random: unknown option %s\n", name);
            exit(2);
        }
    }
    if (options->harness == NULL || options->work == NULL || options->command[SUBJECT] == NULL ||
        options->command[ORACLE] == NULL || options->batch == 0 || options->batch > BATCH_MAX) {
        fprintf(
            stderr,
            "random: --harness, --work, --subject and --oracle are needed; --batch is 1 to %d\n",
            BATCH_MAX);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct program program;
    static uint64_t covered[ROWS_MAX];
    struct options options = {
        .seed = 1, .programs = 2000, .batch = 2000, .machine.reference = REFERENCE_QEMU10};
    struct image image = {0};
    struct output output[SIDES] = {{0}};
    uint64_t differences = 0, ended = 0, storms[SIDES] = {0};
    bool good = true;

    parse(&options, argc, argv);
    if (options.only) {
        explain(&options, SUBJECT, options.index);
        return 0;
    }
    for (uint64_t first = 0; first < options.programs; first += options.batch) {
        uint64_t count =
            options.programs - first < options.batch ? options.programs - first : options.batch;

        image_begin(&image, &options, 0);
        for (uint64_t i = 0; i < count; i++) {
            program_make(&program, options.seed, first + i, &options.machine);
            image_add(&image, &program, program.item_count);
        }
        run_all(&options, &image, output);
        for (int side = 0; side < SIDES; side++) {
            storms[side] += output[side].storms;
            if (options.command[side] != NULL &&
                (!output[side].ended || output[side].count != count))
                printf("%s stopped after program %llu\n", side_name[side],
                       (unsigned long long)(first + output[side].count));
        }
        for (uint64_t i = 0; i < count && i < output[ORACLE].count; i++) {
            int wrong = word_differs(&output[SUBJECT], &output[ORACLE], i) ? SUBJECT
                        : options.command[SECOND] != NULL &&
                                word_differs(&output[SECOND], &output[ORACLE], i)
                            ? SECOND
                            : ORACLE;

            if (wrong == ORACLE) {
                program_make(&program, options.seed, first + i, &options.machine);
                ended += count_rows(&program, output[ORACLE].marks[i], output[ORACLE].illegal[i],
                                    covered);
                continue;
            }
            if (++differences <= DIFFERENCES_MAX)
                explain(&options, wrong, first + i);
            if (i >= output[wrong].count)
                break;
        }
        if (output[ORACLE].count < count) {
            printf("the oracle did not run them all: nothing is compared any more\n");
            differences++;
            break;
        }
        if (differences >= DIFFERENCES_MAX) {
            printf("stopped after %llu programs\n", (unsigned long long)(first + count));
            break;
        }
    }
    free(image.bytes);
    good = differences == 0;
    if (good)
        good = check_coverage(&options, covered);
    for (int side = 0; side < SIDES; side++) {
        if (options.command[side] == NULL || options.machine.hyper ||
            options.machine.reference != REFERENCE_QEMU10 || options.programs <= STORM_RUN)
            continue;
        printf("%s: %llu interrupts from hart 1\n", side_name[side],
               (unsigned long long)storms[side]);
        good = good && storms[side] != 0;
    }
    printf("%llu programs (%llu came to their end), %llu differences\n",
           (unsigned long long)options.programs, (unsigned long long)ended,
           (unsigned long long)differences);
    return good ? 0 : 1;
}
