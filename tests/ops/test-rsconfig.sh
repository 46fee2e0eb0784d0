#!/bin/bash
# test-rsconfig.sh - rsconfig with a server and a client: what it shows is so, what it
# changes happens, and it never hangs.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsconfig

chmod 755 "$W"
rsconfig() { timeout -k 1 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }

# What it says, both streams, whatever its status.
says() { rsconfig "$@" 2>&1 || true; }

make_volume "$W/srv" rcoracle 64M
make_volume "$W/srv" rcredo1 8M
make_volume "$W/srv" rcredo2 8M
write_server_conf "$W/srv" portals=2 server=big-9 client=sles1
printf '\n[volume rcredo2]\npath = %s\nmode = ro\nav = 1\n' "$W/rcredo2.raw" >>"$W/srv/rssrvcfg"
mv "$W/srv/pool/rcredo2.raw" "$W/rcredo2.raw"
write_client_conf "$W/clt" "$W/srv" node=sles1 address=127.0.0.1
printf '\n[defaults]\ngive-up = 60s\n' >>"$W/clt/rscltcfg"
start_server "$W/srv"
start_client "$W/clt"

query="200 osl
  clt: sles1
  srv: 001 big-9
    0 rcoracle     disk    131072 blocks of  512 bytes
    1 rcredo1      disk     16384 blocks of  512 bytes
    2 rcredo2      disk     16384 blocks of  512 bytes  read-only"
# The server numbers volumes as it finds them.
unnumbered() { sed 's/^    [0-9]* /    N /' | sort; }
expected=$(unnumbered <<<"$query")
all_there() { [ "$(rsconfig -q | unnumbered)" = "$expected" ]; }
wait_for 5 all_there || true
is "$(rsconfig -q | unnumbered)" "$expected" "-q shows namespace, client, server and volumes"

# A higher verbosity adds lines and changes none.
lines_of_in() { # LESS MORE: every line of the first is in the second, in that order
	diff <(unmeasured "$1") <(unmeasured "$2") | grep '^<' || true
}
# Round trips are measured on, between two questions as well.
unmeasured() { sed -E 's/[0-9.]+ (us|ms)\b/N/g' <<<"$1"; }
for v in "-q -qv" "-qv -qvv" "-qvv -qvvv" "-mstatus -mstatus=-v"; do
	read -r less more <<<"$v"
	# shellcheck disable=SC2086
	is "$(lines_of_in "$(rsconfig $less)" "$(rsconfig ${more/=/ })")" "" "${more/=/ } only adds to $less"
done

port1=$(sed -n '1s/.* //p' "$W/srv/portals")
port2=$(sed -n '2s/.* //p' "$W/srv/portals")
both_up() { [ "$(rsconfig -m status | grep -c 'connected tx: ok rx: ok')" = 2 ]; }
check "both portals are connected" wait_for 5 both_up
is "$(rsconfig -m status)" "0 if0 IP(TCP) 127.0.0.1/$port1
    rep: 000 IP(TCP) 127.0.0.1/$port1 connected tx: ok rx: ok
    rep: 001 IP(TCP) 127.0.0.1/$port2 connected tx: ok rx: ok" "-m status shows the interface and its portals"
is "$(rsconfig -l)" "" "-l: nothing is attached"

# Policies.
check "-m policy for a server" rsconfig -m policy osl:big-9 fail-over
like "$(rsconfig -qv)" "^      up, rssrv [^,]*, policy fail-over$" "the policy is shown"
check "-m policy for a namespace" rsconfig -m policy osl round-robin
like "$(rsconfig -qv)" "policy round-robin$" "the policy is shown again"
asked()		# REQUEST: the answer's error, or nothing
{
	python3 - "$W/clt/run/rsiod.sock" "$1" <<-'END'
	import json, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.sendall(len(sys.argv[2]).to_bytes(4, "big") + sys.argv[2].encode())
	f = s.makefile("rb")
	print(json.loads(f.read(int.from_bytes(f.read(4), "big"))).get("error", {}).get("text", ""))
	END
}
# What narrows a request down and is not understood must not be left out.
is "$(asked '{"do": "policy", "namespace": "osl", "server": "big-8", "policy": "fail-over"}')" \
	"the request 'policy' has no member 'server'" "a member that is not known is refused by name"
is "$(asked '{"do": "policy", "namespace": "osl", "target": 8, "policy": "fail-over"}')" \
	"the member 'target' of the request 'policy' is of the wrong kind" "and one of another kind"
is "$(asked '{"do": "stop", "volumes force": true}')" "the request 'stop' has no member 'volumes force'" "two are not one"
like "$(rsconfig -qv)" "policy round-robin$" "and nothing was changed"
is "$(asked '{"do": "policy", "namespace": "osl", "target": "big-9", "policy": "round-robin"}')" "" "known ones are taken"
check_fails 1 "-m policy in an unknown namespace" rsconfig -m policy ols adaptive

# Names.
check_fails 1 "an unknown volume is an error" rsconfig -m fail osl:rcoracel
like "$(says -m fail osl:rcoracel)" "^rsconfig: did you mean osl:rcoracle\?$" "near names are listed"
like "$(says -a osl:rcredo)" "did you mean osl:rcredo1, osl:rcredo2\?" "all of them"
check_fails 2 "a volume without its namespace is wrong usage" rsconfig -a rcoracle
like "$(says -a rcoracle)" "did you mean osl:rcoracle\?" "and is found"

# Who may: nobody (who must be able to come near) sees, and changes nothing.
if setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$BUILD/rsconfig" 2>/dev/null; then
	nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@" 2>&1; }
	like "$(nobody -q)" "^  srv: 001 big-9$" "another user may ask"
	like "$(nobody -m stop || true)" "may look at this rsiod, but not change it" "another user may not change"
else
	ok "another user may ask # SKIP $BUILD cannot be entered by others"
fi

# Block devices.
if losetup -f >/dev/null 2>&1; then
	id=$(rsconfig -q | sed -n 's/^    \([0-9]*\) rcoracle .*/\1/p')
	for av in 0 1; do
		for v in rcoracle rcredo2; do
			if [ -e "/dev/av$av/$v" ] || [ -L "/dev/av$av/$v" ]; then bail "/dev/av$av/$v is somebody else's"; fi
		done
	done
	is "$(rsconfig -a osl:rcoracle)" "osl:rcoracle: attached as /dev/av0/rcoracle" "-a makes a device"
	is "$(blockdev --getsize64 /dev/av0/rcoracle)" $((64 << 20)) "of the volume's size"
	is "$(rsconfig -a osl/rcoracle)" "osl:rcoracle: attached as /dev/av0/rcoracle" "-a again changes nothing"
	is "$(rsconfig -lvv)" "osl:rcoracle@$id
    c: /dev/av0/rrcoracle          131072 blocks,  1 server(s)
    b: /dev/av0/rcoracle" "-lvv shows it"
	is "$(says -a osl:rcredo2 osl:none osl:rcoracle | grep -v '^rsconfig: .*\(did you\|-q shows\)')" \
		"osl:rcredo2: attached as /dev/av1/rcredo2
rsconfig: no server offers osl:none
osl:rcoracle: attached as /dev/av0/rcoracle" "-a of several: a line each"
	check_fails 1 "and status 1 when one failed" rsconfig -a osl:rcredo2 osl:none
	is "$(rsconfig -l | awk '{ print $1, $2 }' | sort)" "osl:rcoracle@$id /dev/av0/rcoracle
$(rsconfig -q | sed -n 's/^    \([0-9]*\) rcredo2 .*/osl:rcredo2@\1 \/dev\/av1\/rcredo2/p')" "-l shows both"
	is "$(rsconfig -l --json | grep -c '"block": "/dev/av')" 2 "-l --json too"

	exec {held}<>/dev/av0/rcoracle
	check_fails 1 "-d of a device in use fails" rsconfig -d osl:rcoracle
	like "$(says -d osl:rcoracle)" "osl:rcoracle is in use: .*pid $$" "and names the holder"
	exec {held}>&-
	is "$(rsconfig -d | sort)" "osl:rcoracle: detached
osl:rcredo2: detached" "-d takes all away"
	is "$(rsconfig -l)" "" "-l: they are gone"
	if [ -L /dev/av0/rcoracle ] || [ -L /dev/av1/rcredo2 ]; then not_ok "the links are gone"; else ok "the links are gone"; fi
	check_fails 1 "-d of what is not attached" rsconfig -d osl:rcoracle
	check "-d of all when there is none" rsconfig -d
else
	ok "block devices # SKIP no loop devices"
fi

# The server dies: what waits is shown, and can be ended.
kill_server "$W/srv"
dd if="$W/clt/mnt/osl/rcoracle" of=/dev/null bs=4k count=1 iflag=direct 2>"$W/dd.err" &
dd_pid=$!
waits() { rsconfig -q | grep -q ' rcoracle .*  waiting, gives up in [0-9]* s$'; }
check "-q shows how long a volume still waits" wait_for 10 waits
is "$(rsconfig -m status | grep -c '^    rep: 00[01] .* tx: - rx: -$')" 2 "-m status shows what is lost"
completed() {	# WORDS...: what Tab offers for the last
	RSIO_RUN_DIR=$W/clt/run PATH=$BUILD:$PATH bash -c 'eval "$(rsconfig --completion)"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_rsconfig
		echo "${COMPREPLY[*]}"' - "$@"
}
like "$(completed rsconfig -m policy '')" "^osl osl/big-9 osl/rc" "Tab: whose policy"
is "$(completed rsconfig -m drill '' | xargs -n 1 | sort -u | xargs)" "big-9 if0/big-9-1 if0/big-9-2" "Tab: with what a drill is"
is "$(completed rsconfig -m drill if0/big-9-1 '')" "" "and nothing after it"
is "$(completed rsconfig -m policy osl --weight '')" "if0=" "Tab: whose weight"
is "$(completed rsconfig -m policy osl --standby '') $(completed rsconfig -m policy osl --standby if7,)" "if0 if7,if0" "Tab: which are standbys"
is "$(completed rsconfig -m drill if0/big-9-1 --for '')" "" "Tab: nothing for a time"
policies=$(completed rsconfig -m policy osl '')
like "$policies" "^adaptive .* default$" "Tab: the policies"
is "$(says -m policy osl none | sed -n "s/^.*'none': //p" | sed 's/ or / /; s/,//g')" "$policies" "they are those that there are"
says_why() { [ "$(rsconfig -m status | grep -c '^      why: .*Connection refused; is rssrv running there?$')" = 2 ]; }
check "and why" wait_for 5 says_why
check "-m fail" rsconfig -m fail osl:rcoracle
status=0
wait $dd_pid || status=$?
is "$status" 1 "the reader that waited has ended"
like "$(cat "$W/dd.err")" "Input/output error" "with EIO"
start_server "$W/srv"
is_back() { ! rsconfig -q | grep -q waiting && dd if="$W/clt/mnt/osl/rcoracle" of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; }
check "the server is back, reading goes on" wait_for 10 is_back

# A device whose server does not answer: it goes, and who waited is told.
if losetup -f >/dev/null 2>&1; then
	rsconfig -a osl:rcoracle >/dev/null
	kill_server "$W/srv"
	dd if=/dev/av0/rcoracle of=/dev/null bs=4k count=1 iflag=direct 2>"$W/dd.err" &
	dd_pid=$!
	check "somebody waits on the device" wait_for 10 waits
	SECONDS=0
	is "$(rsconfig -d --force osl:rcoracle | sed 's/;.*//')" "osl:rcoracle: detached" "-d --force without a server"
	status=0
	wait $dd_pid || status=$?
	is "$status" 1 "ends the wait"
	like "$(cat "$W/dd.err")" "Input/output error" "with EIO"
	check "after $SECONDS s, at most 5" test $SECONDS -le 5
	detached() { [ -z "$(rsconfig -l)" ] && [ ! -L /dev/av0/rcoracle ]; }
	check "and the device is gone" wait_for 5 detached
	start_server "$W/srv"
	check "the server is back again" wait_for 10 is_back
else
	ok "-d --force # SKIP no loop devices"
fi

# A daemon that does nothing: said, after a bounded time.
pid=$(client_pid "$W/clt")
kill -STOP "$pid"
SECONDS=0
like "$(says -q)" "did not answer within 12 s" "a stopped rsiod is no hang"
check "it took $SECONDS s, at most 14" test $SECONDS -le 14
kill -CONT "$pid"

# The end.
exec {held}<"$W/clt/mnt/osl/rcoracle"
check_fails 1 "-m stop while the tree is in use" rsconfig -m stop
like "$(says -m stop)" "pid $$" "names the holder"
exec {held}<&-
check "-m stop" rsconfig -m stop
check "rsiod has gone when it returns" gone "$pid"
check_fails 1 "nobody is there to ask" rsconfig -q
done_testing
