#!/bin/bash
# Builds probe with the machine's clang, if it is not up to date: guests/probe/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" probe "$@"
