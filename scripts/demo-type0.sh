#!/bin/bash
# The demonstration of type 0: a board of four harts that QEMU or our type 2 machine plays, divided by our firmware between two Debian
# systems and a small kernel of ours, judged from outside (see demo_type0.py).
#
#     [BOARD=qemu|trivisor] scripts/demo-type0.sh
#
# Exit status 0: everything was as it should be. 3: there is no network to fetch the guests from.
. "$(dirname "$0")/lib.sh"

[ -x "$VMM" ] || die 2 "no $VMM: run make first"
case ${BOARD:-qemu} in
qemu) need qemu-system-riscv64 ;;
trivisor) ;;
*) die 2 "BOARD is '$BOARD'; write qemu or trivisor" ;;
esac
"$ROOT/scripts/guest-debian.sh" kernel
mkdir -p "$ROOT/build/guests"
"$ROOT/guests/tiny/build.sh" "$ROOT/build/guests/tiny.bin"
exec python3 -B "$ROOT/scripts/demo_type0.py" "$VMM" "$ROOT" "$CACHE"
