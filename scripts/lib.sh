# Shared by the scripts in this folder: `. "$(dirname "$0")/lib.sh"`. Needs bash.
#
# Exit statuses of all scripts: 0 done; 1 it went wrong; 2 wrong use or something is missing on this machine;
# 3 no network (or no mirror) to fetch a guest from.

set -euo pipefail
umask 022
export LC_ALL=C.UTF-8

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -e "$ROOT/Makefile" ]; then
    CACHE=${TRIVISOR_CACHE:-$ROOT/guests/cache}
    VMM=${TRIVISOR:-$ROOT/build/trivisor}
else # installed: PREFIX/share/trivisor
    CACHE=${TRIVISOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trivisor}
    VMM=${TRIVISOR:-$ROOT/../../bin/trivisor}
fi
PROGRAM=$(basename "$0")

say() {
    printf '%s: %s\n' "$PROGRAM" "$*" >&2
}

# die STATUS MESSAGE...
die() {
    local status=$1
    shift
    say "$*"
    exit "$status"
}

# need PROGRAM...: each is there, or the one line that says how to get it.
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die 2 "no $program on this machine: run $ROOT/scripts/setup.sh"
    done
}

# A temporary folder beside the place where its contents will end up (a rename there is atomic), removed on exit.
temp_dir() {
    mkdir -p "$CACHE"
    TEMP=$(mktemp -d "$CACHE/.tmp-XXXXXX")
    trap 'rm -rf "$TEMP"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# lock_cache NAME: one at a time; a second caller waits and then finds the work done.
lock_cache() {
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock-$1"
    if ! flock -n 9; then
        say "waiting for another $1 to finish"
        flock 9
    fi
}

# The mirror from which this machine itself installs Debian's packages; $DEBIAN_MIRROR overrides.
debian_mirror() {
    if [ -n "${DEBIAN_MIRROR:-}" ]; then
        printf '%s\n' "$DEBIAN_MIRROR"
        return
    fi
    # `apt-get indextargets` reads sources.list and *.sources alike; main of the release itself, not -security.
    local site
    site=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }') || true
    if [ -z "$site" ]; then
        # No lists yet (apt-get update never ran here): the first entry that looks like Debian's archive.
        site=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
            sed -nE -e 's/^(deb[[:space:]]+(\[[^]]*\][[:space:]]+)?|URIs:[[:space:]]*)([^[:space:]]*\/debian)\/?([[:space:]].*)?$/\3/p' |
            head -n 1) || true
    fi
    [ -n "$site" ] || die 3 "found no Debian mirror in this machine's apt sources; set DEBIAN_MIRROR=URL"
    printf '%s\n' "${site%/}"
}

# private_apt NAME ARCHITECTURE SUITE...: an apt of our own below the cache, that neither reads nor changes the
# host's package lists and status. Afterwards `papt-get` and `papt-cache` use it. Packages are verified by apt
# against the archive's keys.
private_apt() {
    local name=$1 arch=$2 dir=$CACHE/apt/$1 mirror suite
    shift 2
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r $keyring ] || die 2 "no $keyring: run scripts/setup.sh (package debian-archive-keyring)"
    mirror=$(debian_mirror)
    mkdir -p "$dir"/{lists/partial,archives/partial,empty,log}
    : >>"$dir/status"
    for suite in "$@"; do
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite"
    done >"$dir/sources.list.new"
    cmp -s "$dir/sources.list.new" "$dir/sources.list" || touch "$dir/stale"
    mv "$dir/sources.list.new" "$dir/sources.list"
    {
        # The host's own ways to the network (proxies, date checks), and nothing else of its configuration.
        apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|Check-|ForceIPv)' || true
        cat <<END
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Dir "$dir";
Dir::State "$dir";
Dir::State::Lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir";
Dir::Cache::archives "$dir/archives";
Dir::Log "$dir/log";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$dir/empty";
Dir::Etc::main "$dir/empty/none";
Dir::Etc::parts "$dir/empty";
Dir::Etc::preferences "$dir/empty/none";
Dir::Etc::preferencesparts "$dir/empty";
Dir::Etc::trusted "$dir/empty/none";
Dir::Etc::trustedparts "$dir/empty";
END
    } >"$dir/apt.conf"
    PAPT=$dir
    # Lists younger than a day are fresh enough; a failed download below renews them anyway.
    if [ -e "$dir/stale" ] || [ -z "$(find "$dir/updated" -mtime -1 2>/dev/null)" ]; then
        papt_update
    fi
}

papt-get() {
    APT_CONFIG=$PAPT/apt.conf apt-get -q "$@"
}

papt-cache() {
    APT_CONFIG=$PAPT/apt.conf apt-cache -q "$@"
}

papt_update() {
    say "reading the package lists of $(awk '{ printf "%s%s", sep, $4; sep = ", " }' "$PAPT/sources.list")"
    # --error-on=any: a mirror that cannot be reached is otherwise only a warning.
    if ! papt-get update --error-on=any >"$PAPT/log/update" 2>&1; then
        sed -n 's/^E: //p' "$PAPT/log/update" | head -n 1 >&2
        die 3 "cannot reach the Debian mirror $(awk 'NR == 1 { print $3 }' "$PAPT/sources.list"); is there a network?"
    fi
    rm -f "$PAPT/stale"
    touch "$PAPT/updated"
}

# papt_fetch PACKAGE...: downloads (or finds) the packages; their .deb paths in the array DEBS.
papt_fetch() {
    local try
    for try in 1 2; do
        if papt_plan "$@"; then
            break
        fi
        [ $try = 1 ] || die 3 "cannot download $*: see $PAPT/log/fetch"
        papt_update
    done
}

papt_plan() {
    local line uri name size
    DEBS=()
    papt-get download --print-uris "$@" >"$PAPT/log/uris" 2>"$PAPT/log/fetch" || return 1
    (cd "$PAPT/archives" && papt-get download "$@" >>"$PAPT/log/fetch" 2>&1) || return 1
    while read -r uri name size _; do
        [ -f "$PAPT/archives/$name" ] || return 1
        DEBS+=("$PAPT/archives/$name")
    done < <(grep "^'" "$PAPT/log/uris")
    [ ${#DEBS[@]} -ge 1 ]
}
