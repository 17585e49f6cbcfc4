#!/bin/bash
# Hours of boots: BOOTS (500) times Debian's kernel with a random number of harts, some of them saved and restored at
# random moments; each must come to the right result. `make soak`; JOBS (2) run at a time, SEED repeats a run.
# The result becomes a line of docs/soak.md.
set -eu
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-build} PYTHONDONTWRITEBYTECODE=1
scripts/guest-debian.sh kernel
exec python3 tests/boot/soak.py
