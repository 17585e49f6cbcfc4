#!/bin/bash
# Runs the test suites and closes with "N passed, N failed". Called by `make check` and `make check-long`.
#
#     tests/check.sh [--long [--after-check]] [--only REGEX]
#
# --after-check: `make check` has just passed on the same files, and what it ran is not run again. A suite is one command;
# it has failed if its status is not 0, and then the tests in it that failed and the end of its output are shown. All of
# the output is kept under $BUILD/check/.
cd "$(dirname "$0")/.." || exit 2

BUILD=${BUILD:-build}
FUZZ=${FUZZ:-}
only=.
long=
after=
while [ $# -gt 0 ]; do
    case $1 in
    --long) long=yes ;;
    --after-check) after=yes ;;
    --only) only=$2; shift ;;
    *) echo "usage: tests/check.sh [--long [--after-check]] [--only REGEX]" >&2; exit 2 ;;
    esac
    shift
done
export BUILD TRIVISOR=$BUILD/trivisor
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

logs=$BUILD/check
mkdir -p "$logs"
passed=0
failed=0
failures=()

# suite NAME SECONDS COMMAND...: SECONDS is the time after which it counts as hung.
# Suites of $twice boot guests against the clock of a machine that others may share: one that fails is run a
# second time, and the line says so. Those in Python do so themselves, for each test. One in which a process died
# by a signal that says that it is wrong gets no second time.
twice=' up up-interp cli save-restore save-restore-interp storm storm-interp '
suite() {
    local name=$1 limit=$2 log start status try
    shift 2
    [[ $name =~ $only ]] || return 0
    log=$logs/${name//\//-}.log
    start=$(date +%s)
    printf '%-34s ' "$name"
    for try in 1 2; do
        timeout --kill-after=10 "$limit" "$@" >"$log" 2>&1 </dev/null
        status=$?
        [[ $status = 0 || $try = 2 || $twice != *" $name "* ]] && break
        grep -qaE 'Segmentation fault|Aborted|Bus error|Illegal instruction|exit status 1(3[2456]|39)' "$log" && break
        mv "$log" "${log%.log}.first.log"
    done
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
        printf 'ok      %4d s  %s%s\n' $(($(date +%s) - start)) \
            "$(grep -aE '[0-9]+ (passed|tests? passed)' "$log" | tail -n 1 | cut -c1-60)" \
            "$([ $try = 1 ] || echo " AT THE SECOND TRY (${log%.log}.first.log)")"
        [ $try = 1 ] || grep -aE '^(not ok|FAILED)' "${log%.log}.first.log" | head -n 5 | sed 's/^/    | /'
        grep -aE '^ok .* AT THE SECOND TRY' "$log" | head -n 10 | sed 's/^/    | /'
    else
        failed=$((failed + 1))
        failures+=("$name")
        printf 'FAILED  %4d s  %s\n' $(($(date +%s) - start)) "$([ $status = 124 ] && echo "no end after $limit s" || echo "status $status")"
        { grep -aE '^(not ok|FAILED|first try)' "$log" | head -n 30; echo ...; tail -n 25 "$log"; } | sed 's/^/    | /'
    fi
}

# quick: a suite of `make check`, in the same form.
quick() { [ -n "$after" ] || suite "$@"; }

quick layering 60 scripts/layering.sh
quick man-page 60 sh -c 'test -z "$(LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 docs/trivisor.1 2>&1 >/dev/null)"'
for t in "$BUILD"/tests/unit/test_*; do
    case $t in *.[od]) continue ;; esac
    quick "unit/$(basename "$t")" 300 "$t"
done
for f in $FUZZ; do
    suite "fuzz/$(basename "$f")" 300 "$f" ${long:+--seconds 15}
done
# Without a name, the default engine of this host: the translator on x86-64.
interp="env TRIVISOR_ENGINE=interp"
quick isa 600 tests/isa/run.sh "$TRIVISOR"
quick isa-interp 600 $interp tests/isa/run.sh "$TRIVISOR"
quick isa-plain-host 600 env TRIVISOR_OPTIONS=--plain-host tests/isa/run.sh "$TRIVISOR"
quick jit-counts 300 tests/jit/counts.py
quick cli 300 tests/boot/cli.sh
quick up 300 tests/boot/up.sh
if [ -z "$long" ]; then
    # On our own type 2 machine with H, what needs no other devices.
    suite type1-own 900 env BOARD=trivisor tests/type1/run.sh
    suite type0-own 900 env BOARD=trivisor tests/type0/run.sh
    suite type1 1800 tests/type1/run.sh
    suite type0 1800 tests/type0/run.sh
    suite random 300 tests/random/run.sh --short
    suite random-hot 300 env TRIVISOR_HOT=1 tests/random/run.sh --short
    suite boot 900 tests/boot/run.sh
    suite boot-interp 600 $interp tests/boot/run.sh --only 'direct-boot|saved-in-mid-boot|as-written|aia'
else
    all=--long
    [ -z "$after" ] || all=--only-long
    suite type1-all 2400 tests/type1/run.sh $all
    suite type1-own-aia 600 env BOARD=trivisor tests/type1/run.sh --only-long --only our-own-board
    # What is different there: AIA, the IOMMU, htinst. `make soak` does all of it.
    suite type1-qemu10 2400 env SOAK_MINUTES=0.5 tests/type1/run.sh --qemu10 --long --only 'interrupt|imsic|aplic|aia|iommu|pci|three|storms'
    suite type0-all 2400 tests/type0/run.sh $all
    suite type0-qemu10 2400 tests/type0/run.sh --qemu10
    suite type0-qemu10-debian 1200 tests/type0/run.sh --qemu10 --only-long --only interrupt-files
    # Of one hart and without V and H, of whose traps the audit does not know enough.
    suite isa-audit 600 env TRIVISOR_OPTIONS=--audit tests/isa/run.sh "$TRIVISOR" \
        $(cd tests/isa && for name in *.c; do case ${name%.c} in rt | harts | litmus | profile | aia | hypervisor | pointers | vector*) ;; *) echo "${name%.c}" ;; esac; done)
    suite random-plain-host 600 env TRIVISOR_OPTIONS=--plain-host tests/random/run.sh --short 7
    suite random-30000 2400 env PROGRAMS=30000 tests/random/run.sh --long
    suite boot-all 2400 tests/boot/run.sh $all
    suite up-interp 300 $interp tests/boot/up.sh
    suite real 2400 tests/boot/real.sh
    suite storm-interp 600 $interp tests/boot/storm.sh 1 10
    suite save-restore-interp 600 $interp tests/boot/save-restore.sh
    suite storm 600 tests/boot/storm.sh 3 10
    suite proofs 2400 proofs/run.sh
    suite save-restore 600 tests/boot/save-restore.sh
fi

[ ${#failures[@]} -eq 0 ] || echo "failed: ${failures[*]} (output: $logs/)"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
