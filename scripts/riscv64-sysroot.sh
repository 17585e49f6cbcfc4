#!/bin/bash
# What a riscv64 build of Trivisor is compiled and linked against, and runs with: the C library, the libraries of the
# Makefile's LIBS and their headers of Debian 13 (trixie, riscv64), unpacked into a folder of the cache.
#
#     scripts/riscv64-sysroot.sh      prints the folder, fetching it the first time
. "$(dirname "$0")/lib.sh"

# Each with what it needs of the others; named one by one, for the -dev packages' own dependencies bring whole tools.
PACKAGES="libc6 libc6-dev linux-libc-dev libgcc-s1 libgcc-14-dev libatomic1
    libslirp0 libslirp-dev libglib2.0-0t64 libpcre2-8-0 libcyaml1 libcyaml-dev libyaml-0-2 libyaml-dev
    liburing2 liburing-dev libzstd1 libzstd-dev zlib1g zlib1g-dev libjansson4 libjansson-dev"
OUT=$CACHE/riscv64-sysroot

fetch() {
    private_apt riscv64 riscv64 trixie
    say "fetching trixie's libraries for riscv64"
    # shellcheck disable=SC2086
    papt_fetch $PACKAGES
    temp_dir
    mkdir -p "$TEMP/new/usr/lib"
    # As on a system with merged /usr, which is what trixie's packages are made for.
    ln -s usr/lib "$TEMP/new/lib"
    local deb link target
    for deb in "${DEBS[@]}"; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$TEMP/new" --keep-directory-symlink --no-same-owner \
            --exclude='./usr/share' || die 1 "cannot unpack $(basename "$deb")"
    done
    # Absolute links would lead out of the folder.
    find "$TEMP/new" -type l -lname '/*' | while read -r link; do
        target=$(readlink "$link")
        ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$TEMP/new$target")" "$link"
    done
    printf '%s\n' "$PACKAGES" >"$TEMP/new/packages" # last: the mark that all is there
    rm -rf "$OUT"
    mv "$TEMP/new" "$OUT"
    rm -rf "$TEMP"
}

need apt-get dpkg-deb tar flock realpath
there() {
    [ "$(cat "$OUT/packages" 2>/dev/null)" = "$PACKAGES" ]
}
if ! there; then
    lock_cache riscv64-sysroot
    there || fetch
    exec 9>&-
fi
case ${1:-} in
'') printf '%s\n' "$OUT" ;;
*) die 2 "use: $PROGRAM" ;;
esac
