# Trivisor: one GNU Makefile, no recursion. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG  ?= clang
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wpointer-arith -Wcast-qual
OURFLAGS := -std=gnu17 -I. $(WARNINGS) -fno-strict-aliasing -fno-common -pthread -MMD -MP
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LIBS     := -lslirp -lcyaml -lyaml -luring -lzstd -lz -ljansson -pthread

# A folder for each configuration, so that switching between them costs nothing. SANITIZE=1 makes the
# sanitized one the one that is built, tested and shown; fuzz tests always use it.
PLAIN     := build$(if $(filter-out gcc,$(notdir $(CC))),-$(notdir $(CC)))
SANITIZED := $(PLAIN)-sanitize
BUILD     := $(if $(SANITIZE),$(SANITIZED),$(PLAIN))

# Freestanding code: compiled unchanged into type 2, type 1 and type 0.
FREE_SRC := $(filter-out riscv/v_%,$(wildcard core/*.c riscv/*.c devices/*.c devices/virtio/*.c vmm/*.c))
# The vector extension, for software engines: a firmware's guests have the hart's own.
V_SRC    := $(wildcard riscv/v_*.c)
# Parts of type 1 that know no hart: compiled for the host too, for their tests.
T1_PURE  := engine/hext/access.c engine/hext/gstage.c type1/pages.c type1/platform.c type1/policy.c \
            type1/stacks.c \
            type1/dev_memdisk.c type1/dev_switch.c type1/dev_virtio.c type1/dev_blk.c \
            type1/dev_net.c type1/dev_rng.c type1/dev_intc.c type1/dev_aplic.c type1/dev_imsic_map.c engine/hext/imsic.c \
            type1/dev_iommu.c type1/dev_pci.c type1/dev_pass.c
T1_SRC   := $(wildcard engine/hext/*.c type1/*.c)
T1_ASM   := $(wildcard engine/hext/*.S type1/*.S)
# The same of type 0.
T0_PURE  := type0/plic.c type0/access.c
# The translator's back end for this host, or none.
JIT_HOST := $(if $(filter x86_64,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))),x86,none)
ANY_SRC  := $(FREE_SRC) $(V_SRC) $(T1_PURE) $(T0_PURE) $(wildcard engine/interp/*.c engine/jit/*.c) $(filter-out type2/main.c,$(wildcard type2/*.c))
# Which host's own harts may execute guests, or none.
KVM_HOST := $(if $(filter riscv64,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))),riscv64,none)
LIB_SRC  := $(ANY_SRC) $(wildcard engine/jit/$(JIT_HOST)/*.c engine/kvm/$(KVM_HOST)/*.c)
UNIT     := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

UNIT_BIN := $(UNIT:%=$(BUILD)/tests/unit/%)
FUZZ_BIN := $(FUZZ:%=$(SANITIZED)/tests/fuzz/%)
FREE_OBJ := $(FREE_SRC:%.c=$(PLAIN)/riscv64/%.o)
TRIVISOR := $(BUILD)/trivisor

.PHONY: all demo demo-type0 demo-type1 check check-long soak bench bench-type0 bench-type1 install clean format lint help setup
all: $(TRIVISOR) $(PLAIN)/type1.bin $(PLAIN)/type0.bin

# The dispatch loop: one indirect jump per operation must stay one, and AMOCAS.Q needs a 16-byte swap.
RUN_FLAGS := $(if $(filter gcc%,$(notdir $(CC))),-fno-gcse -fno-crossjumping) \
             $(if $(filter x86_64,$(shell uname -m)),-mcx16)
$(PLAIN)/engine/interp/run.o $(SANITIZED)/engine/interp/run.o: OURFLAGS += $(RUN_FLAGS)
# Loops over elements are to be vectorized.
$(V_SRC:%.c=$(PLAIN)/%.o) $(V_SRC:%.c=$(SANITIZED)/%.o): override CFLAGS := $(CFLAGS:-O2=-O3)

# $(1): the configuration's folder, $(2): its extra flags.
define CONFIGURATION
$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "  CC      $$@"
	@$(CC) $$(OURFLAGS) $(2) $$(CFLAGS) -c $$< -o $$@
$(1)/libtrivisor.a: $(LIB_SRC:%.c=$(1)/%.o)
	@echo "  AR      $$@"
	@rm -f $$@ && ar rcs $$@ $$^
$(1)/trivisor: $(1)/type2/main.o $(1)/libtrivisor.a
	@echo "  LD      $$@"
	@$(CC) $(2) $(CFLAGS) $$^ -o $$@ $(LIBS)
$(1)/tests/unit/%: $(1)/tests/unit/%.o $(1)/libtrivisor.a
	@echo "  LD      $$@"
	@$(CC) $(2) $(CFLAGS) $$^ -o $$@ -lcmocka $(LIBS) -lm
$(1)/tests/fuzz/%: $(1)/tests/fuzz/%.o $(1)/tests/fuzz/driver.o $(1)/libtrivisor.a
	@echo "  LD      $$@"
	@$(CC) $(2) $(CFLAGS) $$^ -o $$@ $(LIBS)
endef
$(eval $(call CONFIGURATION,$(PLAIN),))
$(eval $(call CONFIGURATION,$(SANITIZED),$(SANFLAGS)))

# Type 2 for RISC-V hosts, made on any host by clang and lld: against Debian trixie's libraries, which
# scripts/riscv64-sysroot.sh fetches.
RV      := build-riscv64
RV_SRC  := $(ANY_SRC) $(wildcard engine/jit/none/*.c engine/kvm/riscv64/*.c)
RV_TOOL := $(CLANG) --target=riscv64-linux-gnu -march=rv64gc -mabi=lp64d
.PHONY: riscv64
riscv64: $(RV)/trivisor
$(RV)/sysroot:
	@mkdir -p $(@D)
	@root=$$(scripts/riscv64-sysroot.sh) && ln -sfn "$$root" $@
$(RV)/%.o: %.c | $(RV)/sysroot
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(RV_TOOL) --sysroot=$(RV)/sysroot $(OURFLAGS) $(CFLAGS) -c $< -o $@
$(RV)/%.o: %.S
	@mkdir -p $(@D)
	@echo "  AS      $@"
	@$(RV_TOOL) -mno-relax -c $< -o $@
$(RV)/trivisor: $(RV)/type2/start_riscv64.o $(RV)/type2/main.o $(RV_SRC:%.c=$(RV)/%.o)
	@echo "  LD      $@"
	@$(RV_TOOL) --sysroot=$(RV)/sysroot -fuse-ld=lld -nostartfiles $(CFLAGS) $^ -o $@ $(LIBS) -latomic

# Freestanding: no libc in sight, and no floating point, whose registers belong to the guests. Optimized as a
# whole when it is linked; small, but for what runs at every exit of a guest or takes most of the time until its start.
T1_FLAGS := --target=riscv64-unknown-elf -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding -nostdlibinc
T1_HOT   := engine/hext/run.c engine/hext/vcpu.c engine/hext/gstage.c core/bus.c core/fdt.c devices/plic.c vmm/sbi.c \
            vmm/entropy.c type1/host.c type1/string.c
$(PLAIN)/riscv64/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CLANG) $(T1_FLAGS) -march=rv64imac -fno-builtin $(filter-out -pthread,$(OURFLAGS)) \
	    -ffunction-sections -fdata-sections -flto $(if $(filter $(T1_HOT),$<),-O2,-Oz) -c $< -o $@
$(PLAIN)/riscv64/%.o: %.S
	@mkdir -p $(@D)
	@echo "  AS      $@"
	@$(CLANG) $(T1_FLAGS) -march=$(if $(filter %/fp.S %/v.S,$<),rv64imafdcv,rv64imac) -I. -MMD -MP -c $< -o $@

# The type 1 hypervisor: a flat image that runs where it is loaded. When it is linked, only what becomes smaller by it
# is inlined.
T1_OBJ   := $(T1_SRC:%.c=$(PLAIN)/riscv64/%.o) $(T1_ASM:%.S=$(PLAIN)/riscv64/%.o)
TYPE1    := $(PLAIN)/type1.bin
OBJCOPY  ?= $(shell command -v llvm-objcopy || command -v llvm-objcopy-14)
$(PLAIN)/type1.elf: $(T1_OBJ) $(FREE_OBJ) type1/link.ld scripts/link-small.sh
	@echo "  LD      $@"
	@CLANG="$(CLANG)" scripts/link-small.sh $@ "$(filter-out -nostdlibinc,$(T1_FLAGS)) -march=rv64imac" \
	    "-Wl,-T,type1/link.ld -Wl,-pie -Wl,--no-dynamic-linker -Wl,-z,notext -Wl,--gc-sections -Wl,--build-id=none" \
	    "$(T1_ASM:%.S=$(PLAIN)/riscv64/%.o)" "$(T1_SRC:%.c=$(PLAIN)/riscv64/%.o) $(FREE_OBJ)"
$(TYPE1): $(PLAIN)/type1.elf
	@$(OBJCOPY) -O binary $< $@.new && mv $@.new $@
.PHONY: type1
type1: $(TYPE1)

# The type 0 firmware: linked like type 1, and small throughout but for what every call passes. Of the shared code what
# it calls is taken, where it has no function of that name of its own.
comma    := ,
T0_SRC   := $(wildcard type0/*.c)
T0_ASM   := $(wildcard type0/*.S) engine/hext/fp.S engine/hext/v.S
T0_HOT   := type1/string.c
T0_SMALL := $(addprefix -Wl$(comma)-mllvm$(comma),-consthoist-gep -disable-block-placement -tail-dup-size=0 \
            -disable-machine-licm -disable-postra-machine-licm -enable-load-pre=false -enable-pre=false)
T0_OBJ   := $(T0_SRC:%.c=$(PLAIN)/firmware/%.o) $(T0_ASM:%.S=$(PLAIN)/riscv64/%.o)
T0_LIB   := $(patsubst %.c,$(PLAIN)/firmware/%.o,$(wildcard core/*.c vmm/entropy.c vmm/plan*.c vmm/partition*.c vmm/sbi*.c) \
            riscv/mmu.c riscv/pmp.c riscv/pmp_entry.c devices/ns16550a.c engine/hext/access.c type1/string.c)
$(PLAIN)/firmware/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CLANG) $(T1_FLAGS) -march=rv64imac -fno-builtin $(filter-out -pthread,$(OURFLAGS)) \
	    -ffunction-sections -fdata-sections -flto $(if $(filter $(T0_HOT),$<),-O2,-Oz) -c $< -o $@
TYPE0    := $(PLAIN)/type0.bin
$(PLAIN)/type0.elf: $(T0_OBJ) $(T0_LIB) type0/link.ld scripts/link-small.sh
	@echo "  LD      $@"
	@CLANG="$(CLANG)" scripts/link-small.sh $@ "$(filter-out -nostdlibinc,$(T1_FLAGS)) -march=rv64imac" \
	    "$(T0_SMALL) -Wl,-T,type0/link.ld -Wl,-pie -Wl,--no-dynamic-linker -Wl,-z,notext -Wl,--gc-sections -Wl,--build-id=none" \
	    "$(T0_ASM:%.S=$(PLAIN)/riscv64/%.o)" \
	    "$(T0_SRC:%.c=$(PLAIN)/firmware/%.o) -Wl,--start-lib $(T0_LIB) -Wl,--end-lib"
$(TYPE0): $(PLAIN)/type0.elf
	@$(OBJCOPY) -O binary $< $@.new && mv $@.new $@
.PHONY: type0
type0: $(TYPE0)

-include $(shell find $(PLAIN) $(SANITIZED) $(RV) -type f -name '*.d' 2>/dev/null)

# Targets that a newcomer types install what is missing first; a plain `make` only builds.
ifneq ($(filter demo demo-type0 demo-type1 check check-long soak bench bench-type0 bench-type1,$(MAKECMDGOALS)),)
setup:
	@scripts/setup.sh
$(LIB_SRC:%.c=$(PLAIN)/%.o) $(LIB_SRC:%.c=$(SANITIZED)/%.o) $(FREE_OBJ): | setup
$(PLAIN)/type2/main.o $(SANITIZED)/type2/main.o: | setup
$(UNIT:%=$(PLAIN)/tests/unit/%.o) $(UNIT:%=$(SANITIZED)/tests/unit/%.o) $(FUZZ:%=$(SANITIZED)/tests/fuzz/%.o): | setup
$(SANITIZED)/tests/fuzz/driver.o: | setup
$(RV)/sysroot $(RV)/type2/start_riscv64.o: | setup
endif

demo: $(TRIVISOR)
	@TRIVISOR=$(TRIVISOR) GUEST=$(GUEST) scripts/demo.sh

demo-type0: $(TRIVISOR) $(TYPE0)
	@TRIVISOR=$(TRIVISOR) scripts/demo-type0.sh

demo-type1: $(TRIVISOR) $(TYPE1)
	@TRIVISOR=$(TRIVISOR) scripts/demo-type1.sh

TESTED := $(TRIVISOR) $(TYPE1) $(TYPE0) $(UNIT_BIN) $(FUZZ_BIN) $(FREE_OBJ)
check: $(TESTED)
	@BUILD=$(BUILD) FUZZ="$(FUZZ_BIN)" tests/check.sh

check-long: $(TESTED) riscv64
	@BUILD=$(BUILD) FUZZ="$(FUZZ_BIN)" tests/check.sh --long $(if $(AFTER_CHECK),--after-check)

soak: $(TRIVISOR) $(TYPE1) $(TYPE0)
	@BUILD=$(BUILD) tests/soak.sh
	@BUILD=$(BUILD) tests/random/run.sh --long
	@BUILD=$(BUILD) tests/type1/run.sh --qemu10 --long
	@BUILD=$(BUILD) SOAK_MINUTES=60 tests/type1/run.sh --long --only storms
	@BUILD=$(BUILD) RESTARTS=$(or $(RESTARTS),10000) tests/type0/run.sh --long --only 'restarted-(a-hundred|at-any)'

bench: $(TRIVISOR)
	@TRIVISOR=$(TRIVISOR) bench/run.sh $(BENCH)

bench-type1: $(TRIVISOR) $(TYPE1)
	@BUILD=$(BUILD) TYPE1=$(TYPE1) bench/type1.sh

bench-type0: $(TYPE0)
	@BUILD=$(BUILD) TYPE0=$(TYPE0) bench/type0.sh

install: $(TRIVISOR) $(TYPE1) $(TYPE0)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/trivisor/guests \
	    $(DESTDIR)$(PREFIX)/share/trivisor/scripts
	install -m 755 $(TRIVISOR) $(DESTDIR)$(PREFIX)/bin/trivisor
	install -m 644 $(TYPE1) $(DESTDIR)$(PREFIX)/share/trivisor/type1.bin
	install -m 644 $(TYPE0) $(DESTDIR)$(PREFIX)/share/trivisor/type0.bin
	install -m 644 docs/trivisor.1 $(DESTDIR)$(PREFIX)/share/man/man1/trivisor.1
	install -m 755 scripts/guest-debian.sh scripts/guest-rootfs.sh scripts/lib.sh scripts/setup.sh \
	    $(DESTDIR)$(PREFIX)/share/trivisor/scripts/
	cp -r guests/debian $(DESTDIR)$(PREFIX)/share/trivisor/guests/

clean:
	rm -rf build build-*

C_FILES = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(filter-out engine/interp/ops_%,$(C_FILES))

lint: $(TRIVISOR)
	scripts/layering.sh
	clang-format --dry-run -Werror $(filter-out engine/interp/ops_%,$(C_FILES))
	cppcheck --quiet --inline-suppr --std=c11 --error-exitcode=1 -I. $(FREE_SRC)

help:
	@echo "make demo        install what is missing, build, fetch guests, boot three Debian guests at once"
	@echo "make check       all quick tests (under 15 minutes)"
	@echo "make check-long  the long ones too: 30,000 random programs against QEMU, boots through every firmware"
	@echo "make             build build/trivisor        make SANITIZE=1 ...  the same under ASan and UBSan"
	@echo "make demo GUEST=tiny                         the demo with our own small kernel, no network needed"
	@echo "make bench       side by side with QEMU      make soak            hours of boots, an hour of storms"
	@echo "make demo-type0  one board divided between two Debian systems and a small kernel"
	@echo "make demo-type1  three Debian guests on bare metal (a board that QEMU plays, or we: BOARD=trivisor)"
	@echo "make bench-type0 what type 0 costs, in instructions, beside OpenSBI"
	@echo "make bench-type1 what type 1 costs, in instructions, beside the firmware alone"
	@echo "make riscv64     build-riscv64/trivisor, for RISC-V hosts"
	@echo "make install     to PREFIX ($(PREFIX))        make clean"
	@echo "make format      clang-format                make lint            layering, format, cppcheck"
