#!/bin/bash
# Builds leak with the machine's clang, if it is not up to date: guests/leak/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" leak "$@"
