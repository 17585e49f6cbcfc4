#!/bin/bash
# Builds edge with the machine's clang, if it is not up to date: guests/edge/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" edge "$@"
