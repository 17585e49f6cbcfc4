#!/usr/bin/env bash
# A guest that does everything a guest may not do (guests/storm), beside one that must not notice (guests/tiny).
#
#     tests/boot/storm.sh [SEEDS [SECONDS]]        3 seeds (from SEED, 1) of 2 seconds each, with one hart and with four
#
# TRIVISOR, BUILD and TRIVISOR_ENGINE name what is tested. A failure names the seed that shows it again.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
trivisor=$(realpath "${TRIVISOR:-$build/trivisor}")
seeds=${1:-3} seconds=${2:-2}
[ -x "$trivisor" ] || { echo "storm.sh: $trivisor is not built; run 'make' first" >&2; exit 1; }

mkdir -p "$build/guests"
guests/storm/build.sh "$build/guests/storm.bin" || exit 1
guests/tiny/build.sh "$build/guests/tiny.bin" || exit 1
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
failed=0
fail() {
    echo "not ok - $1"
    tr -cd '[:print:]\n' <"$2" | tail -n 20 | cut -c 1-200 | sed 's/^/    | /'
    failed=1
}

# The neighbour, again and again until the storms are over. What it must say is computed here.
parts=2 kib=256
want=$(for part in $(seq $parts); do
    yes "storm $part" | head -c $((kib * 1024)) | sha256sum | cut -d' ' -f1
done | sha256sum | cut -d' ' -f1)
neighbour() {
    local runs=0
    while [ ! -e "$work/over" ]; do
        timeout 120 "$trivisor" run ${TRIVISOR_ENGINE:+--engine "$TRIVISOR_ENGINE"} --name calm --cpus 2 --memory 64M --kernel "$build/guests/tiny.bin" \
            --cmdline "hostname=calm seed=storm parts=$parts kib=$kib" </dev/null >"$work/calm" 2>&1 &&
            grep -q "report: checksum $want by $parts processes" "$work/calm" || return
        runs=$((runs + 1))
        echo $runs >"$work/runs"
    done
    touch "$work/unharmed"
}
neighbour &
pids+=($!)
calm=$!

for seed in $(seq "${SEED:-1}" $((${SEED:-1} + seeds - 1))); do
    for harts in 1 4; do
        title="storm with seed $seed on $harts harts"
        truncate -s 0 "$work/disk" && truncate -s 4M "$work/disk"
        timeout $((60 + 2 * seconds)) "$trivisor" run ${TRIVISOR_ENGINE:+--engine "$TRIVISOR_ENGINE"} --name storm --cpus $harts --memory 64M \
            --kernel "$build/guests/storm.bin" --cmdline "storm.seed=$seed storm.seconds=$seconds" \
            --disk "$work/disk" --net user --virtio-console </dev/null >"$work/out" 2>"$work/err"
        status=$?
        if [ $status -ne 0 ]; then
            cat "$work/err" >>"$work/out"
            fail "$title: exit status $status" "$work/out"
        elif ! grep -qa '^storm: done' "$work/out"; then
            fail "$title: it did not end" "$work/out"
        elif grep -qaE 'storm: .*(WRONG|LOST|OVERWRITTEN|trapped outside|does not start)' "$work/out"; then
            fail "$title: $(grep -aE 'storm: .*(WRONG|LOST|OVERWRITTEN|trapped outside|does not start)' "$work/out" | head -n 1)" "$work/out"
        elif grep -qE 'ERROR: |runtime error' "$work/err"; then
            fail "$title: the sanitizer" "$work/err"
        else
            echo "ok - $title"
        fi
    done
done

touch "$work/over"
wait $calm
if [ -e "$work/unharmed" ]; then
    echo "ok - the guest beside it computed the right checksum $(cat "$work/runs") times"
else
    fail "the guest beside it noticed" "$work/calm"
fi
exit $failed
