#!/bin/bash
# The audit lines: who logged in, from where, and who did not; who opened what; what was
# changed over the control socket and by whom.  A flood of refused logins leaves room.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv rsslogcat
requires_cmd jq

write_server_conf "$W"
make_volume "$W" v 1M
start_server "$W"
lines() { "$BUILD/rsslogcat" --run-dir "$W/run" --audit "$@"; }

is "$(lines)" "" "nobody did anything yet"
scenario "$W" <<'EOT'
c = Node().login()
c.open("v")
refused("a volume that is not there", E_NO_VOLUME, lambda: c.open("none", handle=2))
c.must(OPEN, rec(T_NAME, "v"), handle=3, flags=F_READ_ONLY)
refused("a wrong key", E_KEY, lambda: Node("node1").login(key="wrong"))
c.bye()
EOT
lines >"$W/lines"
has() { check "$2" grep -qE "INFO \(audit\): $1|WARNING \(audit\): $1" "$W/lines"; }
has 'login of node1 from 127\.0\.0\.1/[0-9]+ granted: session 0 over if0, first key$' "a login"
has 'open of v \(rw\) by node1 from 127\.0\.0\.1/[0-9]+ granted$' "an opened volume"
has 'open of v \(ro\) by node1 from 127\.0\.0\.1/[0-9]+ granted$' "one to read from"
has 'open of none \(rw\) by node1 from 127\.0\.0\.1/[0-9]+ refused \(no-volume\)$' "one that is refused"
has 'login of node1 from 127\.0\.0\.1/[0-9]+ refused \(key\): its key is wrong$' "a wrong key"
is "$(grep -vc ' (audit): ' "$W/lines")" 0 "no other line"
is "$(lines -n 1)" "$(tail -n 1 "$W/lines")" "-n counts these lines"
is "$(lines --json | jq -r .part | sort -u)" audit "--json has them too"

check_fails 1 "a change of what is not there" "$BUILD/rssrv" --run-dir "$W/run" --clear-flush-error none
check "a change" "$BUILD/rssrv" --run-dir "$W/run" --clear-flush-error v
check "a question" "$BUILD/rssrv" --run-dir "$W/run" --status
lines >"$W/lines"
has "clear-flush-error of none by uid $(id -u) \(pid [0-9]+\) at the control socket refused: no volume none here$" "what failed"
has "clear-flush-error of v by uid $(id -u) \(pid [0-9]+\) at the control socket done$" "what was done"
check_fails 1 "questions are no lines" grep -q 'status' "$W/lines"

server=$(server_pid "$W")
hup() { kill -HUP "$server"; }
has_line() { lines | grep -qE "(INFO|WARNING) \(audit\): $1"; }
audited() { check "$2" wait_for 10 has_line "$1"; }	# REGEX NAME
by="by uid $(id -u) \(pid [0-9]+\) with SIGHUP"
cp "$W/rssrvcfg" "$W/before"
second=$(new_key)
sed -i "s/^node1 .*/&\nnode1 $second\nnode2 $(new_key)/; s|^path = .*pool|manage = node1\n&|" "$W/rssrvcfg"
hup
audited "reload $by done\$" "a reload"
audited "client node1: has a second key, $by\$" "a second key"
audited "client node2: may log in, $by\$" "a new client"
audited "managing pool main is for node1, was for every client, $by\$" "another right"
sed -i "/^node1 $TEST_KEY/d; /^node2/d" "$W/rssrvcfg"
hup
audited "client node1: has one key less, $by\$" "a key that is gone"
audited "client node2: may not log in any more, $by\$" "a client that is gone"
echo nonsense >>"$W/rssrvcfg"
hup
audited "reload $by refused: the configuration has mistakes\$" "a reload that was refused"
cp "$W/before" "$W/rssrvcfg"
hup
audited "client node1: has another key, $by\$" "another key"

scenario "$W" <<'EOT'
for i in range(1100):
    try:
        Node("flood").login(key="wrong")
    except Refused as r:
        pass
check("a flood of refused logins is over", True)
c = Node(directory=DIR).login()
check("from elsewhere", c.ping() > 0)
c.work("label", volume="v", text="behind a flood")
def reserve(**m):
    try:
        c.control("reserve", id=os.urandom(16).hex(), **m)
    except Failed as e:
        return e.code
is_("nothing is reserved of what is not there", reserve(volume="none", action="alone"), "ENOENT")
is_("nor with a key that is not registered", reserve(volume="v", action="reserve", type=1, key="1"), "EBADE")
is_("nor what cannot be", reserve(volume="v", action="dance"), "EINVAL")
EOT
lines >"$W/lines"
has 'label of v by node1 from 127\.0\.0\.1 done$' "a change is there in spite of it"
has 'reserve by node1 from 127\.0\.0\.1/[0-9]+ refused: there is no volume none here' "a reservation of what is not there"
has 'reserve of v \(reserve\) by node1 from 127\.0\.0\.1/[0-9]+ refused: ' "one that is refused"
has 'reserve of v \(.*\) by node1 from 127\.0\.0\.1/[0-9]+ refused: reserve: "action" is none' "and one that is none"
is "$(lines | grep -c 'login of flood .* refused')" "$(lines | grep -c 'login of flood')" "refused they were"
check "not all of them are in the log" test "$(lines | grep -c 'login of flood')" -lt 1090
said() { lines | grep -qE 'WARNING \(audit\): [0-9]+ lines about 127.0.0.1 were left out$'; }
check "how many are missing is said" wait_for 30 said
check_fails 1 "no key in it" grep -q -e "$TEST_KEY" -e "$second" "$W/rssrv.out"
done_testing
