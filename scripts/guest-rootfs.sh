# Part of guest-debian.sh: Debian root disks with systemd, root.raw and, with compilers and the like, tools.raw.
#
# First stage, on the host: mmdebstrap fetches and extracts the packages (nothing of theirs is run: they are riscv64
# programs) and we write down in dpkg's database that they are unpacked. Second stage, in a virtual machine: dpkg
# configures them (guests/debian/tasks/second-stage). No root, binfmt or loop device is needed.
#
# The kernel on it is the same unmodified Debian kernel as guests/cache/debian/vmlinux, with the initramfs of
# guest-debian.sh (given root=, its init mounts that and hands over to systemd), started by U-Boot's extlinux.conf or
# directly with:  --kernel vmlinux --initrd initrd.img --cmdline "root=/dev/vda1 rw console=ttyS0" --disk root.raw
# The file system starts at 1 MiB: e2fsck -fn "root.raw?offset=1048576" checks it.

ROOT_PACKAGES=apt,systemd-sysv,udev,kmod,iproute2,e2fsprogs,login,passwd,procps,netbase,util-linux-extra
ROOT_SIZE=1023 # MiB, after the first one, which holds the partition table
# What the tests and the benchmark of real programs run (tests/boot/real.py, bench/real.py).
TOOLS_PACKAGES=$ROOT_PACKAGES,gcc,libc6-dev,make,python3,libpython3.13-testsuite,perl,openssl,sqlite3,stress-ng,7zip,zstd
TOOLS_SIZE=3071
ROOT_UUID=7269736b-7669-736f-7200-000000000001

# note_unpacked TREE: enters TREE's downloaded packages into its dpkg database as unpacked (deb-old: dpkg(1), status).
note_unpacked() {
    local tree=$1 db=$1/var/lib/dpkg deb name arch multi key
    mkdir -p "$db"/{info,triggers,updates,alternatives,parts}
    echo 1 >"$db/info/format"
    touch "$db"/{available,diversions,statoverride,triggers/Lock,triggers/Unincorp,triggers/File}
    : >"$db/status"
    for deb in "$tree"/var/cache/apt/archives/*.deb; do
        rm -rf "$TEMP/control"
        dpkg-deb -e "$deb" "$TEMP/control"
        name=$(sed -n 's/^Package: //p' "$TEMP/control/control")
        arch=$(sed -n 's/^Architecture: //p' "$TEMP/control/control")
        multi=$(sed -n 's/^Multi-Arch: //p' "$TEMP/control/control")
        key=$name
        [ "$multi" != same ] || key=$name:$arch
        {
            sed -e '/^$/d' -e '/^Package:/a Status: install ok unpacked' "$TEMP/control/control"
            if [ -s "$TEMP/control/conffiles" ]; then
                echo "Conffiles:"
                grep '^/' "$TEMP/control/conffiles" | while read -r file; do
                    echo " $file $(md5sum <"$tree$file" | cut -d ' ' -f 1)"
                done
            fi
            echo
        } >>"$db/status"
        dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -e 's,^\./*,/,' -e 's,\(.\)/$,\1,' -e 's,^/$,/.,' >"$db/info/$key.list"
        [ ! -f "$TEMP/control/triggers" ] || note_triggers "$key" "$db/triggers" <"$TEMP/control/triggers"
        rm "$TEMP/control/control"
        find "$TEMP/control" -type f ! -name triggers | while read -r file; do
            mv "$file" "$db/info/$key.$(basename "$file")"
        done
    done
}

# deb-triggers(5): what the package wants to be told about.
note_triggers() {
    local directive name suffix
    while read -r directive name; do
        case $directive in
        interest | interest-await) suffix= ;;
        interest-noawait) suffix=/noawait ;;
        *) continue ;;
        esac
        case $name in
        /*) echo "$name $1$suffix" >>"$2/File" ;;
        *) echo "$1$suffix" >>"$2/$name" ;;
        esac
    done
}

# What makes the tree a machine that one can log in to.
furnish() {
    local tree=$1 version modules
    version=$(cat "$OUT/version")
    modules=$tree/usr/lib/modules/$version
    cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
    cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
    chmod 644 "$tree/etc/passwd" "$tree/etc/group"
    rm -rf "$tree"/usr/share/{doc,man,info,locale,lintian,bug}/*
    cat >"$tree/etc/dpkg/dpkg.cfg.d/small" <<'END'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
END
    mkdir -p "$modules/kernel" "$tree/boot/extlinux" "$tree/etc/systemd/network"
    cp "$OUT"/modules/*.ko "$modules/kernel/"
    touch "$modules"/modules.{order,builtin}
    cp "$OUT/vmlinux" "$tree/boot/vmlinux-$version"
    cp "$OUT/initrd.img" "$tree/boot/initrd.img-$version"
    cat >"$tree/boot/extlinux/extlinux.conf" <<END
default debian
prompt 0
timeout 1

label debian
    menu label Debian GNU/Linux $SUITE, kernel $version
    linux /boot/vmlinux-$version
    initrd /boot/initrd.img-$version
    append root=/dev/vda1 rw console=ttyS0 earlycon=sbi
END
    echo debian >"$tree/etc/hostname"
    printf '127.0.0.1 localhost debian\n' >"$tree/etc/hosts"
    printf '/dev/vda1 / ext4 errors=remount-ro 0 0\n' >"$tree/etc/fstab"
    printf 'nameserver 10.0.2.3\n' >"$tree/etc/resolv.conf"
    printf '[Match]\nName=eth* en*\n\n[Network]\nDHCP=ipv4\n' >"$tree/etc/systemd/network/80-dhcp.network"
    rm -f "$tree"/etc/apt/sources.list.d/*
    printf 'deb %s %s main\n' "$(debian_mirror)" "$SUITE" >"$tree/etc/apt/sources.list"
    tr -d - </proc/sys/kernel/random/uuid >"$tree/etc/machine-id"
}

# partition_table SECTORS: a master boot record with one bootable Linux partition at sector 2048. U-Boot reads
# no extlinux.conf from a disk without a table.
partition_table() {
    head -c 446 /dev/zero
    printf '\200\376\377\377\203\376\377\377'
    little_endian 2048
    little_endian "$1"
    head -c 48 /dev/zero
    printf '\125\252'
}

little_endian() {
    local shift
    for shift in 0 8 16 24; do
        printf "\\$(printf %03o $(($1 >> shift & 255)))"
    done
}

# Runs as root or under fakeroot, so that the files on the disk belong to root.
first_stage() {
    local tree=$TEMP/tree
    mmdebstrap --quiet --variant=extract --mode=chrootless --format=directory \
        --skip=essential/unlink,cleanup/apt --architectures=riscv64 --include='?essential' \
        --include="$PACKAGES" $SUITE "$tree" "deb $(debian_mirror) $SUITE main" >"$TEMP/log" 2>&1 || {
        grep '^E:' "$TEMP/log" >&2
        return 3
    }
    note_unpacked "$tree"
    rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/*
    furnish "$tree"
    truncate -s $((SIZE + 1))M "$TEMP/root.raw"
    partition_table $((SIZE * 2048)) | dd of="$TEMP/root.raw" conv=notrunc status=none
    mke2fs -q -F -t ext4 -L debian -U $ROOT_UUID -E root_owner=0:0,lazy_itable_init=0,offset=1048576 -d "$tree" \
        "$TEMP/root.raw" ${SIZE}M
}

second_stage() {
    local status=0 console=$TEMP/console
    if [ "${GUEST_VMM:-trivisor}" = qemu ]; then
        timeout 900 qemu-system-riscv64 -M virt -smp 2 -m 1G -nographic -no-reboot \
            -kernel "$OUT/vmlinux" -initrd "$OUT/initrd.img" -append "$1" \
            -drive "file=$TEMP/root.raw,format=raw,if=none,id=root" -device virtio-blk-device,drive=root \
            </dev/null >"$console" 2>&1 || status=$?
    else
        [ -x "$VMM" ] || die 2 "no $VMM, in which the disk's second stage runs: run make first"
        timeout 1800 "$VMM" run --engine "${TRIVISOR_ENGINE:-jit}" --cpus 2 --memory 1G --no-reboot \
            --kernel "$OUT/vmlinux" --initrd "$OUT/initrd.img" --cmdline "$1" --disk "$TEMP/root.raw" </dev/null >"$console" 2>&1 || status=$?
    fi
    cp "$console" "$OUT/second-stage.log"
    if [ $status != 0 ] || ! grep -q 'guest: task second-stage is done' "$console"; then
        tail -n 5 "$console" >&2
        die 1 "the disk's second stage failed (status $status): see $OUT/second-stage.log"
    fi
}

# root_disk NAME PACKAGES SIZE: $OUT/NAME.raw.
root_disk() {
    local disk=$OUT/$1.raw
    lock_cache "$1"
    if [ -e "$disk" ] && [ ! "$OUT/version" -nt "$disk" ]; then
        exec 9>&-
        return
    fi
    export PACKAGES=$2 SIZE=$3
    temp_dir
    say "fetching Debian $SUITE for a root disk"
    if [ "$(id -u)" = 0 ]; then
        first_stage || die $? "cannot make the root disk's first stage"
    else
        export TEMP OUT SUITE ROOT CACHE
        fakeroot bash -c '. "$ROOT/scripts/lib.sh"; . "$ROOT/scripts/guest-rootfs.sh"; first_stage' ||
            die $? "cannot make the root disk's first stage"
    fi
    rm -rf "$TEMP/tree"
    say "configuring its packages inside a virtual machine (about two minutes)"
    second_stage "console=ttyS0 quiet hostname=debian trivisor.task=second-stage"
    e2fsck -fp "$TEMP/root.raw?offset=1048576" >"$TEMP/log" 2>&1 || die 1 "the disk is damaged: $(tail -n 1 "$TEMP/log")"
    mv "$TEMP/root.raw" "$disk"
    rm -rf "$TEMP"
    exec 9>&-
    say "ready: ${disk#"$ROOT/"} (root logs in without a password)"
}

rootfs() {
    root_disk root "$ROOT_PACKAGES" "$ROOT_SIZE"
}

tools() {
    root_disk tools "$TOOLS_PACKAGES" "$TOOLS_SIZE"
}
