#!/bin/bash
# Builds crowd with the machine's clang, if it is not up to date: guests/crowd/build.sh OUTPUT.bin
exec "$(dirname "$0")/../common/build.sh" crowd "$@"
