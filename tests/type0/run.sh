#!/bin/bash
# Boots the type 0 firmware with small payloads of ours on QEMU's virt board, and looks at what comes of it.
#
#     tests/type0/run.sh [--long] [--only REGEX]
#
# --long: Debian too (scripts/guest-debian.sh). TRIVISOR, BUILD, TYPE0 and QEMU name what is used.
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
export TYPE0=${TYPE0:-${BUILD%-sanitize}/type0.bin}

mkdir -p "$BUILD/guests"
for guest in tiny probe ops intruder attack; do
    guests/$guest/build.sh "$BUILD/guests/$guest.bin"
done
case " $* " in *" --long "*) scripts/guest-debian.sh kernel ;; esac
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/type0/main.py "$@"
