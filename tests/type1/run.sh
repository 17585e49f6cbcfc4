#!/bin/bash
# Boots the type 1 hypervisor with small guests of ours on QEMU's virt board, and looks at what comes of it.
#
#     tests/type1/run.sh [--long | --only-long] [--qemu10] [--only REGEX]
#
# --long: Debian guests too (scripts/guest-debian.sh); --only-long: those alone. --qemu10: on Debian trixie's QEMU. TRIVISOR, BUILD and QEMU name
# what is used; BOARD=trivisor: the board is our own type 2 machine, and tests that need other devices are skipped.
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
export TYPE1=${TYPE1:-${BUILD%-sanitize}/type1.bin}

mkdir -p "$BUILD/guests"
for guest in tiny probe storm ops dma keep edge; do
    guests/$guest/build.sh "$BUILD/guests/$guest.bin"
done
guests/wake/build.sh "$BUILD/guests/wake.bin"
guests/vector/build.sh "$BUILD/guests/vector.bin"
guests/crowd/build.sh "$BUILD/guests/crowd.bin"
guests/steal/build.sh "$BUILD/guests/steal.bin"
case " $* " in *" --long "* | *" --only-long "*) scripts/guest-debian.sh kernel ;; esac
case " $* " in *" --qemu10 "*)
    QEMU=$(scripts/qemu10.sh) || { echo "QEMU 10 could not be fetched (scripts/qemu10.sh)"; exit 0; }
    export QEMU
    ;;
esac
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/type1/main.py "$@"
