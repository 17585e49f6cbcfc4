#!/bin/bash
# Real programs in Debian guests: what they compute must be what this machine computes.
#
#     tests/boot/real.sh [--only REGEX] [--jobs N]
#
# The set takes about eight minutes on two cores by the engine jit. The guests are fetched first (scripts/guest-debian.sh)
# if they are not in the cache. TRIVISOR, BUILD and TRIVISOR_ENGINE name what is tested; MINUTES (3) is the time for
# which four harts are kept busy.
set -eu
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
scripts/guest-debian.sh kernel
scripts/guest-debian.sh tools
exec python3 tests/boot/main.py --real "$@"
