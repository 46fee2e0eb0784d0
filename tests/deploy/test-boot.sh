#!/bin/bash
# The script that brings rssrv to a host and runs it there, by the shells that hosts have: whatever
# fails on the way, the tree is what it was, and what is said has the reason.
# time-limit: 180

# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
# shellcheck source=tests/parts.sh
. "$TESTS_DIR/parts.sh"
requires_netns
requires_cmd python3 dash busybox
requires_program rssrv-static tests/tools/boot

shells=(dash busybox bash)
declare -A command=([dash]=dash [busybox]="busybox ash" [bash]=bash)
for shell in "${shells[@]}"; do
	mkdir "$W/$shell"
	start_part "$shell" python3 "$(dirname "$SELF")/boot.py" "$W/$shell" "$BUILD" "${command[$shell]}"
done
end_parts "${shells[@]}"

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
