#!/usr/bin/env bash
# What bad input gets: one line on stderr that names the culprit and, behind a semicolon, says how to mend it; exit
# status 2, and nothing left behind.
# usage: tests/boot/cli.sh [TRIVISOR]
set -u

cd "$(dirname "$0")/../.." || exit 1
trivisor=${1:-${TRIVISOR:-build/trivisor}}
[ -x "$trivisor" ] || { echo "cli.sh: $trivisor is not built; run 'make' first" >&2; exit 1; }
trivisor=$(realpath "$trivisor")

work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/runtime TMPDIR=$work/tmp
mkdir "$XDG_RUNTIME_DIR" "$TMPDIR" "$work/files"
cd "$work/files" || exit 1
pids=()
as=()
trap 'for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done; rm -rf "$work"' EXIT

failed=0
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1: $2"; failed=1; }

# What a run may not leave: sockets, temporary files, files beside its inputs.
leavings() { (cd "$work" && find runtime tmp files -mindepth 1 | sort); }

# bad TITLE 'WORDS THAT THE LINE MUST HOLD' ARGUMENT...   (an extended regular expression)
bad() {
    local title=$1 words=$2 before status lines
    shift 2
    before=$(leavings)
    timeout 20 "${as[@]}" "$trivisor" "$@" </dev/null >"$work/out" 2>"$work/err"
    status=$?
    lines=$(wc -l <"$work/err")
    if [ "$status" -ne 2 ]; then
        fail "$title" "exit status $status: $(head -c 300 "$work/err")"
    elif [ "$lines" -ne 1 ] || [ -n "$(tail -c1 "$work/err" | tr -d '\n')" ]; then
        fail "$title" "$lines lines on stderr: $(head -c 600 "$work/err")"
    elif ! grep -qE "^trivisor: .*($words)" "$work/err"; then
        fail "$title" "the line does not say /$words/: $(cat "$work/err")"
    elif ! grep -q '; [^ ]' "$work/err"; then
        fail "$title" "the line does not say how to mend it: $(cat "$work/err")"
    elif [ -s "$work/out" ]; then
        fail "$title" "something on stdout: $(head -c 300 "$work/out")"
    elif [ "$before" != "$(leavings)" ]; then
        fail "$title" "left behind: $(diff <(echo "$before") <(leavings) | tr '\n' ' ')"
    else
        pass "$title"
    fi
}

# little-endian bytes: le VALUE COUNT
le() {
    local value=$1 i
    for ((i = 0; i < $2; i++)); do
        printf "\\x$(printf %02x $((value & 255)))"
        value=$((value >> 8))
    done
}

# A kernel in the form of Linux's Image that spins: j . with the 64-byte header around it.
# image TEXT_OFFSET IMAGE_SIZE MAGIC2 CODE
image() {
    le "$4" 4 # code0
    le 0 4
    le "$1" 8
    le "$2" 8
    le 0 8    # flags: little-endian
    le 2 4    # version 0.2
    le 0 12
    printf 'RISCV\0\0\0'
    printf "$3"
    le 0 4
    head -c 4032 /dev/zero
}
image $((0x200000)) 8192 'RSC\x05' $((0x6f)) >spin.img
image $((0x200000)) $((1 << 40)) 'RSC\x05' $((0x6f)) >huge.img
# arm64's header has its own magic at 56 (Documentation/arch/arm64/booting.rst) and no RISCV at 48
{ le 0 4; le 0 4; le 0 8; le 8192 8; le 10 8; le 0 24; printf 'ARM\x64'; le 0 4; head -c 4032 /dev/zero; } >arm64.img
head -c 40 spin.img >short.img
gzip -c spin.img | head -c 50 >truncated.gz
{ gzip -c spin.img | head -c 20; head -c 40 /dev/urandom; } >corrupt.gz
printf '\x7fELF\x02\x01\x01' >short.elf
: >empty
head -c 1000 /dev/urandom >odd.raw
truncate -s 1M disk.raw
truncate -s 400M big.initrd
head -c 200 /dev/zero >notsaved

# ---- words ----
bad "no command" "command" 
bad "unknown command" "fly" fly
bad "unknown option" "bogus" run --bogus
bad "option without its value" "kernel" run --kernel
bad "words too many" "too many" run --kernel spin.img extra
bad "nothing to start" "kernel" run
bad "wrong number of CPUs" "65" run --cpus 65 --kernel spin.img
bad "no CPU" "cpus" run --cpus 0 --kernel spin.img
bad "wrong unit" "12X" run --memory 12X --kernel spin.img
bad "memory too small" "memory" run --memory 4K --kernel spin.img
bad "memory of nothing" "memory" run --memory 0 --kernel spin.img
bad "memory beyond the maximum" "memory: 2T is more than 1T" run --memory 2T --kernel spin.img
bad "unknown engine" "warp" run --engine warp --kernel spin.img
bad "engine that this host has not" "'kvm'.*no RISC-V" run --engine kvm --kernel spin.img
bad "unknown model" "cpu: .rva99. is no model; write rv64gc, rva22 or rva23" run --cpu rva99 --kernel spin.img
bad "vectors of a model without them" "vlen: the model .rv64gc. has no vector registers" run --cpu rv64gc --vlen 256 --kernel spin.img
bad "length of vectors" "vlen: .100. is no length" run --vlen 100 --kernel spin.img
bad "bad name" "name" run --name 'a/b' --kernel spin.img
bad "name too long" "name" run --name "$(printf 'x%.0s' {1..40})" --kernel spin.img
bad "unknown word of a disk" "writable" run --kernel spin.img --disk disk.raw,writable
bad "unknown kind of network" "bridge" run --kernel spin.img --net bridge
bad "bad forward" "forward" run --kernel spin.img --net user,forward=tcp:99999
bad "port at an address that is not of this host" "192.0.2.1:4000" run --kernel spin.img --net user,forward=tcp:192.0.2.1:4000:80
bad "port twice" "host port 4000" run --kernel spin.img --net user,forward=tcp:4000:80,forward=tcp:4000:81
bad "bad grace" "grace.*soon" run --grace soon --kernel spin.img
bad "help on nothing" "fly" help fly
bad "control of a VM that is not there" "ghost" stop ghost
bad "console of a VM that is not there" "ghost" console ghost
bad "logs of a VM that is not there" "ghost" logs ghost
bad "save of a VM that is not there" "ghost" save ghost x.saved
bad "balloon of a VM that is not there" "ghost" balloon ghost 64M
bad "balloon of a wrong size" "12X" balloon ghost 12X
bad "unknown guest" "minix" guest minix

# ---- files ----
bad "missing kernel" "missing.img" run --kernel missing.img
bad "kernel is a folder" "files" run --kernel "$work/files"
bad "empty kernel" "empty" run --kernel empty
bad "kernel for x86-64" "/bin/true.*x86-64" run --kernel /bin/true
bad "kernel for arm64" "arm64.img" run --kernel arm64.img
bad "kernel shorter than its header" "short.img" run --kernel short.img
bad "ELF shorter than its header" "short.elf" run --kernel short.elf
bad "truncated gzip" "truncated.gz" run --kernel truncated.gz
bad "corrupt gzip" "corrupt.gz" run --kernel corrupt.gz
bad "a text file as the kernel" "cli" run --kernel "$OLDPWD/tests/boot/cli.sh"
bad "kernel larger than memory" "kernel|memory" run --kernel huge.img
bad "missing initrd" "missing.initrd" run --kernel spin.img --initrd missing.initrd
bad "initrd that does not fit" "initrd" run --kernel spin.img --memory 256M --initrd big.initrd
bad "missing firmware" "missing.bin" run --firmware missing.bin
bad "missing disk" "missing.raw" run --kernel spin.img --disk missing.raw
bad "disk of an odd size" "odd.raw" run --kernel spin.img --disk odd.raw
bad "empty disk" "empty" run --kernel spin.img --disk empty
bad "disk is a folder" "files" run --kernel spin.img --disk "$work/files"
bad "one disk twice" "disk" run --kernel spin.img --disk disk.raw --disk disk.raw
bad "log file in a folder that is missing" "nowhere" run --kernel spin.img --console-log nowhere/log
bad "JSON file in a folder that is missing" "--json nowhere/x.json" run --kernel spin.img --json nowhere/x.json
bad "JSON file that is a folder" "--json $work/tmp" restore --json "$work/tmp" notsaved
bad "no JSON file of what did not start" "missing.img" run --kernel missing.img --json x.json
bad "more devices than the board has slots for" "virtio devices" run --kernel spin.img \
    --net user --net user --net user --net user --virtio-console \
    --disk disk.raw,readonly --disk disk.raw,readonly --disk disk.raw,readonly --disk disk.raw,readonly
bad "too little host memory" "memory" run --memory 1T --kernel spin.img
bad "tap interface that is not a tap" "lo" run --kernel spin.img --net tap,ifname=lo
bad "restore of nothing" "missing.saved" restore missing.saved
bad "restore of something else" "notsaved" restore notsaved
# Root may do everything: it becomes nobody for what needs a permission.
cp spin.img locked.img && chmod 0 locked.img
(umask 0 && mkdir "$XDG_RUNTIME_DIR/nobody")
if [ "$(id -u)" -eq 0 ]; then
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --)
    cp "$trivisor" "$work/trivisor" && chmod 755 "$work" "$work/files" "$XDG_RUNTIME_DIR" "$work/trivisor"
fi
unprivileged() {
    local trivisor=$trivisor XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/nobody
    [ ${#as[@]} -eq 0 ] || trivisor=$work/trivisor
    bad "$@"
}
unprivileged "unreadable kernel" "locked.img.*permission" run --kernel locked.img
[ ! -e /dev/net/tun ] ||
    unprivileged "no permission for tap" "tap trivtest0.*[Pp]ermission" run --kernel spin.img --net tap,ifname=trivtest0
# Somebody else listens where a VM of ours would: he gets no orders.
if [ ${#as[@]} -gt 0 ]; then
    (umask 0 && mkdir "$XDG_RUNTIME_DIR/nobody/trivisor")
    python3 -c 'import os, socket, sys, time
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
time.sleep(60)' "$XDG_RUNTIME_DIR/nobody/trivisor/theirs.sock" &
    pids+=($!)
    for _ in {1..100}; do [ -S "$XDG_RUNTIME_DIR/nobody/trivisor/theirs.sock" ] && break; sleep 0.1; done
    sleep 0.2
    as=()
    XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/nobody bad "a control socket of somebody else" "theirs.*another user" stop theirs
    kill "${pids[-1]}"
fi
as=()
rm -rf "$XDG_RUNTIME_DIR/nobody"

# ---- YAML ----
yaml() { printf '%s\n' "${@:2}" >"$1"; }
yaml key.yaml 'vms:' '  - name: a' '    kernel: spin.img' '    memroy: 64M'
yaml type.yaml 'vms:' '  - name: a' '    kernel: spin.img' '    cpus: many'
yaml unit.yaml 'vms:' '  - name: a' '    kernel: spin.img' '    memory: 64Q'
yaml twice.yaml 'vms:' '  - name: a' '    memory: 64M' '    kernel: spin.img' '  - name: a' '    memory: 64M' '    kernel: spin.img'
yaml engine.yaml 'vms:' '  - name: a' '    memory: 64M' '    kernel: spin.img' '    engine: kvm'
yaml none.yaml 'vms: []'
yaml file.yaml 'vms:' '  - name: a' '    memory: 64M' '    kernel: gone.img'
yaml second.yaml 'vms:' '  - name: a' '    memory: 64M' '    kernel: spin.img' '  - name: b' '    memory: 64M' '    kernel: arm64.img'
printf 'vms:\n  - name: a\n   kernel: [x\n' >syntax.yaml
head -c 300 /dev/urandom >noise.yaml
for command in validate up; do
    bad "$command: missing file" "missing.yaml" $command missing.yaml
    bad "$command: wrong key" "key.yaml:4.*memroy" $command key.yaml
    bad "$command: wrong type" "type.yaml:4.*cpus" $command type.yaml
    bad "$command: wrong unit" "unit.yaml:4.*64Q" $command unit.yaml
    bad "$command: engine that this host has not" "engine.yaml:5.*engine: 'kvm' .*no RISC-V" $command engine.yaml
    bad "$command: duplicate name" "twice.yaml:5" $command twice.yaml
    bad "$command: no machines" "none.yaml" $command none.yaml
    bad "$command: missing kernel" "file.yaml:4.*gone.img" $command file.yaml
    bad "$command: second kernel is for another machine" "arm64.img" $command second.yaml
    bad "$command: not YAML" "syntax.yaml" $command syntax.yaml
    bad "$command: noise" "noise.yaml" $command noise.yaml
done
# ---- type 0: how a board is divided ----
if qemu-system-riscv64 -M virt,dumpdtb=board.dtb -smp 4 -m 1G -display none >"$work/out" 2>&1; then
    image 0 $((1 << 20)) 'RSC\x05' $((0x6f)) >type0.fw # a firmware that takes 1 MiB
    layout=(validate --type 0 --hypervisor type0.fw --board board.dtb)
    yaml split.yaml 'vms:' '  - { name: web, cpus: 2, memory: 256M, kernel: spin.img, shared: [ { name: box, size: 64K } ] }' \
        '  - { name: db, memory: 96M, address: "0x88000000", kernel: spin.img, shared: [ { name: box, size: 64K } ] }' \
        '  - { name: log, cpus: 2, weight: 50, memory: 32M, kernel: spin.img, passthrough: [ { device: rtc } ] }'
    if "$trivisor" "${layout[@]}" split.yaml >"$work/out" 2>"$work/err" &&
        grep -qE '^1 +db +2 +96 MiB +0x88000000-0x8dffffff +4 of 16 +-$' "$work/out" &&
        grep -qE '^0 +web +0\* 1 +256 MiB +0x90000000-0x9fffffff ' "$work/out" &&
        grep -qE '^2 +log .* rtc@101000$' "$work/out" &&
        grep -qE '^\* hart 0 is shared: web \(VCPU 0\) 67 %, log \(VCPU 1\) 33 %$' "$work/out" &&
        grep -qE '^box: 64 KiB at 0x[0-9a-f]+, shared by web and db$' "$work/out" && [ ! -s "$work/err" ]; then
        pass "validate --type 0 shows how the board is divided"
    else
        fail "validate --type 0 shows how the board is divided" "$(cat "$work/out" "$work/err")"
    fi
    bad "too few PMP entries" 'partition 1 \(db\) needs 4 PMP entries on hart 2, which has 3; its 96M at 0x88000000 take 2, 128M at 0x88000000 would take 1' \
        "${layout[@]}" --pmp-entries 3 split.yaml
    yaml large.yaml 'vms:' '  - { name: a, memory: 600M, kernel: spin.img }' '  - { name: b, memory: 600M, kernel: spin.img }'
    bad "partitions larger than the board" 'partition 1 \(b\): 600M of memory do not fit; the largest free piece has 4' "${layout[@]}" large.yaml
    yaml dma.yaml 'vms:' '  - { name: a, memory: 64M, kernel: spin.img, passthrough: [ { device: virtio_mmio@10001000 } ] }'
    bad "a bus master that is not trusted" 'virtio_mmio@10001000 can reach all memory by DMA.*trusted_dma: true' "${layout[@]}" dma.yaml
    yaml disk.yaml 'vms:' '  - { name: a, memory: 64M, kernel: spin.img, disks: [ { path: disk.raw } ] }'
    bad "a disk under type 0" 'a: disks: type 0 plays no disks' "${layout[@]}" disk.yaml
    bad "an ELF file as payload" 'ls: is an ELF file' bundle --type 0 --hypervisor type0.fw --payload /bin/ls -o x.fw
    bad "a payload for type 1" '--payload: is for --type 0 alone' bundle --type 1 --payload /bin/ls -o x.fw
    bad "a disk in a bundle for type 0" 'a: disks: type 0 plays no disks' bundle --type 0 --hypervisor type0.fw -o x.fw disk.yaml
    bad "a board that is none" 'spin.img: is no device tree' validate --type 0 --hypervisor type0.fw --board spin.img split.yaml
    bad "a board for another type" 'board.dtb: is for type 0' validate --board board.dtb split.yaml
    bad "a PMP grain that is none" 'pmp-grain 5' validate --type 0 --pmp-grain 5 split.yaml
    if "$trivisor" bundle --type 0 --hypervisor type0.fw -o split.fw split.yaml >"$work/out" 2>"$work/err" &&
        [ "$(dd if=split.fw bs=1M skip=1 count=1 2>/dev/null | head -c 8)" = TRIVBNDL ]; then
        pass "bundle --type 0 puts the bundle behind the firmware's memory"
    else
        fail "bundle --type 0 puts the bundle behind the firmware's memory" "$(cat "$work/out" "$work/err")"
    fi
    rm -f split.fw
else
    echo "ok - type 0: SKIP: no QEMU here that describes a board"
fi

yaml good.yaml 'vms:' '  - name: a' '    memory: 64M' '    kernel: spin.img'
bad "up: JSON file in a folder that is missing" "--json nowhere/x.json" up --json nowhere/x.json good.yaml
bad "up: no JSON file of what did not start" "arm64.img" up --json x.json second.yaml
bad "up: folder of logs is missing" "nowhere" up --logs nowhere second.yaml

# ---- what another VM holds ----
port=$((20000 + RANDOM % 20000))
"$trivisor" run --name first --memory 64M --kernel spin.img --disk disk.raw \
    --net user,forward=tcp:127.0.0.1:$port:80 </dev/null >/dev/null 2>"$work/first" &
first=$!
pids+=("$first")
for _ in $(seq 100); do
    "$trivisor" ps | grep -q '^first .*running' && break
    sleep 0.1
done
"$trivisor" ps | grep -q '^first .*running' && pass "a spinning guest runs" || fail "a spinning guest runs" "$(cat "$work/first")"
bad "name in use" "first" run --name first --memory 64M --kernel spin.img
bad "disk in use by another VM" "disk.raw" run --memory 64M --kernel spin.img --disk disk.raw
bad "port in use" "$port" run --memory 64M --kernel spin.img --net user,forward=tcp:127.0.0.1:$port:80
bad "balloon of all memory" "first.*64 MiB" balloon first 64M
"$trivisor" balloon first 16M && "$trivisor" ps --json | grep -q '"balloon":{"target":16777216,"given":0,' &&
    pass "balloon asks the guest" || fail "balloon asks the guest" "$("$trivisor" ps --json)"
bad "save into a folder that is missing" "nowhere" save first nowhere/x.saved
bad "save that keeps running with a writable disk" "disk.raw" save --keep first x.saved

"$trivisor" stop first; status=$?
wait "$first"; ended=$?
pids=()
[ "$status" -eq 0 ] && [ "$ended" -eq 0 ] && [ ! -s "$work/first" ] && pass "stop ends it in order" ||
    fail "stop ends it in order" "stop $status, run $ended: $(cat "$work/first")"

# ---- the ends that a process can come to ----
"$trivisor" run --name second --memory 64M --kernel spin.img </dev/null >/dev/null 2>&1 &
second=$!
pids+=("$second")
for _ in $(seq 100); do
    "$trivisor" ps | grep -q '^second .*running' && break
    sleep 0.1
done
"$trivisor" pause second && "$trivisor" ps | grep -q '^second .*paused' && "$trivisor" resume second &&
    "$trivisor" ps | grep -q '^second .*running' && pass "pause and resume" || fail "pause and resume" "$("$trivisor" ps)"
kill -KILL "$second"
wait "$second" 2>/dev/null
[ "$("$trivisor" ps | wc -l)" -eq 1 ] && [ -z "$(ls "$XDG_RUNTIME_DIR")" ] &&
    pass "the socket of a killed one is cleared away" || fail "the socket of a killed one is cleared away" "$(leavings)"
"$trivisor" run --memory 64M --kernel spin.img </dev/null >/dev/null 2>&1 &
third=$!
pids=("$third")
for _ in $(seq 100); do
    "$trivisor" ps | grep -q '^run-.*running' && break
    sleep 0.1
done
kill -TERM "$third"
wait "$third"
status=$?
pids=()
[ "$status" -eq 0 ] && [ -z "$(ls "$XDG_RUNTIME_DIR")" ] && pass "SIGTERM ends it in order" ||
    fail "SIGTERM ends it in order" "status $status, $(leavings)"

# ---- every command teaches ----
for command in run up ps console logs stop kill pause resume balloon save restore validate bundle guest help version; do
    text=$("$trivisor" help "$command" 2>&1) && grep -q "^trivisor $command" <<<"$text" && grep -q "Example: trivisor" <<<"$text" &&
        pass "help $command" || fail "help $command" "$text"
done

[ "$failed" -eq 0 ]
