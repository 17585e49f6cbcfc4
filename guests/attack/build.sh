#!/bin/bash
# Builds attack with the machine's clang, if it is not up to date: guests/attack/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" attack "$@"
