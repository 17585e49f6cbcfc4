#!/bin/bash
# A cpio archive to be put behind a Debian guest's initramfs: the riscv64 build of Trivisor as /bin/trivisor, its
# libraries, and files that are to be with it. With it the guest is a host itself.
#
#     scripts/riscv64-root.sh OUTPUT PROGRAM [NAME=FILE...]
#
# for example:  scripts/riscv64-root.sh more.cpio build-riscv64/trivisor vmlinux=guests/cache/debian/vmlinux
#               cat guests/cache/debian/initrd.img more.cpio >initrd-with-trivisor.img
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || die 2 "use: $PROGRAM OUTPUT PROGRAM [NAME=FILE...]"
need cpio
output=$1 program=$2
shift 2
sysroot=$("$ROOT/scripts/riscv64-sysroot.sh")
readelf=$(command -v llvm-readelf || command -v llvm-readelf-14) || die 2 "no llvm-readelf: run $ROOT/scripts/setup.sh"
strip=$(command -v llvm-strip || command -v llvm-strip-14) || die 2 "no llvm-strip: run $ROOT/scripts/setup.sh"
libraries=usr/lib/riscv64-linux-gnu

temp_dir
root=$TEMP/root
mkdir -p "$root/bin" "$root/lib" "$root/$libraries"
"$strip" -o "$root/bin/trivisor" "$program"
chmod 755 "$root/bin/trivisor"

# needed FILE: copies the libraries that it names, and theirs.
needed() {
    local name
    "$readelf" -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
        [ ! -e "$root/$libraries/$name" ] || continue
        case $name in ld-linux-*) continue ;; esac
        [ -e "$sysroot/$libraries/$name" ] || die 1 "the sysroot has no $name: name its package in riscv64-sysroot.sh"
        cp -L "$sysroot/$libraries/$name" "$root/$libraries/$name"
        needed "$sysroot/$libraries/$name"
    done
}
needed "$program"
cp -L "$sysroot/usr/lib/ld-linux-riscv64-lp64d.so.1" "$root/lib/"
for pair in "$@"; do
    mkdir -p "$root/$(dirname "${pair%%=*}")"
    cp -L "${pair#*=}" "$root/${pair%%=*}"
done
(cd "$root" && find . | sort | cpio --quiet -o -H newc -R 0:0) >"$TEMP/out"
mv "$TEMP/out" "$output"
