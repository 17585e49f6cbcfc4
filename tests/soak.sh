#!/bin/bash
# Hours of boots: BOOTS (500) times Debian's kernel with a random number of harts, some of them saved and restored at
# random moments; each must come to the right result. Then MINUTES (60) of real programs on four harts (real.sh).
# `make soak`, for each engine (TRIVISOR_ENGINE: for one); JOBS (2) run at a time, SEED repeats a run. The result
# becomes a line of docs/soak.md for each engine.
#
# `make soak` then runs more, and stops at the first that fails: tests/random/run.sh --long (100,000 random programs
# against QEMU), tests/type1/run.sh --long on QEMU 10, an hour of its storms, and RESTARTS (10,000) restarts of a guest
# under type 0.
set -eu
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
scripts/guest-debian.sh kernel
status=0
for engine in ${TRIVISOR_ENGINE:-interp jit}; do
    TRIVISOR_ENGINE=$engine python3 tests/boot/soak.py || status=1
    TRIVISOR_ENGINE=$engine MINUTES=${MINUTES:-60} tests/boot/real.sh --only four-harts || status=1
done
exit $status
