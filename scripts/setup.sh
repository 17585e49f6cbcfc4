#!/bin/bash
# Installs what a fresh Debian 12 lacks to build, test and show Trivisor.
#
#     scripts/setup.sh [SET...]      sets: build guests check (default: these three), bench
#
# Nothing is done, and no network used, when all is there.
. "$(dirname "$0")/lib.sh"

build="gcc libc6-dev make pkg-config libslirp-dev libcyaml-dev libyaml-dev liburing-dev libzstd-dev zlib1g-dev libjansson-dev libyaml-dev"
guests="clang lld llvm cpio xz-utils zstd mmdebstrap e2fsprogs fakeroot apt python3 debian-archive-keyring"
check="clang clang-format cppcheck lld llvm libc6-dev libcmocka-dev device-tree-compiler qemu-system-misc opensbi
    u-boot-qemu e2fsprogs man-db python3 xz-utils zstd"
bench="gcc-riscv64-linux-gnu libc6-dev-riscv64-cross qemu-system-misc python3"

wanted=()
for set in "${@:-all}"; do
    case $set in
    build) wanted+=($build) ;;
    guests) wanted+=($guests) ;;
    check) wanted+=($check) ;;
    bench) wanted+=($bench) ;;
    all) wanted+=($build $guests $check) ;;
    *) die 2 "no set \"$set\": build, guests, check or bench" ;;
    esac
done

# dpkg-query fails where it does not know a package: that is what is looked for.
installed=" $({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true; } |
    sed -n 's/^installed //p' | tr '\n' ' ')"
missing=()
for package in "${wanted[@]}"; do
    case "$installed ${missing[*]-} " in
    *" $package "*) ;;
    *) missing+=("$package") ;;
    esac
done
# The guests come from trixie, whose keys came to bookworm's keyring in an update.
case " ${wanted[*]} " in
*" debian-archive-keyring "*)
    ls /usr/share/keyrings/debian-archive-trixie-stable.* >/dev/null 2>&1 || missing+=(debian-archive-keyring)
    ;;
esac
[ ${#missing[@]} -gt 0 ] || exit 0

run=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
        die 2 "missing packages; as root: apt-get install --no-install-recommends ${missing[*]}"
    run=(sudo)
fi
command -v apt-get >/dev/null || die 2 "this is no Debian; install what corresponds to: ${missing[*]}"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "installing ${#missing[@]} packages: ${missing[*]}"
"${run[@]}" apt-get -q update >"$log" 2>&1 || say "apt-get update complained: $(grep -E '^[EW]:' "$log" | head -n 1)"
if ! "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    grep '^E:' "$log" >&2 || tail -n 5 "$log" >&2
    die 1 "could not install them; try: apt-get install --no-install-recommends ${missing[*]}"
fi
say "done"
