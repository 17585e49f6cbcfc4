#!/bin/bash
# The demonstration of type 1: three Debian guests on a board of two harts that QEMU or our own type 2 machine plays,
# under the bare-metal hypervisor, judged from outside (see demo_type1.py).
#
#     [BOARD=qemu|trivisor] scripts/demo-type1.sh
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
exec python3 -B "$ROOT/scripts/demo_type1.py" "$VMM" "$ROOT" "$CACHE"
