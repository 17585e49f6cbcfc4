#!/bin/bash
# Builds the bare guest in a folder beside this one, if it is not up to date: build.sh FOLDER OUTPUT.bin
set -euo pipefail
common=$(cd "$(dirname "$0")" && pwd)
source=$common/../${1:?use: build.sh FOLDER OUTPUT.bin}
out=${2:?use: build.sh FOLDER OUTPUT.bin}
work=$out.d
if [ -e "$out" ] && [ -z "$(find "$source" "$common" -newer "$out" -print -quit)" ]; then
    exit 0
fi
mkdir -p "$work"
flags="--target=riscv64-unknown-elf -march=rv64imac -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding -fno-pic
    -fno-builtin -fno-jump-tables -nostdlib -std=gnu17 -O2 -g -I$common -Wall -Wextra -Wshadow -Wconversion
    -Wno-sign-conversion -Wmissing-prototypes -Wstrict-prototypes"
clang=${CLANG:-clang}
objcopy=${OBJCOPY:-$(command -v llvm-objcopy || command -v llvm-objcopy-14)}

objects=()
for file in "$common"/head.S "$common"/*.c "$source"/*.[cS]; do
    object=$work/$(basename "$file").o
    # Assembly may use the floating-point and vector registers; what C compiles to may not.
    $clang $flags $([[ $file == *.c ]] || echo -march=rv64imafdcv) -c "$file" -o "$object"
    objects+=("$object")
done
# As a position-independent executable, so that the linker tells of pointers that would need relocation.
$clang $flags -fuse-ld=lld -Wl,-T,"$common/guest.ld" -Wl,--build-id=none -Wl,-pie -Wl,--no-dynamic-linker \
    "${objects[@]}" -o "$work/guest.elf"
$objcopy -O binary "$work/guest.elf" "$out.new"
mv "$out.new" "$out"
