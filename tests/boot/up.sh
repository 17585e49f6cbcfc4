#!/usr/bin/env bash
# `up`: machines live and die alone, and the end is told. Guests that spin: nothing needs to be fetched.
# usage: tests/boot/up.sh [TRIVISOR]
set -u

cd "$(dirname "$0")/../.." || exit 1
trivisor=$(realpath "${1:-${TRIVISOR:-build/trivisor}}")
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/runtime
mkdir "$XDG_RUNTIME_DIR"
cd "$work" || exit 1
up=
trap '[ -z "$up" ] || kill -KILL "$up" 2>/dev/null; rm -rf "$work"' EXIT
failed=0
engine=${TRIVISOR_ENGINE:+engine: $TRIVISOR_ENGINE, } # of the machines in the files below
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1: $2"; failed=1; }
# is TITLE CONDITION...
is() { if eval "$2"; then pass "$1"; else fail "$1" "$2; stderr: $(head -c 400 err 2>/dev/null)"; fi; }

# Linux's Image header around `j .`; a second one that prints "hello" by SBI first (DBCN, SBI 2.0 chapter 12),
# then switches itself off (SRST, chapter 10).
header() { printf '%b\0\0\0\0\0\0\x20\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0RISCV\0\0\0RSC\x05\0\0\0\0' "$1"; }
{ header '\x6f\0\0\0'; head -c 4032 /dev/zero; } >spin.img
[ "$(stat -c %s spin.img)" -eq 4096 ] || fail "the test's own kernel" "$(stat -c %s spin.img) bytes"
word() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }
{
    header '\x6f\0\0\x04' # j . + 64
    word 0x00600513       # li a0, 6: bytes
    word 0x00000597       # auipc a1, 0
    word 0x03c58593       # addi a1, a1, 60: the text, at code + 64
    word 0x00000613       # li a2, 0
    word 0x444248b7       # lui a7, 0x44424
    word 0x34e8889b       # addiw a7, a7, 0x34e: "DBCN" = 0x4442434e
    word 0x00000813       # li a6, 0
    word 0x00000073       # ecall
    word 0x00000513       # li a0, 0: shutdown
    word 0x00000593       # li a1, 0: no reason
    word 0x535258b7       # lui a7, 0x53525
    word 0x3548889b       # addiw a7, a7, 0x354: "SRST" = 0x53525354
    word 0x00000813       # li a6, 0
    word 0x00000073       # ecall
    word 0x0000006f       # j .
    word 0x00000013
    printf 'hello\n'
    head -c 3962 /dev/zero
} >hello.img

# A third that switches itself off when its UART has brought three bytes that are not the 0 of a break: what
# Linux gets as SysRq s, u and o.
{
    header '\x6f\0\0\x04'
    word 0x10000437 # lui s0, 0x10000: the UART
    word 0x00300493 # li s1, 3
    word 0x00544283 # 1: lbu t0, 5(s0): LSR
    word 0x0012f293 # andi t0, t0, 1: DR
    word 0xfe028ce3 # beqz t0, 1b
    word 0x00044283 # lbu t0, 0(s0): RBR
    word 0xfe0288e3 # beqz t0, 1b
    word 0xfff48493 # addi s1, s1, -1
    word 0xfe0494e3 # bnez s1, 1b
    word 0x00000513 # li a0, 0
    word 0x00000593 # li a1, 0
    word 0x535258b7 # lui a7, 0x53525
    word 0x3548889b # addiw a7, a7, 0x354
    word 0x00000813 # li a6, 0
    word 0x00000073 # ecall
    word 0x0000006f # j .
    head -c 3968 /dev/zero
} >listen.img

cat >spin.yaml <<YAML
vms:
  - { name: a, ${engine}memory: 32M, kernel: spin.img }
  - { name: bb, ${engine}cpus: 2, memory: 48M, kernel: spin.img }
  - { name: ccc, ${engine}memory: 32M, kernel: spin.img }
YAML
running() { "$trivisor" ps | grep -c ' running '; }
wait_running() {
    for _ in $(seq 100); do
        [ "$(running)" -eq "$1" ] && return 0
        sleep 0.1
    done
    return 1
}

# ---- one is killed, one dies by order, the rest goes on and is stopped ----
"$trivisor" up --json end.json spin.yaml </dev/null >out 2>err &
up=$!
is "three machines run at once" "wait_running 3"
victim=$("$trivisor" ps | awk '$1 == "a" { print $2 }')
is "each is a process of its own" "[ -n '$victim' ] && [ '$victim' != $up ]"
kill -KILL "$victim"
is "one killed by SIGKILL leaves the others running" "sleep 0.3; [ \$(running) -eq 2 ]"
is "its death is told at once" "grep -q 'a: .*signal 9' err"
"$trivisor" kill bb
is "one ended by order leaves the other running" "sleep 0.3; [ \$(running) -eq 1 ]"
kill -TERM $up
wait $up
status=$?
up=
is "the status says that not all ended well" "[ $status -eq 1 ]"
is "the table has a row for each" "grep -q '^a .*killed by signal 9' out && grep -q '^bb .*killed' out && grep -q '^ccc .*stopped' out"
is "the JSON has the same" "grep -q '\"killed by signal 9' end.json && grep -q '\"stopped\"' end.json"
is "nothing is left" "[ -z \"\$(ls runtime)\" ]"

# ---- all end well ----
cat >hello.yaml <<YAML
vms:
  - { name: x, ${engine}memory: 32M, kernel: hello.img }
  - { name: yy, ${engine}memory: 32M, kernel: hello.img }
YAML
timeout 30 "$trivisor" up hello.yaml </dev/null >out 2>err
status=$?
is "status 0 when all switched themselves off" "[ $status -eq 0 ] && [ ! -s err ]"
is "each line has its machine's name in front, without colours in a file" \
    "grep -qx 'x  | hello' out && grep -qx 'yy | hello' out"
is "a machine by itself: run gives the console alone" \
    "[ \"\$(timeout 30 '$trivisor' run --memory 32M --kernel hello.img </dev/null)\" = hello ]"

# ---- one cannot start: nothing starts ----
head -c 64 /dev/zero >odd.raw
cat >bad.yaml <<YAML
vms:
  - { name: x, ${engine}memory: 32M, kernel: hello.img }
  - { name: yy, ${engine}memory: 32M, kernel: hello.img, disks: [ { path: odd.raw } ] }
YAML
timeout 30 "$trivisor" up bad.yaml </dev/null >out 2>err
status=$?
is "one that cannot start keeps all from running, with one line" \
    "[ $status -eq 2 ] && [ \$(wc -l <err) -eq 1 ] && grep -q odd.raw err && [ ! -s out ] && [ -z \"\$(ls runtime)\" ]"

# ---- detached ----
"$trivisor" up --detach --logs "$work" spin.yaml </dev/null >out 2>err
status=$?
is "--detach returns when all run" "[ $status -eq 0 ] && [ \$(running) -eq 3 ]"
timeout 30 "$trivisor" up spin.yaml </dev/null >out 2>err
status=$?
is "names that run already are refused with one line" "[ $status -eq 2 ] && [ \$(wc -l <err) -eq 1 ] && [ \$(running) -eq 3 ]"
is "stop ends them" "'$trivisor' stop a bb ccc && [ \$(running) -eq 0 ] && [ -z \"\$(ls runtime)\" ]"

# ---- a guest that listens has its time to switch itself off ----
cat >listen.yaml <<YAML
vms:
  - { name: x, ${engine}memory: 32M, kernel: listen.img }
YAML
"$trivisor" up --grace 20 --json end.json listen.yaml </dev/null >out 2>err &
up=$!
wait_running 1
kill -TERM $up
wait $up
status=$?
up=
# By itself: an SBI call was made. Had it been switched off by us, there would be none.
is "a guest that listens switches itself off when asked" \
    "[ $status -eq 0 ] && grep -q '^x .*stopped' out && grep -q '\"sbi\": 1' end.json"

# ---- the parent dies: its machines do not outlive it ----
"$trivisor" up spin.yaml </dev/null >out 2>err &
up=$!
wait_running 3
kill -KILL $up
wait $up 2>/dev/null
up=
is "machines end when their parent is killed" "for i in \$(seq 50); do [ \$(running) -eq 0 ] && break; sleep 0.1; done; [ \$(running) -eq 0 ]"

[ "$failed" -eq 0 ]
