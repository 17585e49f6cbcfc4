#!/bin/bash
# Builds dma with the machine's clang, if it is not up to date: guests/dma/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" dma "$@"
