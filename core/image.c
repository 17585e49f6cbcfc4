#include "core/image.h"

#include "core/error.h"
#include "core/host.h"

#define MEM_SIZE_LIMIT                                                                             \
    (1ULL << 40) /* beyond any RAM of ours: a header that says so is malformed                     \
                  */
#define TEXT_OFFSET_LIMIT (1ULL << 30)
#define SEGMENTS_MAX      128
#define LINUX_ALIGN       (2ULL << 20)

/* Linux, Documentation/arch/riscv/boot-image-header.rst; the arm64 and LoongArch headers have the
 * same shape. */
enum linux_header {
    LINUX_TEXT_OFFSET = 8,
    LINUX_IMAGE_SIZE = 16,
    LINUX_FLAGS = 24,
    LINUX_MAGIC2 = 56,
    LINUX_PE_OFFSET = 60,
    LINUX_HEADER_SIZE = 64,
};
#define LINUX_FLAG_BIG_ENDIAN 1

/* PE/COFF: only as far as it tells that the end of a file is missing. */
enum pe_header {
    PE_SECTION_COUNT = 6,
    PE_OPTIONAL_SIZE = 20,
    PE_HEADER_SIZE = 24,
    PE_SECTION_SIZE = 40,
    PE_SECTION_RAW_SIZE = 16,
    PE_SECTION_RAW_OFFSET = 20,
};

/* System V ABI, "ELF-64 Object File Format"; e_machine from the RISC-V ELF psABI. */
enum elf_header {
    ELF_CLASS = 4,
    ELF_DATA = 5,
    ELF_TYPE = 16,
    ELF_MACHINE = 18,
    ELF_ENTRY = 24,
    ELF_PHOFF = 32,
    ELF_PHENTSIZE = 54,
    ELF_PHNUM = 56,
    ELF_HEADER_SIZE = 64,
};
enum elf_program_header {
    PH_TYPE = 0,
    PH_OFFSET = 8,
    PH_VADDR = 16,
    PH_PADDR = 24,
    PH_FILESZ = 32,
    PH_MEMSZ = 40,
    PH_SIZE = 56,
};
enum elf_value {
    ELF_CLASS_64 = 2,
    ELF_DATA_LITTLE = 1,
    ELF_TYPE_EXEC = 2,
    ELF_TYPE_DYN = 3,
    ELF_MACHINE_RISCV = 243,
    PH_TYPE_LOAD = 1,
};

struct segment {
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

/* A sequence of bytes at a fixed place by which we know what a file is that we cannot start. */
struct signature {
    uint32_t offset;
    uint8_t len;
    const char *bytes;
    const char *problem;
};

static const struct signature foreign[] = {
    {0x38, 4, "ARM\x64", "is a kernel for arm64, not for RISC-V"},
    {0x38, 4, "\xcd\x23\x82\x81", "is a kernel for LoongArch, not for RISC-V"},
    {0x202, 4, "HdrS", "is a kernel for x86 (bzImage), not for RISC-V"},
    {0x24, 4, "\x18\x28\x6f\x01", "is a kernel for 32-bit Arm (zImage), not for RISC-V"},
    {4, 4, "zimg", "is an EFI zboot image; unpack it first"},
    {0, 2, "MZ", "is an EFI program, not a RISC-V Linux Image"},
    {0, 2, "\x1f\x8b", "is gzip-compressed; unpack it first"},
    {0, 4, "\x28\xb5\x2f\xfd", "is zstd-compressed; unpack it first"},
    {0, 6, "\xfd\x37zXZ\0", "is xz-compressed, which is not supported; unpack it with xz -d"},
    {0, 3, "BZh", "is bzip2-compressed, which is not supported; unpack it with bzip2 -d"},
    {0, 4, "\x02\x21\x4c\x18", "is lz4-compressed, which is not supported; unpack it with lz4 -d"},
    {0, 4, "\x04\x22\x4d\x18", "is lz4-compressed, which is not supported; unpack it with lz4 -d"},
    {0, 4, "\x27\x05\x19\x56", "is a U-Boot uImage; give the kernel Image inside it"},
    {0, 4, "\xd0\x0d\xfe\xed", "is a device tree or FIT image; give the kernel Image itself"},
};

static const struct {
    uint16_t machine;
    const char *problem;
} elf_foreign[] = {
    {3, "is for 32-bit x86, not for RISC-V"},      {8, "is for MIPS, not for RISC-V"},
    {21, "is for 64-bit PowerPC, not for RISC-V"}, {22, "is for s390x, not for RISC-V"},
    {40, "is for 32-bit Arm, not for RISC-V"},     {62, "is for x86-64, not for RISC-V"},
    {183, "is for arm64, not for RISC-V"},         {258, "is for LoongArch, not for RISC-V"},
};

static uint16_t get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get_le32(const uint8_t *p)
{
    return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

static uint64_t get_le64(const uint8_t *p)
{
    return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

static int refuse(struct image *image, const char *problem)
{
    image->problem = problem;
    return -E_NOEXEC;
}

static bool holds(const struct image *image, uint64_t offset, const char *bytes, size_t len)
{
    return offset <= image->size && len <= image->size - offset &&
           memcmp(image->bytes + offset, bytes, len) == 0;
}

static void read_segment(const struct image *image, uint64_t at, struct segment *segment)
{
    const uint8_t *header = image->bytes + at;
    segment->offset = get_le64(header + PH_OFFSET);
    segment->vaddr = get_le64(header + PH_VADDR);
    segment->paddr = get_le64(header + PH_PADDR);
    segment->filesz = get_le64(header + PH_FILESZ);
    segment->memsz = get_le64(header + PH_MEMSZ);
}

/* Finds the next loadable segment from program header *index on, and moves *index behind it. */
static bool next_segment(const struct image *image, unsigned *index, struct segment *segment)
{
    uint64_t table = get_le64(image->bytes + ELF_PHOFF);
    unsigned count = get_le16(image->bytes + ELF_PHNUM);
    while (*index < count) {
        uint64_t at = table + (uint64_t)(*index)++ * PH_SIZE;
        if (get_le32(image->bytes + at + PH_TYPE) != PH_TYPE_LOAD)
            continue;
        read_segment(image, at, segment);
        if (segment->memsz != 0)
            return true;
    }
    return false;
}

static int elf_open(struct image *image)
{
    const uint8_t *bytes = image->bytes;
    image->kind = IMAGE_ELF;
    if (image->size < ELF_HEADER_SIZE)
        return refuse(image, "is a truncated ELF file; fetch or copy it again");
    bool little = bytes[ELF_DATA] == ELF_DATA_LITTLE;
    unsigned machine = little ? get_le16(bytes + ELF_MACHINE)
                              : (unsigned)bytes[ELF_MACHINE] << 8 | bytes[ELF_MACHINE + 1];
    for (size_t i = 0; i < sizeof(elf_foreign) / sizeof(elf_foreign[0]); i++) {
        if (machine == elf_foreign[i].machine)
            return refuse(image, elf_foreign[i].problem);
    }
    if (machine != ELF_MACHINE_RISCV)
        return refuse(image, "is an ELF file for another processor, not for RISC-V");
    if (bytes[ELF_CLASS] != ELF_CLASS_64 || bytes[ELF_DATA] != ELF_DATA_LITTLE)
        return refuse(image,
                      "is for 32-bit or big-endian RISC-V; only 64-bit little-endian runs here");
    uint16_t type = get_le16(bytes + ELF_TYPE);
    if (type != ELF_TYPE_EXEC && type != ELF_TYPE_DYN)
        return refuse(image, "is an ELF object file, not an executable; link it");

    uint64_t table = get_le64(bytes + ELF_PHOFF);
    unsigned count = get_le16(bytes + ELF_PHNUM);
    if (count == 0 || count > SEGMENTS_MAX || get_le16(bytes + ELF_PHENTSIZE) != PH_SIZE)
        return refuse(image, "is an ELF file without program headers, or with too many");
    if (table > image->size || (uint64_t)count * PH_SIZE > image->size - table)
        return refuse(image, "is a truncated ELF file; fetch or copy it again");

    uint64_t entry = get_le64(bytes + ELF_ENTRY);
    image->entry = entry;
    image->low = UINT64_MAX;
    image->high = 0;
    uint64_t total = 0;
    bool translated = false;
    unsigned index = 0;
    struct segment segment;
    while (next_segment(image, &index, &segment)) {
        if (segment.offset > image->size || segment.filesz > image->size - segment.offset)
            return refuse(image, "is a truncated ELF file; fetch or copy it again");
        if (segment.filesz > segment.memsz || segment.memsz > MEM_SIZE_LIMIT ||
            segment.paddr > UINT64_MAX - segment.memsz)
            return refuse(image, "is an ELF file with a malformed segment; link or fetch it again");
        total += segment.memsz;
        if (segment.paddr < image->low)
            image->low = segment.paddr;
        if (segment.paddr + segment.memsz > image->high)
            image->high = segment.paddr + segment.memsz;
        if (!translated && entry - segment.vaddr < segment.memsz) {
            image->entry = segment.paddr + (entry - segment.vaddr);
            translated = true;
        }
    }
    if (image->high == 0)
        return refuse(image, "is an ELF file with nothing to load; link it again");
    image->mem_size = image->high - image->low;
    /* Loading takes as long as all segments together, whatever RAM there is. */
    if (total > image->mem_size)
        return refuse(image, "is an ELF file with overlapping segments; link it again");
    return 0;
}

/* A kernel with an EFI stub is a PE file as well, whose sections tell where the file must end. */
static bool pe_truncated(const struct image *image)
{
    uint64_t pe = get_le32(image->bytes + LINUX_PE_OFFSET);
    if (!holds(image, 0, "MZ", 2) || !holds(image, pe, "PE\0\0", 4))
        return false;
    if (image->size - pe < PE_HEADER_SIZE)
        return true;
    unsigned count = get_le16(image->bytes + pe + PE_SECTION_COUNT);
    uint64_t at = pe + PE_HEADER_SIZE + get_le16(image->bytes + pe + PE_OPTIONAL_SIZE);
    for (unsigned i = 0; i < count; i++, at += PE_SECTION_SIZE) {
        if (at > image->size || image->size - at < PE_SECTION_SIZE)
            return true;
        uint64_t size = get_le32(image->bytes + at + PE_SECTION_RAW_SIZE);
        uint64_t offset = get_le32(image->bytes + at + PE_SECTION_RAW_OFFSET);
        if (size != 0 && offset + size > image->size)
            return true;
    }
    return false;
}

static int linux_open(struct image *image)
{
    image->kind = IMAGE_LINUX;
    image->text_offset = get_le64(image->bytes + LINUX_TEXT_OFFSET);
    uint64_t size = get_le64(image->bytes + LINUX_IMAGE_SIZE);
    if (get_le64(image->bytes + LINUX_FLAGS) & LINUX_FLAG_BIG_ENDIAN)
        return refuse(image, "is a big-endian kernel; only little-endian runs here");
    if (size > MEM_SIZE_LIMIT || image->text_offset > TEXT_OFFSET_LIMIT)
        return refuse(image, "is a Linux Image with a malformed header; build or fetch it again");
    if (pe_truncated(image))
        return refuse(image, "is a truncated Linux Image; fetch or copy it again");
    /* Signatures behind the kernel may make the file longer than what it says it occupies. */
    image->mem_size = size > image->size ? size : image->size;
    return 0;
}

int image_open(struct image *image, const void *bytes, size_t size)
{
    *image = (struct image){.kind = IMAGE_RAW, .bytes = bytes, .size = size, .mem_size = size};
    if (size == 0)
        return refuse(image, "is empty; fetch or copy it again");
    if (holds(image, 0, "\177ELF", 4))
        return elf_open(image);
    if (size >= LINUX_HEADER_SIZE && holds(image, LINUX_MAGIC2, "RSC\x05", 4))
        return linux_open(image);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (holds(image, foreign[i].offset, foreign[i].bytes, foreign[i].len))
            return refuse(image, foreign[i].problem);
    }
    return 0;
}

/* Copies `len` bytes to `gpa` and clears what follows up to `mem_len`. */
static int place(struct memory *mem, uint64_t gpa, const uint8_t *bytes, uint64_t len,
                 uint64_t mem_len)
{
    uint8_t *to = mem_map(mem, gpa, mem_len, true);
    if (to == NULL)
        return -E_NOSPC;
    host_copy(to, bytes, len);
    memset(to + len, 0, mem_len - len);
    mem_done(mem, gpa, mem_len);
    return 0;
}

int image_load(const struct image *image, struct memory *mem, uint64_t gpa, uint64_t *entry,
               uint64_t *end)
{
    if (image->kind != IMAGE_ELF) {
        if (image->kind == IMAGE_LINUX && gpa % LINUX_ALIGN != 0)
            return -E_INVAL;
        int error = place(mem, gpa, image->bytes, image->size, image->mem_size);
        if (error != 0)
            return error;
        *entry = gpa;
        *end = gpa + image->mem_size;
        return 0;
    }

    unsigned index = 0;
    struct segment segment;
    while (next_segment(image, &index, &segment)) {
        int error =
            place(mem, segment.paddr, image->bytes + segment.offset, segment.filesz, segment.memsz);
        if (error != 0)
            return error;
    }
    *entry = image->entry;
    *end = image->high;
    return 0;
}
