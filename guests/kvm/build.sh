#!/bin/bash
# Builds the program (riscv64 Linux, static, no C library) with the machine's clang and lld: build.sh OUTPUT
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
output=${1:?use: build.sh OUTPUT}
if [ ! -e "$output" ] || [ -n "$(find "$source" -newer "$output" -print -quit)" ]; then
    ${CLANG:-clang} --target=riscv64-unknown-elf -march=rv64imac -mabi=lp64 -mcmodel=medany -mno-relax -ffreestanding \
        -fno-builtin -nostdlib -static -std=gnu17 -O2 -Wall -Wextra -Werror -Wno-main -fuse-ld=lld -Wl,--build-id=none \
        -Wl,-z,max-page-size=4096 -Wl,--strip-all "$source/kvm.c" -o "$output.new.$$"
    mv "$output.new.$$" "$output"
fi
