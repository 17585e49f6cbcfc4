#!/bin/bash
# The demonstration: three guests at the same time under Trivisor, judged from outside (see demo.py).
#
#     scripts/demo.sh            Debian guests; without a network the tiny guest, which CI does not accept
#     GUEST=tiny scripts/demo.sh
#
# Exit status 0: everything was as it should be.
. "$(dirname "$0")/lib.sh"

guest=${GUEST:-debian}
[ -x "$VMM" ] || die 2 "no $VMM: run make first"

case $guest in
debian)
    status=0
    "$ROOT/scripts/guest-debian.sh" kernel || status=$?
    if [ $status = 3 ]; then
        if [ -n "${CI:-}" ]; then
            die 1 "no Debian guests, and in CI no other will do"
        fi
        say "FALLBACK: no network, so no Debian; showing our own tiny guest instead (no disk, no network in it)"
        guest=tiny
    elif [ $status != 0 ]; then
        exit 1
    fi
    ;;
tiny) ;;
*) die 2 "GUEST=$guest: debian or tiny" ;;
esac
if [ $guest = tiny ]; then
    "$ROOT/guests/tiny/build.sh" "$ROOT/build/guests/tiny.bin"
fi
exec python3 "$ROOT/scripts/demo.py" "$guest" "$VMM" "$ROOT" "$CACHE"
