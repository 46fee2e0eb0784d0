#!/bin/bash
# Every script passes shellcheck: each fourth of them, from a place that $RSIO_SEED chooses; all in the
# long form and by "make lint", since all take one and a half minutes.
# time-limit: 600
cd "$(dirname "$0")/../.." || exit 1
command -v shellcheck >/dev/null || { echo "skip: shellcheck is not installed"; exit 77; }
step=4
[ -z "${RSIO_LONG:-}" ] || step=1
scripts=()
n=$((${RSIO_SEED:-0} % step))
for s in .ci/run dist/*.sh tests/*.sh tests/*/*.sh bench/*.sh; do
	[ ! -e "$s" ] || [ $((n++ % step)) != 0 ] || scripts+=("$s")
done
shellcheck -x -f gcc "${scripts[@]}"
