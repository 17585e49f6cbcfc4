#!/bin/bash
# Builds steal with the machine's clang, if it is not up to date: guests/steal/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" steal "$@"
