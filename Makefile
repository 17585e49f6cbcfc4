# Trivisor: one GNU Makefile, no recursion. `make help` lists the targets.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DEFAULT_GOAL := all

CC    ?= gcc
ifeq ($(origin CC),default)
CC    := gcc
endif
CLANG ?= clang

# A build folder for each configuration, so that switching costs nothing.
SANITIZE ?=
BUILD ?= build$(if $(SANITIZE),-sanitize)$(if $(filter-out gcc,$(notdir $(CC))),-$(notdir $(CC)))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wpointer-arith -Wcast-qual
CFLAGS   ?= -O2 -g
OURFLAGS := -std=gnu17 -I. $(WARNINGS) -fno-strict-aliasing -fno-common -pthread -MMD -MP
LIBS     := -lslirp -lcyaml -luring -lzstd -lz -ljansson -pthread
ifdef SANITIZE
OURFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif

# Freestanding code: compiled unchanged into type 2, type 1 and type 0.
FREE_SRC  := $(wildcard core/*.c riscv/*.c devices/*.c devices/virtio/*.c vmm/*.c)
ENGINE_SRC := $(wildcard engine/interp/*.c)
TYPE2_SRC := $(filter-out type2/main.c,$(wildcard type2/*.c))
LIB_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(FREE_SRC) $(ENGINE_SRC) $(TYPE2_SRC))
MAIN_OBJ  := $(BUILD)/type2/main.o
TRIVISOR  := $(BUILD)/trivisor

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BIN  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))

.PHONY: all unit
all: $(TRIVISOR)

# The dispatch loop: one indirect jump per operation must stay one, and AMOCAS.Q needs a 16-byte swap.
RUN_FLAGS := $(if $(filter gcc%,$(notdir $(CC))),-fno-gcse -fno-crossjumping) \
             $(if $(filter x86_64,$(shell uname -m)),-mcx16)
$(BUILD)/engine/interp/run.o: OURFLAGS += $(RUN_FLAGS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(OURFLAGS) $(CFLAGS) -c $< -o $@

$(BUILD)/libtrivisor.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $(LIB_OBJ)

$(TRIVISOR): $(MAIN_OBJ) $(BUILD)/libtrivisor.a
	$(CC) $(OURFLAGS) $(CFLAGS) $^ -o $@ $(LIBS)

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libtrivisor.a
	@mkdir -p $(@D)
	$(CC) $(OURFLAGS) $(CFLAGS) $< $(BUILD)/libtrivisor.a -o $@ -lcmocka $(LIBS)

unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

-include $(LIB_OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(UNIT_BIN:=.d)
