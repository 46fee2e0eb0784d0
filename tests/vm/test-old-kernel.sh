#!/bin/bash
# test-old-kernel.sh - Linux 5.10, which has no Landlock, and most of what this project may use only
# where it is there: old-kernel.sh says what.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../functions.sh"
. "$(dirname "$0")/machine.sh"
vm_requires
requires_cmd fio jq
requires_program rssrv rssrv-static rsiod rsconfig rsvol
vm_kernel 5.10 bullseye
vm_test 260 "$TESTS_DIR/vm/old-kernel.sh"
