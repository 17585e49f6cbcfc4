/* bundle: a fleet and its files in one image, with the hypervisor that runs them on bare metal. */
#define _GNU_SOURCE
#include "core/bundle.h"
#include "type2/bundle_size.h"
#include "type2/command.h"
#include "type2/config.h"
#include "type2/payload.h"
#include "vmm/plan.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX     (SPEC_VMS_MAX * (2 + SPEC_DISKS_MAX))
#define DIRECTORY_MAX (1u << 20)
#define SPEC_BLOB_MAX (1u << 20)
/* Of the Image header (Linux, Documentation/arch/riscv/boot-image-header.rst). */
#define IMAGE_SIZE_AT  16
#define IMAGE_MAGIC_AT 56
#define IMAGE_HEADER   64
/* What a hypervisor may want behind its file, for data that begin as zeros. */
#define ZEROS_MAX (16u << 20)

struct bundle_file {
    const char *path;
    struct blob blob;
    uint64_t offset;
};

struct bundle_writer {
    struct bundle_header header;
    struct bundle_file files[FILES_MAX];
    unsigned file_count;
    uint8_t *directory, *spec;
    unsigned type;       /* 0 or 1 */
    struct blob payload; /* of plain firmware: then there is no bundle */
    struct blob hypervisor;
    uint64_t base; /* of the bundle in the image */
};

static uint64_t align_up(uint64_t value)
{
    return (value + BUNDLE_ALIGN - 1) & ~(uint64_t)(BUNDLE_ALIGN - 1);
}

/* Guests that name the same file share it. */
static int add_file(struct bundle_writer *w, const char *what, const char *path, bool unpacked,
                    struct problem *problem)
{
    if (path == NULL)
        return 0;
    for (unsigned i = 0; i < w->file_count; i++) {
        if (strcmp(w->files[i].path, path) == 0)
            return 0;
    }
    struct bundle_file *file = &w->files[w->file_count];
    int error = unpacked ? blob_map_unpacked(&file->blob, what, path, problem)
                         : blob_map(&file->blob, what, path, problem);
    if (error == 0) {
        file->path = path;
        w->file_count++;
    }
    return error;
}

/* What type 1 leaves out. */
static void say_left_out(const struct spec_vm *spec)
{
    const struct {
        bool wanted;
        const char *key;
    } keys[] = {{spec->placed, "address"},
                {spec->trusted_dma, "trusted_dma"},
                {spec->control, "control"},
                {spec->shared_count > 0, "shared"}};
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].wanted)
            fprintf(stderr, "trivisor: %s: %s is for type 0 alone; type 1 leaves it out\n",
                    spec->name, keys[i].key);
    }
}

static int add_vm(struct bundle_writer *w, const struct spec_vm *spec, struct problem *problem)
{
    struct payload payload;
    const char *refused = w->type == 0 ? plan_refuses(spec) : NULL;

    if (refused != NULL)
        return problem_set(problem, -E_NOTSUP, "%s: %s", spec->name, refused);
    if (spec->firmware != NULL || spec->kernel == NULL)
        return problem_set(problem, -E_NOTSUP,
                           "a bare-metal guest starts from a kernel, not from firmware");
    int error = payload_open(&payload, spec, problem);
    if (error < 0)
        return error;
    payload_close(&payload);
    error = add_file(w, "kernel", spec->kernel, true, problem);
    if (error == 0)
        error = add_file(w, "initrd", spec->initrd, false, problem);
    for (unsigned i = 0; error == 0 && i < spec->disk_count; i++) {
        unsigned number;
        if (!spec_board_index(spec->disks[i].path, &number))
            error = add_file(w, "disk", spec->disks[i].path, false, problem);
    }
    return error;
}

/* Lays everything out; the directory and the description are written into memory. */
static int lay_out(struct bundle_writer *w, const struct spec_fleet *fleet, struct problem *problem)
{
    struct bundle_header *header = &w->header;
    struct fdt_writer fdt;

    w->directory = calloc(1, DIRECTORY_MAX);
    w->spec = calloc(1, SPEC_BLOB_MAX);
    if (w->directory == NULL || w->spec == NULL)
        return problem_set(problem, -E_NOMEM, "no memory");
    long size = spec_flatten(fleet, w->spec, SPEC_BLOB_MAX);
    if (size < 0)
        return problem_set(problem, (int)size, "the description is too large");
    memcpy(header->magic, BUNDLE_MAGIC, sizeof header->magic);
    header->version = 1;
    header->spec = align_up(sizeof *header);
    header->spec_size = (uint64_t)size;
    header->directory = align_up(header->spec + header->spec_size);
    uint64_t offset = header->directory + DIRECTORY_MAX / 16;

    fdt_begin(&fdt, w->directory, DIRECTORY_MAX / 16);
    fdt_node(&fdt, "");
    fdt_put_str(&fdt, "compatible", "trivisor,bundle");
    for (unsigned i = 0; i < w->file_count; i++) {
        w->files[i].offset = offset;
        fdt_node_at(&fdt, "file", i);
        fdt_put_str(&fdt, "path", w->files[i].path);
        fdt_put_u64(&fdt, "offset", offset);
        fdt_put_u64(&fdt, "size", w->files[i].blob.size);
        fdt_end(&fdt);
        offset = align_up(offset + w->files[i].blob.size);
    }
    fdt_end(&fdt);
    size = fdt_finish(&fdt);
    if (size < 0)
        return problem_set(problem, (int)size, "the names of its files are too long");
    header->directory_size = (uint64_t)size;
    header->size = offset;
    return 0;
}

static bool write_at(FILE *out, uint64_t at, const void *bytes, size_t size)
{
    return fseeko(out, (off_t)at, SEEK_SET) == 0 && fwrite(bytes, 1, size, out) == size;
}

static bool write_all(const struct bundle_writer *w, FILE *out)
{
    if (w->payload.bytes != NULL)
        return write_at(out, 0, w->hypervisor.bytes, w->hypervisor.size) &&
               write_at(out, BUNDLE_PAYLOAD_AT, w->payload.bytes, w->payload.size) &&
               fflush(out) == 0;
    uint64_t base = w->base, image_size = base + w->header.size;
    bool good = write_at(out, 0, w->hypervisor.bytes, w->hypervisor.size) &&
                write_at(out, IMAGE_SIZE_AT, &image_size, sizeof image_size) &&
                write_at(out, base, &w->header, sizeof w->header) &&
                write_at(out, base + w->header.spec, w->spec, w->header.spec_size) &&
                write_at(out, base + w->header.directory, w->directory, w->header.directory_size);
    for (unsigned i = 0; good && i < w->file_count; i++)
        good =
            write_at(out, base + w->files[i].offset, w->files[i].blob.bytes, w->files[i].blob.size);
    return good && fflush(out) == 0 && ftruncate(fileno(out), (off_t)image_size) == 0;
}

/* The file appears whole or not at all. */
static int write_file(const struct bundle_writer *w, const char *path, struct problem *problem)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return problem_set(problem, -ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
    FILE *out = fopen(temporary, "w");
    if (out == NULL)
        return problem_set(problem, -errno, "%s: %s", temporary, strerror(errno));
    errno = EIO;
    bool good = write_all(w, out);
    int error = good ? 0 : errno;
    if (fclose(out) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(temporary, path) != 0)
        error = errno;
    if (error == 0)
        return 0;
    unlink(temporary);
    return problem_set(problem, -error, "%s: %s", path, strerror(error));
}

/* Beside the program, or where `make install` puts it. */
static int open_hypervisor(struct blob *blob, unsigned type, const char *given,
                           struct problem *problem)
{
    static const char *const places[] = {"", "../share/trivisor/"};
    char self[PATH_MAX], path[PATH_MAX + 32];

    if (given != NULL)
        return blob_map(blob, "hypervisor", given, problem);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = 0;
    const char *folder = dirname(self);
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "%s/%stype%u.bin", folder, places[i], type);
        if (access(path, R_OK) == 0)
            return blob_map(blob, "hypervisor", path, problem);
    }
    return problem_set(problem, -ENOENT,
                       "type%u.bin is not beside the program; build it with 'make type%u' or name "
                       "it with --hypervisor",
                       type, type);
}

/* It finds the bundle behind its last byte in memory, which its header tells. */
static int place_bundle(struct bundle_writer *w, struct problem *problem)
{
    const uint8_t *bytes = w->hypervisor.bytes;
    uint64_t size = w->hypervisor.size, image_size = 0;

    if (size >= IMAGE_HEADER && memcmp(bytes + IMAGE_MAGIC_AT, "RSC\5", 4) == 0)
        memcpy(&image_size, bytes + IMAGE_SIZE_AT, sizeof image_size);
    if (image_size < size || image_size - size > ZEROS_MAX)
        return problem_set(problem, -ENOEXEC, "the file given as the hypervisor is none");
    w->base = align_up(image_size);
    return 0;
}

static int prepare(struct bundle_writer *w, const struct spec_fleet *fleet, const char *hypervisor,
                   struct problem *problem)
{
    int error = open_hypervisor(&w->hypervisor, w->type, hypervisor, problem);
    if (error == 0)
        error = place_bundle(w, problem);
    for (unsigned i = 0; error == 0 && i < fleet->vm_count; i++)
        error = add_vm(w, &fleet->vms[i], problem);
    return error == 0 ? lay_out(w, fleet, problem) : error;
}

static void close_all(struct bundle_writer *w)
{
    for (unsigned i = 0; i < w->file_count; i++)
        blob_free(&w->files[i].blob);
    blob_free(&w->hypervisor);
    blob_free(&w->payload);
    free(w->directory);
    free(w->spec);
    free(w);
}

int bundle_measure(const struct spec_fleet *fleet, unsigned type, const char *hypervisor,
                   uint64_t *hypervisor_size, uint64_t *bundle_size, struct problem *problem)
{
    struct bundle_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return problem_set(problem, -E_NOMEM, "no memory");
    w->type = type;
    int error = prepare(w, fleet, hypervisor, problem);
    *hypervisor_size = w->base;
    *bundle_size = w->header.size;
    close_all(w);
    return error;
}

static int bundle(const char *yaml, unsigned type, const char *hypervisor, const char *out)
{
    struct problem problem = {.text = ""};
    struct config *config = NULL;
    struct bundle_writer *w = calloc(1, sizeof *w);
    int status = 0;

    if (w == NULL)
        return command_fail("no memory");
    w->type = type;
    int error = config_read(&config, yaml, true, &problem);
    const struct spec_fleet *fleet = error == 0 ? config_fleet(config) : NULL;
    if (error == 0)
        error = prepare(w, fleet, hypervisor, &problem);
    if (error == 0)
        error = write_file(w, out, &problem);
    if (error == 0)
        printf("%s: %u guests, %u files, %.1f MiB\n", out, fleet->vm_count, w->file_count,
               (double)(w->base + w->header.size) / (1 << 20));
    else
        status = command_fail("%s", problem.text);
    for (unsigned i = 0; error == 0 && type == 1 && i < fleet->vm_count; i++)
        say_left_out(&fleet->vms[i]);
    close_all(w);
    config_free(config);
    return status;
}

/* Plain firmware with what it starts, as OpenSBI's fw_payload. */
static int bundle_payload(const char *path, const char *hypervisor, const char *out)
{
    struct problem problem = {.text = ""};
    struct bundle_writer *w = calloc(1, sizeof *w);
    int status = 0;

    if (w == NULL)
        return command_fail("no memory");
    int error = open_hypervisor(&w->hypervisor, 0, hypervisor, &problem);
    if (error == 0)
        error = place_bundle(w, &problem);
    if (error == 0)
        error = blob_map_unpacked(&w->payload, "payload", path, &problem);
    if (error == 0 && w->payload.size >= 4 &&
        memcmp(w->payload.bytes,
               "\x7f"
               "ELF",
               4) == 0)
        error = problem_set(&problem, -ENOEXEC,
                            "%s: is an ELF file, which no loader takes apart here; give the flat "
                            "binary (objcopy -O binary)",
                            path);
    if (error == 0)
        error = write_file(w, out, &problem);
    if (error == 0)
        printf("%s: plain firmware and its payload, %.1f MiB\n", out,
               (double)(BUNDLE_PAYLOAD_AT + w->payload.size) / (1 << 20));
    else
        status = command_fail("%s", problem.text);
    close_all(w);
    return status;
}

int cmd_bundle(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},          {"type", required_argument, NULL, 't'},
        {"output", required_argument, NULL, 'o'},  {"hypervisor", required_argument, NULL, 'H'},
        {"payload", required_argument, NULL, 'p'}, {0}};
    const char *type = "1", *out = NULL, *hypervisor = NULL, *payload = NULL;
    int c;

    while ((c = command_getopt(argc, argv, options)) != -1) {
        switch (c) {
        case 't': type = optarg; break;
        case 'o': out = optarg; break;
        case 'H': hypervisor = optarg; break;
        case 'p': payload = optarg; break;
        case -2: return 0;
        default: return 2;
        }
    }
    if (!command_words(argc, argv, payload != NULL ? 0 : 1))
        return 2;
    if (strcmp(type, "0") != 0 && strcmp(type, "1") != 0)
        return command_fail("--type %s: is neither; write --type 0 or --type 1", type);
    if (out == NULL)
        return command_fail("say where to write it: -o FILE");
    if (payload != NULL && type[0] != '0')
        return command_fail("--payload: is for --type 0 alone; type 1 has guests, which a "
                            "description names");
    if (payload != NULL)
        return bundle_payload(payload, hypervisor, out);
    return bundle(argv[optind], (unsigned)(type[0] - '0'), hypervisor, out);
}
