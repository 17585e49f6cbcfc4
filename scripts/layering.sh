#!/bin/bash
# Holds the tree to the picture in docs/architecture.md: includes look only down, and what is to be compiled into all
# three hypervisors uses no C library.
#
#     scripts/layering.sh [FOLDER]      default: this source tree
#
# Prints each include that breaks a rule as FILE:LINE: REASON; exit status 1 if there is one.
set -euo pipefail
export LC_ALL=C

# violations FOLDER
violations() {
    (cd "$1" && { find core riscv devices vmm engine type0 type1 type2 -name '*.[chS]' 2>/dev/null || true; } | sort |
        xargs -r awk '
        BEGIN {
            # Who may include whom, besides itself. A folder that is not here may not be included.
            below["core"] = ""
            below["riscv"] = "core"
            below["devices"] = "core"
            below["vmm"] = "devices riscv core"
            below["engine"] = "devices riscv core"
            below["type0"] = below["type1"] = below["type2"] = "vmm engine devices riscv core"
            # Freestanding: these headers come with the compiler, not with a C library (C17 4, paragraph 6).
            split("stdint.h stddef.h stdbool.h stdatomic.h stdarg.h stdalign.h stdnoreturn.h limits.h float.h", list)
            for (i in list) compilers[list[i]] = 1
        }
        function folder(path) { sub(/\/.*/, "", path); return path }
        # The part between the first two slashes: engine/interp/tlb.c -> interp
        function engine(path, parts) { return split(path, parts, "/") > 2 && parts[1] == "engine" ? parts[2] : "" }
        function tell(reason) { print FILENAME ":" FNR ": " reason; }
        /^[ \t]*#[ \t]*include/ {
            from = folder(FILENAME)
            free = from ~ /^(core|riscv|devices|vmm)$/ || FILENAME ~ /^engine\/hext\//
            if (match($0, /"[^"]*"/)) {
                to = substr($0, RSTART + 1, RLENGTH - 2)
                if (to !~ /\// || to ~ /(^|\/)\.\.?\//)
                    tell("\"" to "\" is not a path from the root")
                else if (folder(to) != from && (" " below[from] " ") !~ (" " folder(to) " "))
                    tell(from " may not look at " to)
                else if (from == "engine" && engine(to) != "" && engine(FILENAME) != "" && engine(to) != engine(FILENAME))
                    tell("an engine may not look at another: " to)
            } else if (match($0, /<[^>]*>/)) {
                to = substr($0, RSTART + 1, RLENGTH - 2)
                if (free && !(to in compilers))
                    tell(from " is freestanding and may not use <" to ">")
            } else {
                tell("an include whose target cannot be read here")
            }
        }')
}

# A check that finds nothing anywhere would be worthless: each kind of breach must be found.
self_check() {
    local dir file found
    dir=$(mktemp -d)
    mkdir -p "$dir"/{core,riscv,devices,vmm,type1,type2,engine/interp,engine/jit}
    while read -r file include; do
        printf '#include %s\n' "$include" >"$dir/$file"
    done <<'END'
core/up.c "vmm/run.h"
core/libc.c <string.h>
core/relative.c "../core/vm.h"
core/short.c "vm.h"
riscv/sideways.c "devices/plic.h"
devices/sideways.c "riscv/vcpu.h"
devices/libc.h <stdlib.h>
vmm/sideways.c "engine/interp/interp.h"
engine/interp/sideways.c "vmm/run.h"
engine/interp/other.c "engine/jit/jit.h"
type1/sideways.c "type2/machine.h"
type2/unknown.c "tests/unit/device_test.h"
core/fine.c "core/vm.h"
devices/fine.c <stdint.h>
vmm/fine.c "devices/plic.h"
engine/interp/fine.c "riscv/vcpu.h"
type2/fine.c <stdio.h>
END
    found=$(violations "$dir")
    rm -rf "$dir"
    if [ "$(grep -c . <<<"$found")" != 12 ] || grep -q fine <<<"$found"; then
        echo "layering.sh: its own check fails; it found:" >&2
        echo "$found" >&2
        exit 2
    fi
}

root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
self_check
found=$(violations "$root")
if [ -n "$found" ]; then
    echo "$found"
    echo "layering: $(grep -c . <<<"$found") includes break the picture in docs/architecture.md" >&2
    exit 1
fi
echo "layering: the includes of core, riscv, devices, vmm, engine and the hypervisors look only down"
