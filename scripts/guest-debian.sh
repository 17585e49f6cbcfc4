#!/bin/bash
# Fetches unmodified Debian 13 (trixie, riscv64) guests from the mirror that this machine itself uses.
#
#     scripts/guest-debian.sh kernel     vmlinux, initrd.img, modules/, extra/, version
#     scripts/guest-debian.sh extra      the same, extra/ too if the cache is older than that
#     scripts/guest-debian.sh rootfs     root.raw: a disk with systemd, for U-Boot or for vmlinux and initrd.img
#     scripts/guest-debian.sh tools      tools.raw: the same with gcc, python3, perl, sqlite3 and so on, for tests
#     scripts/guest-debian.sh            kernel and rootfs
#     scripts/guest-debian.sh clean      removes it
#
# In guests/cache/debian/ of the source tree, or in ~/.cache/trivisor/debian/ when installed; quick when it is there.
# The initramfs is busybox and guests/debian/: see its init for the tasks. GUEST_VMM=qemu runs the root disk's second
# stage in QEMU instead of in Trivisor. Exit status 3: no network.
. "$(dirname "$0")/lib.sh"

SUITE=trixie
OUT=$CACHE/debian
SOURCE=$ROOT/guests/debian
# What the initramfs carries; their dependencies come along.
MODULES="virtio_mmio virtio_blk virtio_net virtio_balloon virtio-rng crc32c_generic ext4"
# Kept beside it, in extra/, for tests that bring them along.
EXTRA_MODULES=kvm

# unpack DEB FOLDER PATTERN...: only what the patterns name.
unpack() {
    local deb=$1 folder=$2
    shift 2
    mkdir -p "$folder"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --wildcards --no-same-owner "$@"
}

fetch_kernel() {
    local real version tree module
    private_apt riscv64 riscv64 $SUITE
    real=$(papt-cache depends linux-image-riscv64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    [ -n "$real" ] || die 3 "the mirror's $SUITE has no linux-image-riscv64"
    version=${real#linux-image-}
    say "fetching Debian's kernel $version and busybox for riscv64"
    papt_fetch "$real" busybox-static
    temp_dir
    say "unpacking"
    local deb
    for deb in "${DEBS[@]}"; do
        case $(basename "$deb") in
        linux-image-*) unpack "$deb" "$TEMP/kernel" './boot/vmlinux-*' './boot/config-*' './*lib/modules/*' ;;
        busybox-*) unpack "$deb" "$TEMP/busybox" './*bin/busybox' ;;
        esac
    done
    tree=$(echo "$TEMP"/kernel/usr/lib/modules/* "$TEMP"/kernel/lib/modules/* | tr ' ' '\n' | grep -v '\*' | head -n 1)
    mkdir "$TEMP/new" "$TEMP/new/modules" "$TEMP/new/extra"
    mv "$TEMP"/kernel/boot/vmlinux-* "$TEMP/new/vmlinux"
    mv "$TEMP"/kernel/boot/config-* "$TEMP/new/config"
    mv "$(find "$TEMP/busybox" -name busybox -type f)" "$TEMP/new/busybox"
    for module in $MODULES; do
        add_module "$tree" "$TEMP/new/modules" "$module" >/dev/null
    done
    for module in $EXTRA_MODULES; do
        add_module "$tree" "$TEMP/new/extra" "$module" >/dev/null
    done
    printf '%s\n' "$version" >"$TEMP/new/version"
    mkdir -p "$OUT"
    rm -rf "$OUT/modules" "$OUT/extra" "$OUT/version"
    mv "$TEMP"/new/{modules,extra} "$TEMP"/new/{busybox,config,vmlinux} "$OUT/"
    mv "$TEMP/new/version" "$OUT/version" # last: the mark that all is there
    rm -rf "$TEMP"
}

# add_module TREE TO NAME: copies NAME and what it needs, unpacked, and notes the order in TO/deps. Prints that order;
# a module that this kernel has built in (or lacks) is left out.
add_module() {
    local tree=$1 to=$2 name=$3 file needs order= need
    if grep -q "^$name:" "$to/deps" 2>/dev/null; then
        sed -n "s/^$name: //p" "$to/deps"
        return
    fi
    file=$(find "$tree" -name "$name.ko*" -o -name "${name//_/-}.ko*" | head -n 1)
    [ -n "$file" ] || return 0
    case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -qdc "$file" ;;
    *.gz) gzip -dc "$file" ;;
    *) cat "$file" ;;
    esac >"$to/$name.ko"
    needs=$(tr '\0' '\n' <"$to/$name.ko" | sed -n 's/^depends=//p' | tr , ' ')
    for need in $needs; do
        order="$order $(add_module "$tree" "$to" "$need")"
    done
    order=$(printf '%s\n' $order "$name" | awk '!seen[$0]++' | tr '\n' ' ')
    printf '%s: %s\n' "$name" "${order% }" >>"$to/deps"
    printf '%s\n' "${order% }"
}

# Plain (not compressed) cpio: unpacking costs the guest nothing but a copy.
make_initrd() {
    temp_dir
    local root=$TEMP/root
    mkdir -p "$root"/{bin,etc,modules,tasks}
    install -m 755 "$OUT/busybox" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    install -m 755 "$SOURCE/init" "$SOURCE/udhcpc" "$root/"
    install -m 644 "$SOURCE"/tasks/* "$root/tasks/"
    cp "$OUT"/modules/* "$root/modules/"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    find "$root" -exec touch -h -d @0 {} +
    (cd "$root" && find . | sort | cpio --quiet --reproducible -o -H newc -R 0:0) >"$TEMP/initrd.img"
    mv "$TEMP/initrd.img" "$OUT/initrd.img"
    rm -rf "$TEMP"
}

kernel() {
    lock_cache kernel
    { [ -e "$OUT/version" ] && { [ -z "${1:-}" ] || [ -e "$OUT/extra/deps" ]; }; } || fetch_kernel
    if [ ! -e "$OUT/initrd.img" ] || [ -n "$(find "$SOURCE" "$OUT/version" -newer "$OUT/initrd.img" | head -n 1)" ]; then
        make_initrd
        say "ready: Debian's kernel $(cat "$OUT/version") and an initramfs in ${OUT#"$ROOT/"}"
    fi
    exec 9>&-
}

need apt-get dpkg-deb tar cpio xz flock
case ${1:-all} in
kernel)
    kernel
    ;;
extra)
    kernel extra # a cache may be of a time before these
    ;;
rootfs | tools | all)
    need mmdebstrap mke2fs e2fsck
    [ "$(id -u)" = 0 ] || need fakeroot
    kernel
    . "$ROOT/scripts/guest-rootfs.sh"
    case ${1:-all} in
    tools) tools ;;
    *) rootfs ;;
    esac
    ;;
clean)
    rm -rf "$OUT" "$CACHE/apt/riscv64"
    ;;
help | --help | -h)
    text=$(sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0")
    [ -e "$ROOT/Makefile" ] || text=${text//"scripts/guest-debian.sh"/"trivisor guest debian"}
    printf '%s\n' "$text"
    ;;
*)
    die 2 "use: $PROGRAM [kernel|rootfs|tools|clean|help]"
    ;;
esac
