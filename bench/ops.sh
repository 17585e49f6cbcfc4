#!/bin/bash
# What operations cost an S-mode guest, in instructions, counted by QEMU (guests/ops; same input, same figures).
#
#     bench/ops.sh [-o "OPTIONS OF ops"] [-n HARTS] ["NAME=KERNEL QEMU-ARGUMENT..."]...
#
# A column for the firmware alone, and one for each NAME: KERNEL is started in place of ops and is to run ops as a
# guest; any line `... op NAME ticks ...` on its console counts. Everything runs on this machine's QEMU and on
# QEMU 10 if that is in the cache (scripts/qemu10.sh). BIOS=FILE: another firmware. For example:
#
#     bench/ops.sh -o "ops=hypercall,plic-read variants=plain" "type 1=build/ops-type1.img"
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
options='' harts=4
while getopts o:n: letter; do
    case $letter in
    o) options=$OPTARG ;;
    n) harts=$OPTARG ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))

mkdir -p "$build/guests"
guests/ops/build.sh "$build/guests/ops.bin"
qemus=(qemu-system-riscv64)
[ ! -e "${TRIVISOR_CACHE:-guests/cache}/qemu10" ] || qemus+=("$(scripts/qemu10.sh)")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# column TITLE QEMU-ARGUMENT...: one run, its lines "NAME INSTRUCTIONS" kept
column() {
    local number
    number=$(ls "$work" | wc -l)
    echo "$1" >"$work/$(printf %02d "$number")"
    # -cpu: H is on by default only in the older of the two.
    timeout 300 "$qemu" -M virt -cpu rv64,h=true -smp "$harts" -m 512M -nographic -icount shift=0,sleep=off \
        ${BIOS:+-bios "$BIOS"} "${@:2}" </dev/null >"$work/console" 2>"$work/errors" ||
        { echo "ops.sh: $1: QEMU failed: $(head -n 1 "$work/errors")" >&2 && failed=1; }
    tr -d '\r' <"$work/console" | sed 's/\x1b\[[0-9;]*m//g' |
        sed -nE 's/.*\bop ([a-z0-9+-]+) ticks .* insns\/op ([0-9.]+)( FP.*)?$/\1 \2\3/p; s/.*\bop ([a-z0-9+-]+) none.*/\1 -/p' \
            >>"$work/$(printf %02d "$number")"
    grep -q 'ops: done' "$work/console" || { echo "ops.sh: $1: ops did not end:" >&2 && tail -n 5 "$work/console" >&2 && failed=1; }
    rm "$work/console" "$work/errors"
}

failed=0
for qemu in "${qemus[@]}"; do
    version=$("$qemu" --version | sed -nE '1s/.*version ([0-9]+\.[0-9]+).*/\1/p')
    column "firmware alone, QEMU $version" -kernel "$build/guests/ops.bin" -append "$options"
    for word in "$@"; do
        read -ra arguments <<<"${word#*=}"
        column "${word%%=*}, QEMU $version" -kernel "${arguments[0]}" "${arguments[@]:1}"
    done
done

awk '
    FNR == 1 { title[++columns] = $0; next }
    { if (!($1 in seen)) { seen[$1] = 1; order[++rows] = $1 } cell[$1, columns] = $2 ($3 ? " (" $3 " " $4 " " $5 ")" : "") }
    END {
        printf "| instructions for one |"; for (c = 1; c <= columns; c++) printf " %s |", title[c]
        printf "\n|---|"; for (c = 1; c <= columns; c++) printf "---|"; print ""
        for (r = 1; r <= rows; r++) {
            printf "| %s |", order[r]
            for (c = 1; c <= columns; c++) printf " %s |", ((order[r], c) in cell) ? cell[order[r], c] : ""
            print ""
        }
    }' "$work"/*
exit $failed
