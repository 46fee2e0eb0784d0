#!/bin/bash
# What rssrv --steps has done is undone to the byte: on request, at the end of the input, when it
# falls silent, after a kill at each step; and stays after the commit.
# time-limit: 240

# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_cmd python3 unshare
requires_program rssrv

steps_scenario()	# PART
{
	local line said=$W/said.$1 status=0

	mkdir -p "$W/$1"
	# Mounts of its own; $W/… is looked at from in there.
	unshare -m -n --propagation private python3 "$(dirname "$SELF")/steps.py" "$W/$1" "$BUILD/rssrv" "$1" >"$said" 2>&1 || status=$?
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "${line#ok }" ;;
		"not ok "*) not_ok "${line#not ok }" ;;
		*) note "$line" ;;
		esac
	done <"$said"
	is $status 0 "all of $1 was tried"
}

steps_scenario undo
steps_scenario users
steps_scenario server
done_testing
