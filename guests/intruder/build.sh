#!/bin/bash
# Builds intruder with the machine's clang, if it is not up to date: guests/intruder/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" intruder "$@"
