#!/bin/bash
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
options=(-I. --unwind 17 --unwinding-assertions --no-standard-checks --drop-unused-functions)

# verdict SECONDS FILE...: prints how it ends
verdict() {
    timeout "$1" "$cbmc" "${@:2}" "${options[@]}" >"$work/log" 2>&1
    case $? in
    0) echo proven ;;
    10) echo refuted ;;
    *) echo "no answer" ;;
    esac
}

# prove NAME 'CODE FILES': any code but those files is not seen
prove() {
    local name=$1 start=$SECONDS found
    [[ $wanted = *" $name "* || $wanted = "  " ]] || return 0
    # shellcheck disable=SC2086
    found=$(verdict 900 "proofs/$name.c" $2)
    if [ "$found" = proven ]; then
        echo "ok - $name: $found, $((SECONDS - start)) s"
    else
        echo "not ok - $name: $found"
        grep FAILURE "$work/log" | head -n 5
        failed=1
    fi
}

# notices NAME FILE 'SED COMMAND' ['OTHER FILES']: the proof fails for the code with that change
notices() {
    local name=$1 file=$2 change=$3 found
    [[ $wanted = *" $name "* || $wanted = "  " ]] || return 0
    sed "$change" "$file" >"$work/broken.c"
    if cmp -s "$file" "$work/broken.c"; then
        echo "not ok - $name: '$change' changes nothing in $file"
        failed=1
        return
    fi
    # shellcheck disable=SC2086
    found=$(verdict 900 "proofs/$name.c" "$work/broken.c" ${4-})
    if [ "$found" = refuted ]; then
        echo "ok - $name notices: $change"
    else
        echo "not ok - $name does not notice ($found): $change"
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
