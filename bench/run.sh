#!/bin/bash
# Measures Trivisor side by side with QEMU TCG, in one run, and prints a table of ratios: see bench/README.md.
#
#     bench/run.sh [--quick] [--real] [--runs N] [--rows REGEX] [--engine NAME] [--with NAME=QEMU]...     (--help: all options)
#
# Exit status 0: it was measured (whatever the figures are); 1: a row failed or computed something else; 2: something
# is missing on this machine; 3: no network to fetch the guest.
. "$(dirname "$0")/../scripts/lib.sh"

out=$ROOT/build/bench
cross=${CROSS_CC:-riscv64-linux-gnu-gcc}
python=$(command -v /usr/bin/python3 python3 | head -n 1)
[ -n "$python" ] || die 2 "python3 is missing"
case " $* " in
*" --help "* | *" -h "*) exec "$python" "$ROOT/bench/run.py" --help ;;
esac
command -v "$cross" >/dev/null || "$ROOT/scripts/setup.sh" bench
command -v "$cross" >/dev/null || die 2 "no $cross for the guest's programs"

# The same sources for the guest and natively. A fused operation is one that the source names, and memcpy and strlen
# are the C library's: only then do all of them compute, and do, the same.
flags="-std=gnu17 -O2 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -ffp-contract=off
    -fno-builtin-memcpy -fno-builtin-strlen -pthread"
build() {
    local program=$1
    shift
    if [ -z "$(find "$ROOT/bench/guest" "$ROOT/bench/run.sh" -newer "$program" 2>&1 | head -n 1)" ]; then
        return
    fi
    "$@" $flags "$ROOT"/bench/guest/*.c -o "$program.new" -lm || die 1 "cannot build $(basename "$program")"
    mv "$program.new" "$program"
}
mkdir -p "$out"
build "$out/bench" "$cross" -static
build "$out/native" "${CC:-gcc}"
"$ROOT/scripts/guest-debian.sh" kernel
case " $* " in
*" --real "*) "$ROOT/scripts/guest-debian.sh" tools ;;
esac
qemu10=$("$ROOT/scripts/qemu10.sh") || say "goes on without QEMU 10"
exec "$python" "$ROOT/bench/run.py" --qemu10 "${qemu10:-}" "$@"
