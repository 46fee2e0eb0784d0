#!/bin/bash
# The script that brings rssrv to a host and runs it there, by the shells that hosts have: whatever
# fails on the way, the tree is what it was, and what is said has the reason.
# time-limit: 180

# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_netns
requires_cmd python3 dash busybox
requires_program rssrv-static tests/tools/boot

shells=("dash" "busybox ash" "bash")
declare -A pid=()
for shell in "${shells[@]}"; do
	mkdir "$W/${shell%% *}"
	unshare -n "$TESTS_DIR/own-mounts.sh" \
		python3 "$(dirname "$SELF")/boot.py" "$W/${shell%% *}" "$BUILD" "$shell" >"$W/said.${shell%% *}" 2>&1 </dev/null &
	pid[${shell%% *}]=$!
	cleanup_fn end_process $!
done
for shell in "${!pid[@]}"; do
	status=0
	wait "${pid[$shell]}" || status=$?
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "$shell: ${line#ok }" ;;
		"not ok "*) not_ok "$shell: ${line#not ok }" ;;
		*) note "$line" ;;
		esac
	done <"$W/said.$shell"
	is $status 0 "$shell: all was tried"
done

# The login shell, whichever it is, has to read the command line as it is meant.
for shell in sh bash "busybox ash" csh fish; do
	command -v "${shell%% *}" >/dev/null || continue
	# shellcheck disable=SC2086  # busybox has two words
	is "$(echo 'echo script; exit' | $shell -c "$("$BUILD/tests/tools/boot" command 0 4711)")" "4711 shell
script" "the command line, for $shell"
done
like "$("$BUILD/tests/tools/boot" command 1 4711)" '^sudo -n sh -c ' "with sudo"
like "$("$BUILD/tests/tools/boot" command 2 4711)" "sudo -k -S -p '4711 password:' sh -c " "with sudo and a password"
done_testing
