#!/bin/bash
# Builds the bare-metal guests of the boot tests with the machine's clang: build.sh FOLDER
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
out=${1:?use: build.sh FOLDER}
mkdir -p "$out"
flags="--target=riscv64-unknown-elf -march=rv64imac -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding -fno-pic
    -fno-builtin -nostdlib -std=gnu17 -O2 -Wall -Wextra -Werror -fuse-ld=lld -Wl,-T,$source/link.ld -Wl,--build-id=none"
for file in "$source"/*.c; do
    elf=$out/$(basename "$file" .c).elf
    if [ ! -e "$elf" ] || [ -n "$(find "$source" -newer "$elf" -print -quit)" ]; then
        ${CLANG:-clang} $flags "$source/start.S" "$file" -o "$elf.new.$$"
        mv "$elf.new.$$" "$elf"
    fi
done
