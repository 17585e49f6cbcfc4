#!/bin/bash
# What the type 1 hypervisor costs, beside the firmware alone: prints a table, and keeps it in docs/type1-figures.md.
#
#     bench/type1.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-build}
export TYPE1=${TYPE1:-$BUILD/type1.bin} TRIVISOR=${TRIVISOR:-$BUILD/trivisor}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$BUILD/guests"
for guest in ops tiny; do
    guests/$guest/build.sh "$BUILD/guests/$guest.bin"
done
printf 'vms:\n  - name: ops\n    memory: 64M\n    kernel: %s\n' "$(realpath "$BUILD/guests/ops.bin")" >"$work/ops.yaml"
"$TRIVISOR" bundle --type 1 --hypervisor "$TYPE1" "$work/ops.yaml" -o "$work/ops.img" >"$work/bundle"

{
    cat <<END
# What type 1 costs

Made by \`make bench-type1\` on $(date -u +%F), of commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes').
All counts are of instructions, by QEMU's \`-icount shift=0,sleep=off\`: the same input gives the same figures on any
machine. The tests in \`tests/type1/figures.py\` hold them below their limits.

## Operations

What one operation costs a guest (\`guests/ops\`), with two instructions of the loop around it. \`+fp\`: with the
floating-point registers in use; \`+pending\`: with interrupts pending that are enabled but masked. QEMU 7.2 leaves
htinst zero, so that the hypervisor fetches the instruction; later ones fill it.

What was asked for limits these rows, as numbers in brackets say: hypercall, hypercall-table, set-timer, ipi-self,
rfence-self, plic-read and plic-write (on both QEMUs, with \`+fp\` and \`+pending\` too) and cpu. The others have no limit:
uart, rtc and virtio take the long way through the bus, and are here to be seen.

- hypercall: SBI BASE get_spec_version, answered on the short way (100)
- hypercall-table: SBI BASE get_mvendorid, looked up in the table of extensions (180)
- set-timer: SBI TIME (200); ipi-self: SBI IPI to oneself, seen and cleared (1,000); rfence-self: SBI RFENCE, one page of
  the caller (1,000)
- plic-read, plic-write: the priority of a source (250); uart, rtc, virtio: a register of that device (no limit)
- stimecmp, rdtime, rdcycle: the guest's own; wfi: with an interrupt pending (no limit)
- cpu: 5,002 instructions of a program (1.02 times as many)

END
    bench/ops.sh -n 2 "type 1=$work/ops.img"
    cat <<END

## Size and start

| figure | measured | at most |
|---|---|---|
END
    PYTHONDONTWRITEBYTECODE=1 python3 tests/type1/figures.py
    cat <<END

Memory counts everything that the hypervisor has, the image included: its code and data, stacks, what it keeps of each
guest, and the page tables that map its own memory. Page tables of a guest of more than 64 MiB are no larger as long as
its memory is a multiple of 2 MiB.
END
} >"$work/figures.md"
cat "$work/figures.md"
cp "$work/figures.md" docs/type1-figures.md
