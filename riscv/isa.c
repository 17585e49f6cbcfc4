/* Names of extensions, and the models of harts that are made of them. */
#include "riscv/vcpu.h"

const char *const riscv_extension_names[EXT_COUNT] = {
    [EXT_I] = "i",
    [EXT_M] = "m",
    [EXT_A] = "a",
    [EXT_F] = "f",
    [EXT_D] = "d",
    [EXT_C] = "c",
    [EXT_B] = "b",
    [EXT_V] = "v",
    [EXT_H] = "h",
    [EXT_ZIC64B] = "zic64b",
    [EXT_ZICBOM] = "zicbom",
    [EXT_ZICBOP] = "zicbop",
    [EXT_ZICBOZ] = "zicboz",
    [EXT_ZICCAMOA] = "ziccamoa",
    [EXT_ZICCIF] = "ziccif",
    [EXT_ZICCLSM] = "zicclsm",
    [EXT_ZICCRSE] = "ziccrse",
    [EXT_ZICNTR] = "zicntr",
    [EXT_ZICOND] = "zicond",
    [EXT_ZICSR] = "zicsr",
    [EXT_ZIFENCEI] = "zifencei",
    [EXT_ZIHINTNTL] = "zihintntl",
    [EXT_ZIHINTPAUSE] = "zihintpause",
    [EXT_ZIHPM] = "zihpm",
    [EXT_ZIMOP] = "zimop",
    [EXT_ZA64RS] = "za64rs",
    [EXT_ZAAMO] = "zaamo",
    [EXT_ZACAS] = "zacas",
    [EXT_ZALRSC] = "zalrsc",
    [EXT_ZAWRS] = "zawrs",
    [EXT_ZFA] = "zfa",
    [EXT_ZFH] = "zfh",
    [EXT_ZFHMIN] = "zfhmin",
    [EXT_ZCA] = "zca",
    [EXT_ZCB] = "zcb",
    [EXT_ZCD] = "zcd",
    [EXT_ZCMOP] = "zcmop",
    [EXT_ZBA] = "zba",
    [EXT_ZBB] = "zbb",
    [EXT_ZBC] = "zbc",
    [EXT_ZBKB] = "zbkb",
    [EXT_ZBKC] = "zbkc",
    [EXT_ZBKX] = "zbkx",
    [EXT_ZBS] = "zbs",
    [EXT_ZKND] = "zknd",
    [EXT_ZKNE] = "zkne",
    [EXT_ZKNH] = "zknh",
    [EXT_ZKR] = "zkr",
    [EXT_ZVBB] = "zvbb",
    [EXT_ZVBC] = "zvbc",
    [EXT_ZVFHMIN] = "zvfhmin",
    [EXT_ZVKG] = "zvkg",
    [EXT_ZVKNED] = "zvkned",
    [EXT_ZVKNHB] = "zvknhb",
    [EXT_ZVKT] = "zvkt",
    [EXT_ZKT] = "zkt",
    [EXT_SMAIA] = "smaia",
    [EXT_SMMPM] = "smmpm",
    [EXT_SMNPM] = "smnpm",
    [EXT_SMSTATEEN] = "smstateen",
    [EXT_SSAIA] = "ssaia",
    [EXT_SSCCPTR] = "ssccptr",
    [EXT_SSCOFPMF] = "sscofpmf",
    [EXT_SSCOUNTERENW] = "sscounterenw",
    [EXT_SSNPM] = "ssnpm",
    [EXT_SSSTATEEN] = "ssstateen",
    [EXT_SSTC] = "sstc",
    [EXT_SSTVALA] = "sstvala",
    [EXT_SSTVECD] = "sstvecd",
    [EXT_SSU64XL] = "ssu64xl",
    [EXT_SUPM] = "supm",
    [EXT_SVADE] = "svade",
    [EXT_SVADU] = "svadu",
    [EXT_SVBARE] = "svbare",
    [EXT_SVINVAL] = "svinval",
    [EXT_SVNAPOT] = "svnapot",
    [EXT_SVPBMT] = "svpbmt",
    [EXT_SVVPTC] = "svvptc",
};

/* What each model has beside that of the one before it. */
static const uint8_t rv64gc[] = {
    EXT_I,
    EXT_M,
    EXT_A,
    EXT_F,
    EXT_D,
    EXT_C,
    EXT_S,
    EXT_ZICNTR,
    EXT_ZICSR,
    EXT_ZIFENCEI,
    EXT_ZIHPM,
    EXT_ZCA,
    EXT_ZCD,
    EXT_SMSTATEEN,
    EXT_SSSTATEEN,
    EXT_SSTC,
    EXT_SVADE,
    EXT_SVADU,
    EXT_SVINVAL,
    EXT_SVNAPOT,
    EXT_SVPBMT,
    EXT_SVVPTC,
    EXT_ZICCAMOA,
    EXT_ZICCIF,
    EXT_ZICCLSM,
    EXT_ZICCRSE,
    EXT_ZA64RS,
    EXT_ZAAMO,
    EXT_ZALRSC,
    EXT_SSCCPTR,
    EXT_SSCOUNTERENW,
    EXT_SSTVALA,
    EXT_SSTVECD,
    EXT_SSU64XL,
    EXT_SVBARE,
};
static const uint8_t rva22[] = {
    EXT_B,           EXT_ZIC64B, EXT_ZICBOM, EXT_ZICBOP, EXT_ZICBOZ, EXT_ZICOND, EXT_ZIHINTNTL,
    EXT_ZIHINTPAUSE, EXT_ZIMOP,  EXT_ZACAS,  EXT_ZAWRS,  EXT_ZFA,    EXT_ZFH,    EXT_ZFHMIN,
    EXT_ZCB,         EXT_ZCMOP,  EXT_ZBA,    EXT_ZBB,    EXT_ZBC,    EXT_ZBS,    EXT_ZKT,
};
static const uint8_t rva23[] = {
    EXT_H,      EXT_V,    EXT_ZVBB,     EXT_ZVBC,  EXT_ZVFHMIN, EXT_ZVKG,  EXT_ZVKNED,
    EXT_ZVKNHB, EXT_ZVKT, EXT_SSCOFPMF, EXT_SMMPM, EXT_SMNPM,   EXT_SSNPM, EXT_SUPM,
};

static const struct {
    const char *name;
    const uint8_t *more;
    unsigned count;
} models[] = {
    {"rv64gc", rv64gc, sizeof rv64gc},
    {"rva22", rva22, sizeof rva22},
    {"rva23", rva23, sizeof rva23},
};
const char riscv_cpu_names[] = "rv64gc, rva22 or rva23 (and +zkn, +zkr behind one of the last two)";

/* Options, for models that have what their extensions share with others (Zbb, Zbc). */
static const uint8_t zkn[] = {EXT_ZBKB, EXT_ZBKC, EXT_ZBKX, EXT_ZKND, EXT_ZKNE, EXT_ZKNH};
static const uint8_t zkr[] = {EXT_ZKR};
static const struct {
    const char *name;
    const uint8_t *more;
    unsigned count;
} options[] = {{"+zkn", zkn, sizeof zkn}, {"+zkr", zkr, sizeof zkr}};

static void add(struct riscv_isa *isa, const uint8_t *extensions, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        isa->has[extensions[i] / 64] |= 1ULL << extensions[i] % 64;
}

/* Adds the options that `text` is: each once, in any order. */
static bool add_options(struct riscv_isa *isa, const char *text)
{
    while (*text != 0) {
        bool found = false;
        for (unsigned i = 0; i < sizeof options / sizeof options[0] && !found; i++) {
            const size_t len = strlen(options[i].name);
            found = strlen(text) >= len && memcmp(text, options[i].name, len) == 0 &&
                    !riscv_isa_has(isa, options[i].more[0]) && riscv_isa_has(isa, EXT_ZBC);
            if (found) {
                add(isa, options[i].more, options[i].count);
                if (options[i].more == zkn) /* AES goes by tables (riscv/crypto.c) */
                    isa->has[EXT_ZKT / 64] &= ~(1ULL << EXT_ZKT % 64);
                text += len;
            }
        }
        if (!found)
            return false;
    }
    return true;
}

bool riscv_isa_of(const char *cpu, unsigned vlen, struct riscv_isa *isa)
{
    if (cpu == NULL)
        cpu = RISCV_CPU_DEFAULT;
    memset(isa, 0, sizeof *isa);
    for (unsigned m = 0; m < sizeof models / sizeof models[0]; m++) {
        const size_t len = strlen(models[m].name);
        add(isa, models[m].more, models[m].count);
        if (strlen(cpu) < len || memcmp(models[m].name, cpu, len) != 0)
            continue;
        if (!add_options(isa, cpu + len))
            return false;
        if (riscv_isa_has(isa, EXT_V))
            isa->vlen = (uint16_t)(vlen != 0 ? vlen : 128);
        return true;
    }
    return false;
}

void riscv_isa_add_aia(struct riscv_isa *isa)
{
    static const uint8_t aia[] = {EXT_SMAIA, EXT_SSAIA};
    add(isa, aia, sizeof aia);
}

bool riscv_isa_listed(const struct riscv_isa *isa, unsigned index, bool sbi)
{
    /*
     * A tree with Svadu alone says that hardware updating of A and D is on from the start, as our
     * SBI has it; with Svade beside it, that it is off (riscv/extensions.yaml of Linux). M-mode's
     * interrupts, state enables and settings of pointer masking are not the guest's when there is
     * no M-mode software; but it is by the name Smstateen that Linux's KVM knows that there are
     * hstateen registers to be set.
     */
    return riscv_isa_has(isa, index) &&
           (!sbi || (index != EXT_SVADE && index != EXT_SMAIA && index != EXT_SMMPM &&
                     index != EXT_SMNPM && (index != EXT_SMSTATEEN || riscv_isa_has(isa, EXT_H))));
}
