#!/bin/bash
# Links freestanding RISC-V code, compiled with -flto, to an image smaller than lld makes it by itself.
#
#     scripts/link-small.sh OUTPUT "TARGET FLAGS" "LINKER FLAGS" "ASSEMBLY OBJECTS" "LTO OBJECTS"
#
# Two steps with assembly between them, for what lld 14 cannot: it does not relax, so each call would be
# AUIPC and JALR, 8 bytes. Where all is within 1 MiB of all else, a JAL will do; the linker refuses if not.
# Sequences of instructions that occur often become functions (but see core/hot.h), and only what becomes
# smaller is inlined. All together: 17 % of the text.
set -euo pipefail
output=$1
read -ra target <<<"$2"
read -ra linker <<<"$3"
read -ra assembled <<<"$4"
read -ra objects <<<"$5"
clang=${CLANG:-clang}
linker+=(-nostdlib -fuse-ld=lld -Qunused-arguments)

rm -f "$output".s*
"$clang" "${target[@]}" "${linker[@]}" -Wl,--lto-emit-asm -Wl,-mllvm,-enable-machine-outliner -Wl,-mllvm,-inline-threshold=0 \
    "${objects[@]}" "${assembled[@]}" -o "$output.s"
# .attribute names fewer extensions than the code uses: -march counts.
sed -E 's/^\tcall\t/\tjal\t/; s/^\ttail\t/\tj\t/; s/@plt//; /^\t\.attribute\t/d' "$output.s" >"$output.small.s"
"$clang" "${target[@]}" -c -Qunused-arguments "$output.small.s" -o "$output.o"
"$clang" "${target[@]}" "${linker[@]}" -Wl,-O2 -Wl,--pack-dyn-relocs=relr "$output.o" "${assembled[@]}" -o "$output"
rm "$output.s" "$output.small.s" "$output.o"
