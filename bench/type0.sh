#!/bin/bash
# What the type 0 firmware costs, beside OpenSBI: prints a table, and keeps it in docs/type0-figures.md.
#
#     bench/type0.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-build}
export TYPE0=${TYPE0:-$BUILD/type0.bin}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$BUILD/guests"
guests/ops/build.sh "$BUILD/guests/ops.bin"

# entered FIRMWARE: thousands of instructions until the payload's first, on one hart.
entered() {
    timeout 60 qemu-system-riscv64 -M virt -smp 1 -m 512M -nographic -icount shift=0,sleep=off ${1:+-bios "$1"} \
        -kernel "$BUILD/guests/ops.bin" -append "ops=none" </dev/null | sed -nE 's/.*ops: entered at tick ([0-9]+).*/\1/p' |
        awk '{ printf "%.2f", $1 / 10000 }'
}

{
    cat <<END
# What type 0 costs

Made by \`make bench-type0\` on $(date -u +%F), of commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes').
All counts are of instructions, by QEMU's \`-icount shift=0,sleep=off\`: the same input gives the same figures on any
machine. The tests in \`tests/type0/\` hold them below their limits.

## Operations

What one operation costs an S-mode payload (\`guests/ops\`), with two instructions of the loop around it; the firmware
alone is OpenSBI, as QEMU has it. \`+fp\`: with the floating-point registers in use; \`+pending\`: with interrupts pending
that are enabled but masked.

- hypercall: SBI BASE get_spec_version (at most 100); set-timer: SBI TIME (120); ipi-self: SBI IPI to oneself, seen and
  cleared (400); rfence-self: SBI RFENCE, one page of the caller (700): answered in the trap vector
- hypercall-table: SBI BASE get_mvendorid, looked up in the table of extensions
- the rest is the payload's own

END
    bench/ops.sh -n 1 "type 0=$BUILD/guests/ops.bin -bios $TYPE0"
    cat <<END

## Size and start

| figure | OpenSBI | type 0 | at most |
|---|---|---|---|
| text and data, bytes | | $(stat -c %s "$TYPE0") | 65,536 |
| reset to the payload's first instruction, millions | $(entered '') | $(entered "$TYPE0") | 4 |
END
} >"$work/figures.md"
cat "$work/figures.md"
cp "$work/figures.md" docs/type0-figures.md
