#!/bin/bash
# Every script passes shellcheck.
# time-limit: 600
cd "$(dirname "$0")/../.." || exit 1
command -v shellcheck >/dev/null || { echo "skip: shellcheck is not installed"; exit 77; }
scripts=()
for s in .ci/run dist/*.sh tests/*.sh tests/*/*.sh bench/*.sh; do
	[ ! -e "$s" ] || scripts+=("$s")
done
shellcheck -x -f gcc "${scripts[@]}"
