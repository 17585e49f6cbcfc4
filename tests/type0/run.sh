#!/bin/bash
# Boots the type 0 firmware with small payloads of ours on QEMU's virt board, and looks at what comes of it.
#
#     tests/type0/run.sh [--long | --only-long] [--qemu10] [--only REGEX]
#
# --long: Debian too (scripts/guest-debian.sh); --only-long: that alone. --qemu10: on Debian trixie's QEMU. TRIVISOR, BUILD, TYPE0 and QEMU name what is used;
# BOARD=trivisor: the board is our own type 2 machine, and tests that need other devices are skipped.
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
export TYPE0=${TYPE0:-${BUILD%-sanitize}/type0.bin}

mkdir -p "$BUILD/guests"
for guest in tiny probe ops intruder attack leak edge; do
    guests/$guest/build.sh "$BUILD/guests/$guest.bin"
done
case " $* " in *" --long "* | *" --only-long "*) scripts/guest-debian.sh kernel ;; esac
case " $* " in *" --qemu10 "*)
    QEMU=$(scripts/qemu10.sh) || { echo "QEMU 10 could not be fetched (scripts/qemu10.sh)"; exit 0; }
    export QEMU
    ;;
esac
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/type0/main.py "$@"
