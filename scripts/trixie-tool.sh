#!/bin/bash
# A program of Debian 13 (trixie) for this machine, unpacked into a folder of the cache: for tests only, nothing is
# installed. It runs with its own C library, so that it does not matter which one this machine has.
#
#     scripts/trixie-tool.sh NAME PACKAGE PROGRAM      prints the path of a script that runs PROGRAM
#
# for example:  scripts/trixie-tool.sh cbmc cbmc /usr/bin/cbmc
. "$(dirname "$0")/lib.sh"

[ $# = 3 ] || die 2 "use: $PROGRAM NAME PACKAGE PROGRAM"
name=$1 package=$2 program=$3
out=$CACHE/$name
run=$out/run-$(basename "$program")

if [ -x "$run" ]; then
    printf '%s\n' "$run"
    exit 0
fi
lock_cache "$name"
if [ ! -x "$run" ]; then
    private_apt "tool-$name" "$(dpkg --print-architecture)" trixie
    say "fetching trixie's $package and what it needs (a test-only tool)"
    papt-get -y --download-only install "$package" >"$PAPT/log/fetch" 2>&1 || {
        papt_update
        papt-get -y --download-only install "$package" >"$PAPT/log/fetch" 2>&1 ||
            die 3 "cannot fetch $package: see $PAPT/log/fetch"
    }
    temp_dir
    mkdir "$TEMP/new"
    for deb in "$PAPT"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$TEMP/new" --no-same-owner --exclude='./usr/share/doc' \
            --exclude='./usr/share/man' --exclude='./usr/share/locale' 2>/dev/null ||
            die 1 "cannot unpack $(basename "$deb")"
    done
    [ -x "$TEMP/new$program" ] || die 1 "$package has no $program"
    cat >"$TEMP/new/run-$(basename "$program")" <<END
#!/bin/bash
# Runs $program of Debian trixie with its own libraries.
root=\$(cd "\$(dirname "\$(readlink -f "\$0")")" && pwd)
libraries=\$(echo "\$root"/usr/lib/*-linux-gnu "\$root"/usr/lib | tr ' ' ':')
loader=\$(ls "\$root"/lib*/ld-linux-*.so.* "\$root"/usr/lib*/ld-linux-*.so.* "\$root"/usr/lib/*/ld-linux-*.so.* 2>/dev/null | head -n 1)
export QEMU_MODULE_DIR=\$(echo "\$root"/usr/lib/*-linux-gnu/qemu | head -n 1)
exec "\$loader" --library-path "\$libraries" --argv0 "\$0" "\$root$program" $(
        case $program in *qemu-system-*) printf '%s' '-L "$root/usr/share/qemu"' ;; esac
    ) "\$@"
END
    chmod 755 "$TEMP/new/run-$(basename "$program")"
    rm -rf "$out"
    mv "$TEMP/new" "$out"
    rm -rf "$PAPT/archives" "$TEMP"
    say "ready: ${run#"$ROOT/"}"
fi
printf '%s\n' "$run"
