# shellcheck shell=bash
# parts.sh - for tests that are programs of their own, several at once: each with mounts and a network of its own,
# and each says its results in lines "ok NAME" and "not ok NAME" (said.py).  Source it beside functions.sh.
declare -A part_pid=()

start_part()	# NAME COMMAND...: NAME is one of a file too
{
	local name=$1
	shift
	unshare -n "$TESTS_DIR/own-mounts.sh" "$@" >"$W/said.$name" 2>&1 </dev/null &
	part_pid[$name]=$!
	cleanup_fn end_process $!
}

end_parts()	# NAME...: what they said, in this order
{
	local part status line

	for part; do
		status=0
		wait "${part_pid[$part]}" || status=$?
		while IFS= read -r line; do
			case $line in
			"ok "*) ok "$part: ${line#ok }" ;;
			"not ok "*) not_ok "$part: ${line#not ok }" ;;
			*) note "$line" ;;
			esac
		done <"$W/said.$part"
		is $status 0 "$part: all was tried"
	done
}
