# shellcheck shell=bash
# agent.sh - for the server's scenarios: source it in place of functions.sh.
# shellcheck source=tests/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/../functions.sh"
requires_cmd python3
# The scenarios' client talks to the server without TLS; that of test-tls.sh within.
TEST_SECURITY=auth

AGENT_DIR=$TESTS_DIR/agent

# scenario SERVER-DIR <<'EOF' … EOF: Python that has all of scenario.py; each of
# its checks is a check of the test.  More arguments are in sys.argv[2:].
scenario()
{
	# shellcheck disable=SC2154  # functions.sh counts
	local line status=0 before=$tap_count

	PYTHONPATH=$AGENT_DIR:$TESTS_DIR/peer PYTHONDONTWRITEBYTECODE=1 \
		timeout -k 5 "${SCENARIO_SECONDS:-60}" \
		python3 -c "from scenario import *; exec(compile(sys.stdin.read(), 'scenario', 'exec'))" \
		"$@" >"$W/scenario.out" 2>"$W/scenario.err" || status=$?
	while read -r line; do
		case $line in
		"ok "*) ok "${line#ok }" ;;
		"not ok "*) not_ok "${line#not ok }" ;;
		*) note "$line" ;;
		esac
	done <"$W/scenario.out"
	if [ $status != 0 ] && [ $status != 1 ] || [ "$tap_count" = "$before" ] || [ -s "$W/scenario.err" ]; then
		not_ok "the scenario runs to its end"
		note "status $status"
		note "$(cat "$W/scenario.err")"
	fi
}

# Waits for a line in the server's log: DIR REGEX NAME.
logged()
{
	if wait_for 5 grep -qE -- "$2" "$1/rssrv.out"; then
		ok "$3"
	else
		not_ok "$3"
		show_output "$1/rssrv.out"
	fi
}
