#!/bin/bash
# Builds ops with the machine's clang, if it is not up to date: guests/ops/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" ops "$@"
