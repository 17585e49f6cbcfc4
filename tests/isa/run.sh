#!/bin/bash
# Builds the bare-metal ISA tests and runs each on a machine: our own, or QEMU to check the tests themselves.
#
#     tests/isa/run.sh [TRIVISOR | --qemu10] [TEST...]
#
# TRIVISOR_OPTIONS: more of our own, --plain-host say. Ends with "N passed, N failed"; status 0 if none failed.
set -u
cd "$(dirname "$0")/../.." || exit 2

BUILD=${BUILD:-build}
machine=${TRIVISOR:-$BUILD/trivisor}
if [ $# -gt 0 ]; then
    machine=$1
    shift
fi
work=$BUILD/tests/isa
mkdir -p "$work" || exit 2

flags="--target=riscv64-unknown-elf -march=rv64gc -mabi=lp64d -mcmodel=medany -mno-relax -ffreestanding
       -fno-pic -fno-builtin -nostdlib -O2 -std=gnu17 -Wall -Wextra -I. -Itests/isa"
clang=${CLANG:-clang}
fail() {
    echo "run.sh: $1" >&2
    exit 2
}
# shellcheck disable=SC2086
"$clang" $flags -c tests/isa/start.S -o "$work/start.o" && "$clang" $flags -c tests/isa/rt.c -o "$work/rt.o" ||
    fail "cannot build the runtime (clang and lld are needed)"
# shellcheck disable=SC2086
"$clang" $flags -march=rv64gcv -c tests/isa/vector.S -o "$work/vector.o" && "$clang" $flags -c tests/isa/vector_rt.c -o "$work/vector_rt.o" ||
    fail "cannot build the runtime of the vector tests"
made=$work/arithmetic.made
if [ "$made" -ot tests/isa/arithmetic.py ] || [ "$made" -ot riscv/insn.def ]; then
    rm -f "$work"/arithmetic_*.c
    python3 tests/isa/arithmetic.py "$work" && touch "$made" || fail "cannot make the tables of arithmetic"
fi
made=$work/vector.made
if [ "$made" -ot tests/isa/arithmetic.py ] || [ "$made" -ot tests/isa/vector.py ] || [ "$made" -ot riscv/insn_v.def ]; then
    rm -f "$work"/vector_*.c
    python3 -B tests/isa/vector.py "$work" && touch "$made" || fail "cannot make the tables of vector instructions"
fi

# run ELF HARTS MODEL (or nothing: the default) NAME
run() {
    aia=
    [ "$4" != aia ] || aia=yes
    case $machine:$3 in
    --qemu10:rva23*) cpu=rv64,h=false,v=false,debug=false,sscofpmf=true,smaia=true,ssaia=true,smmpm=true,smnpm=true,ssnpm=true,zkr=true${aia:+,smstateen=true} ;;
    --qemu10:rv64gc) cpu=rv64,h=false,v=false,b=false,zba=false,zbb=false,zbc=false,zbs=false,zfa=false,zawrs=false,zicbom=false,zicbop=false,zicboz=false ;;
    *) cpu=rv64,h=false,v=false,debug=false,zfh=true,zfa=true,zacas=true,zimop=true,zcmop=true,zcb=true,zicond=true,zawrs=true,zicbom=true,zicboz=true,zicbop=true,svinval=true,svnapot=true,svpbmt=true,svade=true,svadu=true,sstc=true,smaia=true,ssaia=true,smstateen=true,b=true,zba=true,zbb=true,zbc=true,zbs=true,zkn=true ;;
    esac
    [[ $3 != rva23* ]] || cpu=${cpu/h=false,v=false/h=true,v=true,vlen=128,zvbb=true,zvbc=true,zvkg=true,zvkned=true,zvknhb=true,zvfhmin=true}
    case $machine in
    --qemu10)
        timeout "${LIMIT:-120}" "$(scripts/qemu10.sh)" -M "virt${aia:+,aia=aplic-imsic,aia-guests=7}" -m 64M -display none -monitor none -serial stdio -bios "$1" -smp "$2" -cpu \
            "$cpu" \
            2>/dev/null </dev/null ;;
    *) timeout "${LIMIT:-120}" "$machine" run ${TRIVISOR_ENGINE:+--engine $TRIVISOR_ENGINE} ${TRIVISOR_OPTIONS:-} ${3:+--cpu "$3"} ${aia:+--irq aia} --firmware "$1" --cpus "$2" --memory 64M </dev/null ;;
    esac
}

passed=0
failed=0
rm -f "$work"/*.out
for source in tests/isa/*.c "$work"/arithmetic_*.c "$work"/vector_*.c; do
    name=$(basename "$source" .c)
    [[ $name != rt && $name != vector_rt ]] || continue
    vector=
    [[ $name != vector* ]] || vector="$work/vector.o $work/vector_rt.o"
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    # shellcheck disable=SC2086
    "$clang" $flags "$source" "$work/start.o" "$work/rt.o" $vector -fuse-ld=lld -Wl,-T,tests/isa/link.ld -o "$work/$name.elf" ||
        fail "cannot build $source"
    run "$work/$name.elf" $([[ $name =~ ^(harts|litmus|profile|aia)$ ]] && echo 2 || echo 1) "$(case $name in rv64gc) echo rv64gc ;; aia | hypervisor | overflow | pointers | vector*) echo rva23 ;; seed) echo rva23+zkr ;; *_zkn) echo rva22+zkn ;; *) echo rva22 ;; esac)" "$name" >"$work/$name.out" 2>&1
    status=$?
    # The finisher's status, and the line that says the program came to its end.
    if [ $status -eq 0 ] && grep -qaE '^[1-9][0-9]* checks, 0 failed' "$work/$name.out"; then
        passed=$((passed + 1))
        echo "ok - $name: $(tail -n 1 "$work/$name.out")"
    else
        failed=$((failed + 1))
        echo "not ok - $name (status $status)"
        tail -n 40 "$work/$name.out" | sed 's/^/    /'
    fi
done
# Each row of the instruction table must have been executed and checked by some program; rv64gc's and vector_off's are illegal.
if [ $# -eq 0 ]; then
    missing=$(comm -23 <(sed -nE 's/^[CV]?INSN\(\w+, "([^"]+)".*/\1/p' riscv/insn.def riscv/insn_v.def | sort -u) \
        <(sed -n 's/^rows: //p' $(ls "$work"/*.out | grep -vE '/(rv64gc|vector_off).out') | tr ' ' '\n' | sort -u))
    if [ -z "$missing" ]; then
        passed=$((passed + 1))
        echo "ok - every row of riscv/insn.def and riscv/insn_v.def"
    else
        failed=$((failed + 1))
        echo "not ok - no program covers these rows:" $missing
    fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
