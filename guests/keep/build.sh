#!/bin/bash
# Builds keep with the machine's clang, if it is not up to date: guests/keep/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" keep "$@"
