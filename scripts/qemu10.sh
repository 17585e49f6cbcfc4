#!/bin/bash
# Prints the path of QEMU 10 for riscv64 (Debian trixie's; the reference in tests), fetching it the first time.
exec "$(dirname "$0")/trixie-tool.sh" qemu10 qemu-system-riscv /usr/bin/qemu-system-riscv64
