#!/bin/bash
# Builds vector with the machine's clang, if it is not up to date: guests/vector/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" vector "$@"
