#!/usr/bin/env bash
# A machine saved in mid-boot goes on in a fresh process: its console, taken together, is the console of a run
# that was never interrupted. Also: what may not be restored is refused with one line.
# usage: tests/boot/save-restore.sh [TRIVISOR]      (needs guests/cache/debian: scripts/guest-debian.sh)
set -u

cd "$(dirname "$0")/../.." || exit 1
trivisor=$(realpath "${1:-${TRIVISOR:-build/trivisor}}")
guest=$(realpath "${GUEST_DIR:-${TRIVISOR_CACHE:-guests/cache}/debian}")
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$work"' EXIT
failed=0
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1: $2"; failed=1; }

start() { # start NAME CPUS LOG DISK
    : >"$3" # at once: the redirection below happens in the child's own time
    "$trivisor" run ${TRIVISOR_ENGINE:+--engine "$TRIVISOR_ENGINE"} --name "$1" --cpus "$2" --memory 256M --kernel "$guest/vmlinux" --initrd "$guest/initrd.img" \
        --cmdline "console=ttyS0 trivisor.task=poweroff" --disk "$4" --net user </dev/null >"$3" 2>"$3.err" &
    pid=$!
}

# Lines without what differs between any two runs: numbers (times, addresses), and their order where
# harts print at the same time.
normal() {
    tr -d '\r' <"$1" | sed -E 's/^\[ *[0-9.]+\] //; s/[0-9a-f]*[0-9][0-9a-f]*/N/g' |
        grep -vE 'random: |rtc|sched_clock|Calibrating|Lpj|psi|raid6|xor|Free page reporting|hrtimer|delay' | sort
}

# wait_line LOG WORDS: until the console has come so far.
wait_line() {
    for _ in $(seq 1500); do
        grep -qa "$2" "$1" && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.02
    done
    return 1
}

# The guest must not reach its end before a loaded host has started the command: the machine stands still until
# the command has reached it (its socket is there twice then, once to listen).
gone=9 # the machine had ended before
save_now() {
    local saver _
    kill -STOP "$pid" 2>/dev/null || return $gone
    "$trivisor" save broken "$work/saved" &
    saver=$!
    for _ in $(seq 400); do
        [ "$(grep -c "$work/.*/broken.sock$" /proc/net/unix)" -lt 2 ] || break
        sleep 0.05
    done
    kill -CONT "$pid"
    wait "$saver"
}

truncate -s 4M "$work/disk.raw"
for cpus in 1 2; do
    start whole $cpus "$work/whole.log" "$work/disk.raw"
    wait "$pid"
    status=$?
    [ $status -eq 0 ] || fail "unbroken run, $cpus harts" "status $status: $(cat "$work/whole.log.err")"
    [ "$(normal "$work/whole.log" | wc -l)" -gt 100 ] || fail "unbroken run, $cpus harts" "too few lines to compare"
    # Early (no device in use yet), in the middle, and with init running and its drivers loading.
    for mark in "SBI specification" "io scheduler" "init is running"; do
        title="saved at '$mark' with $cpus harts"
        # Its end may come before a loaded host has looked: then it is begun again.
        for _ in 1 2 3 4 5; do
            start broken $cpus "$work/first.log" "$work/disk.raw"
            wait_line "$work/first.log" "$mark" || { fail "$title" "never came so far"; continue 2; }
            save_now
            status=$?
            [ $status -eq $gone ] || break
            wait "$pid"
        done
        [ $status -eq 0 ] || { fail "$title" "save: status $status"; continue; }
        wait "$pid"
        status=$?
        [ $status -eq 0 ] || { fail "$title" "the saved process ended with $status"; continue; }
        timeout 120 "$trivisor" restore "$work/saved" </dev/null >"$work/second.log" 2>"$work/second.err"
        status=$?
        [ $status -eq 0 ] || { fail "$title" "restore: status $status: $(cat "$work/second.err")"; continue; }
        cat "$work/first.log" "$work/second.log" >"$work/both.log"
        if diff <(normal "$work/whole.log") <(normal "$work/both.log") >"$work/diff"; then
            pass "$title"
        else
            fail "$title" "the console differs: $(head -n 20 "$work/diff")"
        fi
    done
done

# refused TITLE WORDS: restore must answer with one line and status 2.
refused() {
    timeout 20 "$trivisor" restore "$work/saved" </dev/null >"$work/out" 2>"$work/err"
    status=$?
    if [ $status -eq 2 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "$2" "$work/err"; then
        pass "$1"
    else
        fail "$1" "status $status: $(cat "$work/err")"
    fi
}
cp -p "$work/saved" "$work/good"
cp -p "$work/disk.raw" "$work/disk.good"
echo x >>"$work/disk.raw"
refused "disk of another size" disk.raw
cp -p "$work/disk.good" "$work/disk.raw"
touch "$work/disk.raw"
refused "disk written to since" disk.raw
rm "$work/disk.raw"
refused "missing disk" disk.raw
cp -p "$work/disk.good" "$work/disk.raw"
head -c 100000 "$work/good" >"$work/saved"
refused "truncated file" saved
{ head -c 50000 "$work/good"; head -c 100 /dev/zero | tr '\0' x; tail -c +50101 "$work/good"; } >"$work/saved"
refused "corrupt file" saved

[ "$failed" -eq 0 ]
