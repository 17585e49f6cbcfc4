#!/bin/bash
# Builds storm with the machine's clang, if it is not up to date: guests/storm/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" storm "$@"
