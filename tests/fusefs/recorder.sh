# shellcheck shell=bash
# recorder.sh - for scripts that source functions.sh: a client of recorder.py.

# Starts both; $m is the mount, $v the volume.  $DEFAULTS: more lines of [defaults].
start_recorder()
{
	requires_cmd python3
	mkdir -p "$W/rec" "$W/clt"
	start_daemon "recorder:$W/rec" "$W/rec/out" "test -e $W/rec/port" \
		env KEY="$TEST_KEY" python3 "$TESTS_DIR/fusefs/recorder.py" "$W/rec" || bail "recorder.py starts"
	: >"$W/clt/rscltcfg"
	chmod 600 "$W/clt/rscltcfg"
	cat >>"$W/clt/rscltcfg" <<-EOF
	[defaults]
	payload-crc = no
	security = auth
	${DEFAULTS:-}
	[namespace osl]
	namespaceid = 200
	nodename = node1
	nodekey = $TEST_KEY
	[server rec]
	address = 127.0.0.1
	port = $(<"$W/rec/port")
	EOF
	start_client "$W/clt"
	m=$W/clt/mnt
	v=$m/osl/vol
	wait_for 5 test -e "$v" || bail "the volume is there"
	: >"$W/rec/commands.seen"
}

# What was asked for since the last call, on one line.
commands()
{
	local seen

	seen=$(wc -l <"$W/rec/commands.seen")
	cp "$W/rec/commands" "$W/rec/commands.seen"
	tail -n "+$((seen + 1))" "$W/rec/commands.seen" | paste -sd, | sed 's/,/, /g'
}

count_commands()	# COMMAND: how often it was asked for, of all
{
	grep -c "^$1" "$W/rec/commands" || true
}

asked_for()	# N COMMAND...: at least N of it, so far
{
	[ "$(count_commands "${*:2}")" -ge "$1" ]
}
