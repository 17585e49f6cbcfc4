#!/bin/bash
# shellcheck disable=SC2086
# Proves with CBMC, for any values, what the planner of type 0 stands on (each proofs/*.c says what), and that the
# proofs notice when it is not so: with one thing broken in the code, each must fail.
#
#     proofs/run.sh [NAME...]      default: all; the tool comes from scripts/trixie-tool.sh
set -u
cd "$(dirname "$0")/.." || exit 2

cbmc=$(scripts/trixie-tool.sh cbmc cbmc /usr/bin/cbmc | tail -n 1) || exit 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
# The longest loop of the code has 16 rounds; that no loop goes further is proven as well (--unwinding-assertions).
options=(-I. --unwind 17 --unwinding-assertions --no-standard-checks --drop-unused-functions --object-bits 12)

# verdict SECONDS FILE...: prints how it ends
verdict() {
    timeout "$1" "$cbmc" "${@:2}" "${options[@]}" >"$work/log" 2>&1
    case $? in
    0) echo proven ;;
    10) echo refuted ;;
    *) echo "no answer" ;;
    esac
}

# each NAME 'CODE FILES': the worst verdict over all entries, where the proof is about one at a time
each() {
    local name=$1 which bytes found worst=proven
    case $name in
    reach) for which in {0..15}; do
            found=$(verdict 300 "proofs/$name.c" $2 -DWHICH="$which")
            [ "$found" = proven ] || { worst=$found; break; }
        done ;;
    match) for bytes in 1 8 4096; do
            for which in {0..15}; do
                found=$(verdict 300 "proofs/$name.c" $2 -DWHICH="$which" -DBYTES=$bytes)
                [ "$found" = proven ] || { worst=$found; break 2; }
            done
        done ;;
    apart) for which in -DREACHES -DAPART; do
            found=$(verdict 900 "proofs/$name.c" $2 $which)
            [ "$found" = proven ] || { worst=$found; break; }
        done ;;
    *) worst=$(verdict 600 "proofs/$name.c" $2) ;;
    esac
    echo "$worst"
}

chosen() { [[ $wanted = *" $1 "* || $wanted = "  " ]]; }

# prove NAME 'CODE FILES': code in other files is not seen
prove() {
    local start=$SECONDS found
    chosen "$1" || return 0
    found=$(each "$1" "$2")
    if [ "$found" = proven ]; then
        echo "ok - $1: proven, $((SECONDS - start)) s"
    else
        echo "not ok - $1: $found"
        grep FAILURE "$work/log" | head -n 5
        failed=1
    fi
}

# notices NAME FILE 'SED COMMAND' ['OTHER FILES']: the proof fails for the code with that change
notices() {
    local found
    chosen "$1" || return 0
    sed "$3" "$2" >"$work/broken.c"
    if cmp -s "$2" "$work/broken.c"; then
        echo "not ok - $1: '$3' changes nothing in $2"
        failed=1
        return
    fi
    found=$(each "$1" "$work/broken.c ${4-}")
    if [ "$found" = refuted ]; then
        echo "ok - $1 notices: $3"
    else
        echo "not ok - $1 does not notice ($found): $3"
        failed=1
    fi
}

wanted=" $* "
prove decode riscv/pmp_entry.c
notices decode riscv/pmp_entry.c 's/(ones << 2 | 3)/(ones << 2 | 1)/'
notices decode riscv/pmp_entry.c 's/below >= addr/below > addr/'
prove encode "riscv/pmp.c riscv/pmp_entry.c"
notices encode riscv/pmp.c 's/size \/ 2 - 1/size - 1/' riscv/pmp_entry.c
notices encode riscv/pmp.c 's/below != base >> 2/below < base >> 2/' riscv/pmp_entry.c
prove match riscv/pmp.c
notices match riscv/pmp.c 's/end <= last ?/end < last ?/'
prove reach vmm/plan_reach.c
notices reach vmm/plan_reach.c 's/low <= \*first && high >= \*last/low <= *first/'
prove covered "vmm/plan_reach.c riscv/pmp_entry.c"
notices covered vmm/plan_reach.c 's/last - ranges\[i\].base < ranges\[i\].size/1/' riscv/pmp_entry.c
prove apart vmm/plan_check.c
notices apart vmm/plan_check.c 's/!plan_covered(windows, window_count, low, high)/j == 7/'
[ "$failed" -eq 0 ]
