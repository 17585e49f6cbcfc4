#!/bin/bash
# Boots real guests and misbehaving ones, and looks at what comes of it.
#
#     tests/boot/run.sh [--long | --only-long] [--only REGEX] [--jobs N]
#
# The short set takes about three minutes on two cores, the long one (which includes it) up to 25. Guests are
# fetched first (scripts/guest-debian.sh) if they are not in the cache. TRIVISOR, BUILD and
# TRIVISOR_ENGINE name what is tested.
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}

long=
for word in "$@"; do
    [[ $word != --long && $word != --only-long ]] || long=yes
done
scripts/guest-debian.sh kernel
[ -z "$long" ] || { scripts/guest-debian.sh extra && scripts/guest-debian.sh rootfs; }
tests/boot/bare/build.sh "$BUILD/tests/boot"
guests/kvm/build.sh "$BUILD/tests/boot/kvm"
guests/counters/build.sh "$BUILD/tests/boot/counters"
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/boot/main.py "$@"
