/*
 * The engine of RISC-V hosts with the H extension: the hart itself executes the guest, by Linux's
 * KVM.
 *
 * KVM answers most of the SBI, starts, stops and lets harts sleep (core/engine.h, own_harts); the
 * console's calls and accesses to devices come here. It gives no M-mode, so that there is no
 * firmware. Numbers and layouts: Linux's Documentation/virt/kvm/api.rst, "4.68 KVM_SET_ONE_REG".
 * `riscv64/` is the engine, `none/` its place on other hosts.
 */
#ifndef ENGINE_KVM_H
#define ENGINE_KVM_H

#include "core/engine.h"

extern const struct engine_ops kvm_engine;

/* Why this host cannot have it, in plain words and with what to do; NULL: it can. */
const char *kvm_missing(void);

#endif
