#!/bin/bash
# Builds wake with the machine's clang, if it is not up to date: guests/wake/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" wake "$@"
