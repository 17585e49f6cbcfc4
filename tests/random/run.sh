#!/bin/bash
# Random programs on our engines and on QEMU: registers, traps, CSRs and memory must agree.
#
#     tests/random/run.sh [--short | --long] [SEED]
#
# --short: 2,000 programs; --long: 100,000 (PROGRAMS=N: so many) against QEMU 10, each row of the instruction table at least
# 100 times, and 10,000 against QEMU 7.2. On the model with V, 700 programs for each length of its registers, or a tenth as
# many as against QEMU 10. Then 100 or 300 litmus tests of two harts, whose outcomes must be among what the memory model
# permits (litmus.py). TRIVISOR_ENGINE: one engine instead of jit and interp in the same run. TRIVISOR_HOT: after so many
# turns the translator takes a loop as a whole; --short then has neither vectors nor H. TRIVISOR_OPTIONS: more of its options, --plain-host say. SEED: 1 unless told.
# Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2

BUILD=${BUILD:-build}
TRIVISOR=${TRIVISOR:-$BUILD/trivisor}
length=--short
seed=1
for argument in "$@"; do
    case $argument in
    --short | --long) length=$argument ;;
    *[!0-9]*) echo "usage: tests/random/run.sh [--short | --long] [SEED]" >&2; exit 2 ;;
    *) seed=$argument ;;
    esac
done
[ -x "$TRIVISOR" ] || { echo "run.sh: $TRIVISOR is not built; run 'make' first" >&2; exit 2; }

work=$BUILD/tests/random
mkdir -p "$work" || exit 2
riscv="--target=riscv64-unknown-elf -march=rv64gc -mabi=lp64d -mcmodel=medany -mno-relax -ffreestanding
       -fno-pic -fno-builtin -nostdlib -O2 -std=gnu17 -Wall -Wextra"
# shellcheck disable=SC2086
"${CLANG:-clang}" $riscv -march=rv64gcv -c tests/random/harness.S -o "$work/harness.o" &&
    "${CLANG:-clang}" $riscv "$work/harness.o" tests/random/run.c -fuse-ld=lld -Wl,-T,tests/random/link.ld \
    -o "$work/harness.elf" &&
    llvm-objcopy -O binary "$work/harness.elf" "$work/harness.bin" &&
    "${CC:-gcc}" -std=gnu17 -O2 -Wall -Wextra -Wconversion -Wno-sign-conversion -I. -Itests/random \
        tests/random/compare.c tests/random/generate.c tests/random/operands.c \
        tests/random/vector.c "$BUILD/libtrivisor.a" -pthread -o "$work/random" ||
    { echo "run.sh: cannot build the comparison (clang, lld, llvm and gcc are needed)" >&2; exit 2; }

passed=0
failed=0
machine="-M virt -smp 2 -m 64M -display none -monitor none -serial stdio -bios %s 2>/dev/null"
common="zba=true,zbb=true,zbc=true,zbs=true,svinval=true,svnapot=true,svpbmt=true,sstc=true,h=false,v=false,debug=false"
cpu7="rv64,$common,Zfh=true,pmu-num=0,x-smaia=true,x-ssaia=true"
cpu10="rv64,$common,zfh=true,zfa=true,zacas=true,zimop=true,zcmop=true,zcb=true,zicond=true,zawrs=true"
cpu10+=",zicbom=true,zicboz=true,zicbop=true,svade=true,svadu=true,smaia=true,ssaia=true,smstateen=true"
cpu10+=",zkn=true,zihintntl=true,zihintpause=true,pmu-mask=0"

hot() {
    [ "$1" != jit ] || printf '%s' "${TRIVISOR_HOT:+--hot $TRIVISOR_HOT} ${TRIVISOR_OPTIONS:-}"
}

# ours ENGINE VLEN
ours() {
    local model=rva22+zkn
    [ "$2" = 0 ] || model="rva23+zkn --vlen $2"
    printf '%s' "$TRIVISOR run --cpu $model --engine $1 $(hot "$1") --firmware %s --cpus 2 --memory 64M"
}

# compare NAME REFERENCE COMMAND PROGRAMS COVERAGE [VLEN [HYPER]]
compare() {
    local vlen=${6:-0} hyper=${7:-0} used=${6:-0}
    [ "$hyper" = 0 ] || used=0
    local second=()
    [ -n "${TRIVISOR_ENGINE:-}" ] || second=(--second "$(ours interp "$vlen")")
    echo "== $4 programs against $1, seed $seed$([ "$hyper" = 1 ] && echo ', of H' || echo "${6:+, VLEN $6}")"
    if "$work/random" --harness "$work/harness.bin" --work "$work" --seed "$seed" --oracle-is "$2" --vlen "$used" --hyper "$hyper" \
        --subject "$(ours "${TRIVISOR_ENGINE:-jit}" "$vlen")" "${second[@]}" --oracle "$3" --programs "$4" --coverage "$5"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

# vectors PROGRAMS COVERAGE: for each length of a register.
vectors() {
    local vlen cpu first=$seed seed
    for vlen in 128 256 512; do
        seed=$((first + vlen))
        cpu=${cpu10/h=false,v=false/h=true,v=true},vlen=$vlen,zvbb=true,zvbc=true,zvkg=true,zvkned=true,zvknhb=true,zvfhmin=true
        compare "QEMU 10" 10 "$qemu10 -cpu $cpu $machine" "$1" "$2" "$vlen"
    done
}

# hypervisor PROGRAMS COVERAGE: with H.
hypervisor() {
    compare "QEMU 10" 10 "$qemu10 -cpu ${cpu10/h=false,v=false/h=true,v=true},vlen=128 $machine" "$1" "$2" 128 1
}

# litmus COUNT: on each engine.
litmus() {
    local engine try status name=$work/litmus
    echo "== $1 litmus tests, seed $seed"
    # shellcheck disable=SC2086
    python3 -B tests/random/litmus.py assemble "$seed" "$1" "$name-tests.S" &&
        "${CLANG:-clang}" $riscv tests/random/litmus.S "$name-tests.S" tests/random/litmus.c -fuse-ld=lld \
            -Wl,-T,tests/random/link.ld -o "$name.elf" ||
        { echo "run.sh: cannot build the litmus tests" >&2; exit 2; }
    for engine in ${TRIVISOR_ENGINE:-jit interp}; do
        # A busy machine may run one hart after the other, and then nothing races: it is tried again.
        for try in 1 2 3 4; do
            # shellcheck disable=SC2046
            "$TRIVISOR" run --engine "$engine" $(hot "$engine") --firmware "$name.elf" --cpus 2 --memory 64M \
                </dev/null >"$name-$engine.out" &&
                python3 -B tests/random/litmus.py judge "$seed" "$1" "$engine" <"$name-$engine.out"
            status=$?
            [ $status = 3 ] || break
        done
        [ $status != 3 ] || echo "$engine: nothing raced in $try runs: this machine is too busy for the harts to meet"
        if [ $status = 0 ] || [ $status = 3 ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    done
}

qemu10=$(scripts/qemu10.sh 2>/dev/null)
if [ "$length" = --long ]; then
    if [ -n "$qemu10" ]; then
        compare "QEMU 10" 10 "$qemu10 -cpu $cpu10 $machine" "${PROGRAMS:-100000}" 100
        vectors $((${PROGRAMS:-100000} / 10)) 10
        hypervisor $((${PROGRAMS:-100000} / 10)) 10
    else
        echo "QEMU 10 could not be fetched (scripts/qemu10.sh)"
        failed=$((failed + 1))
    fi
    compare "QEMU 7.2" 7 "qemu-system-riscv64 -cpu $cpu7 $machine" 10000 1
elif [ -n "$qemu10" ]; then
    compare "QEMU 10" 10 "$qemu10 -cpu $cpu10 $machine" 2000 1
    if [ -z "${TRIVISOR_HOT:-}" ]; then
        vectors 700 1
        hypervisor 1000 1
    fi
else
    echo "QEMU 10 could not be fetched: QEMU 7.2 and what it implements instead"
    compare "QEMU 7.2" 7 "qemu-system-riscv64 -cpu $cpu7 $machine" 2000 1
fi
litmus $([ "$length" = --long ] && echo 300 || echo 100)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
