#!/bin/bash
# Builds tiny with the machine's clang, if it is not up to date: guests/tiny/build.sh OUTPUT.bin
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
out=${1:?use: build.sh OUTPUT.bin}
work=$out.d
if [ -e "$out" ] && [ -z "$(find "$source" -newer "$out" -print -quit)" ]; then
    exit 0
fi
mkdir -p "$work"
flags="--target=riscv64-unknown-elf -march=rv64imac -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding -fno-pic
    -fno-builtin -fno-jump-tables -nostdlib -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
    -Wmissing-prototypes -Wstrict-prototypes"
clang=${CLANG:-clang}
objcopy=${OBJCOPY:-$(command -v llvm-objcopy || command -v llvm-objcopy-14)}

for file in user string kernel machine memory; do
    $clang $flags -c "$source/$file.c" -o "$work/$file.o"
done
$clang $flags -fuse-ld=lld -Wl,-T,"$source/user.ld" -Wl,--build-id=none "$work/user.o" "$work/string.o" -o "$work/user.elf"
$objcopy -O binary "$work/user.elf" "$work/user.bin"
$clang $flags -I"$work" -c "$source/head.S" -o "$work/head.o"
# As a position-independent executable, so that the linker tells of pointers that would need relocation.
$clang $flags -fuse-ld=lld -Wl,-T,"$source/kernel.ld" -Wl,--build-id=none -Wl,-pie -Wl,--no-dynamic-linker \
    "$work/head.o" "$work/kernel.o" "$work/machine.o" "$work/memory.o" "$work/string.o" -o "$work/tiny.elf"
$objcopy -O binary "$work/tiny.elf" "$out.new"
mv "$out.new" "$out"
