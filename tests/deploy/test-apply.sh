#!/bin/bash
# time-limit: 300
# rsagent apply: a fleet's file, on hosts with a real sshd: made, made again without a change, changed, drifted,
# and less than it was.
# shellcheck source=tests/deploy/hosts.sh
. "$(dirname "$0")/hosts.sh"
requires_program rsagent rssrv-static rsiod rsconfig
requires_fuse
requires_cmd jq strace

hosts_start 2
for h in s1 s2 c1; do
	host_add $h
	host_known $h
done
! grep -qs -e -fsanitize "$BUILD/.flags" || skip "a sanitizer's rsiod has nobody there to tell it what to leave out"
for p in rsiod rsconfig; do
	on_host c1 sh -c "cat >/usr/local/sbin/$p && chmod 755 /usr/local/sbin/$p" <"$BUILD/$p" || bail "a client has its programs"
done
apply() { ws "$BUILD/rsagent" apply -q --run-dir "$W/run" "$W/fleet.ini" "$@"; }
trees() { for h in s1 s2 c1; do host_tree $h; done; }
changes() { jq -r '.members[] | [.kind, .name, .change, .done] | join(" ")' "$W/json"; }

cat >"$W/fleet.ini" <<END
[namespace osl]
namespaceid = 7

[client ws]
host   = local
config = $W/rscltcfg

[client c1]
host = root@c1

[server one]
host     = root@s1
serverid = 1

[interface if0]
address = $(host_addr s1)

[interface if1]
device = eth1

[pool main]
path   = /srv/rsio
manage = ws

[pool second]
path    = /srv/second
clients = c1:ro

[server two]
host     = nopw@s2
serverid = 2

[interface if0]
address = $(host_addr s2)

[pool main]
path = /srv/rsio
END

# Looking.
before=$(trees)
check "a dry run" apply --dry-run
check_fails 3 "what differs is told by the status" apply --diff
check_fails 1 "without a terminal it wants to be told" setsid -w nsenter --net="/run/netns/$WS" "$BUILD/rsagent" apply "$W/fleet.ini"
sed 's/^path = .*/path = srv/; s/^\[pool second/[pol second/' "$W/fleet.ini" >"$W/wrong.ini"
like "$(ws "$BUILD/rsagent" apply --check "$W/wrong.ini" 2>&1)" "wrong.ini:2[0-9]: \[pol\] unknown section \(did you mean pool\?\)" \
	"a mistake has its line"
is "$(trees)" "$before" "all of that changes nothing anywhere"

# A port that is taken stands in the way, at one server; a link that goes, and what was begun there is undone.
on_host s2 python3 -m http.server 5000 >"$W/http.out" 2>&1 &
cleanup_fn end_process $!
wait_for 10 host_listens s2 5000
check_fails 1 "a port is taken" apply --dry-run
like "$(apply --dry-run 2>&1)" "server two on nopw@s2: .*5000" "it is said whose"
on_host s2 pkill -f http.server
wait $! 2>/dev/null || true

# Making.  Each command that is started for it is noted, with its environment, here and on a client.
watch=(strace -f -qq -v -s 1000000 -e 'trace=execve' -e 'signal=none')
sshd=$(pgrep -o -f '^sshd: /usr/sbin/sshd' --ns "${host_pid[c1]}" --nslist pid)
start_daemon "strace:$W" "$W/strace.out" "grep -q '^TracerPid:.*[1-9]' /proc/$sshd/status" \
	"${watch[@]}" -o "$W/there" -p "$sshd"
ws "${watch[@]}" -o "$W/here" "$BUILD/rsagent" apply -q --run-dir "$W/run" "$W/fleet.ini" --yes --json >"$W/json" 2>"$W/err" || { note "$(cat "$W/err" "$W/json")"; bail "it is made"; }
is "$(changes)" $'server one created true\nserver two created true\nclient ws created true\nclient c1 created true' "it is made"
is "$(on_host s1 stat -c '%a %U:%G' /srv/rsio /srv/second /etc/rssrvcfg | paste -sd ' ')" \
	"750 rsio:rsio 750 rsio:rsio 640 root:rsio" "with pools and a configuration"
like "$(sed -n 's/^address *= //p' "$W/rscltcfg" | paste -sd ' ')" "^$(host_addr s1) $(host_addr s1 1) $(host_addr s2)\$" \
	"a client knows the portals, also that of a device"
own_keys() { sed -n 's/^nodekey *= //p' "$W/rscltcfg"; on_host c1 sed -n 's/^nodekey *= //p' /etc/rscltcfg; }
all_keys() { own_keys; for h in s1 s2; do on_host $h sed -n 's/^\(ws\|c1\) //p' /etc/rssrvcfg; done; }
keys=$(own_keys)
is "$(grep -cx '[0-9a-f]\{64\}' <<<"$keys") $(all_keys | sort | uniq -c | awk '{ print $1 }' | paste -sd ' ')" "2 3 3" \
	"each client has a key, the same everywhere"
is "$(stat -c %a "$W/rscltcfg") $(on_host c1 stat -c %a /etc/rscltcfg)" "600 600" "which nobody else can read"
is "$(grep -lrF "$keys" "$W/json" "$W/err" "$HOME/.config" || true)" "" "and which is shown nowhere"
stop_daemon "strace:$W"
check "what was started on the client was seen" grep -q '"rsiod", "--check"' "$W/there"
is "$(grep -laF "$keys" "$W/here" "$W/there" || true)" "" "no key was in a command or an environment"
is "$(stat -c %a "$HOME/.config/rsio/applied" "$HOME"/.config/rsio/applied/*.json | paste -sd ' ')" "700 600" \
	"what was applied is noted, for its owner"

# The volumes are there.
mkdir -p "$W/run"
there() { [ -d "$W/mnt/osl" ] && [ -n "$(ls "$W/mnt/osl" 2>/dev/null)" ]; }
NETNS=$WS start_client "$W" "$W/mnt"
on_host s1 truncate -s 1M /srv/rsio/one.raw
on_host s1 chown rsio: /srv/rsio/one.raw
check "a volume of a server comes to the client" wait_for 15 test -e "$W/mnt/osl/one"

# Again, and drift.
on_host c1 sh -c 'mv /etc/rscltcfg /etc/real; ln -s real /etc/rscltcfg'
before=$(trees)
is "$(apply --yes)" "All is as $W/fleet.ini says." "again: nothing is to be done"
check "no drift" apply --diff
is "$(trees)" "$before" "and nothing is done"
on_host s1 sed -i 's/^manage = ws/manage = ws c1/' /etc/rssrvcfg
echo "# mine" >>"$W/rscltcfg"
like "$(apply --diff)" "^    -manage = ws c1" "what was changed on a host is seen"
pid=$(on_host s1 cat /run/rsio/rssrv.pid)
check "and undone" apply --yes
check "for good" apply --diff
is "$(on_host s1 cat /run/rsio/rssrv.pid)" "$pid" "by a server that goes on"
check "what is the client's own stays" grep -qx "# mine" "$W/rscltcfg"

# Another login to the same host is no other server, and a password is typed once.
sed -i 's/nopw@s2/admin@s2/; s/root@c1/root@10.66.1.3/' "$W/fleet.ini"
echo "$(host_addr c1 1) $(host_key c1)" >>"$HOME/.ssh/known_hosts"
echo "manage = ws" >>"$W/fleet.ini"
cat >"$W/type.py" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = asked = b""
try:
    while True:
        more = os.read(fd, 1000)
        if not more:
            break
        seen += more
        if seen.endswith((b"? ", b": ")) and seen != asked:
            os.write(fd, b"yes\n" if seen.endswith(b"? ") else os.environb[b"PASSWORD"] + b"\n")
            seen += b"<typed>"
            asked = seen
except OSError:
    pass
print(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
typed() { PASSWORD=$HOST_PASSWORD ws python3 "$W/type.py" "$BUILD/rsagent" apply -q --run-dir "$W/run" "$W/fleet.ini"; }
out=$(typed) || note "$out"
is "$(grep -o '<typed>' <<<"$out" | wc -l)" 2 "a password and a yes are typed, each once"
like "$out" "0 created, 1 changed, 0 removed" "nothing is removed"
sed -i 's/admin@s2/nopw@s2/; s/root@10.66.1.3/root@c1/' "$W/fleet.ini"
like "$(typed)" "^All is as" "nor by the way back"
check "which is forgotten" apply --diff

# Changes.
sed -i 's/^clients = c1:ro/clients = ws c1:ro/; s/^serverid = 2/&\nmetrics = \/run\/rsio\/metrics/' "$W/fleet.ini"
cat >>"$W/fleet.ini" <<END
[interface if1]
address = $(host_addr s2 1)
END
apply --yes --json >"$W/json" 2>"$W/err" || note "$(cat "$W/err")"
is "$(changes)" $'server one changed true\nserver two changed true\nclient ws changed true\nclient c1 changed true' "what changes is changed"
check "a portal more, for the client too" grep -q "= $(host_addr s2 1)" "$W/rscltcfg"
is "$(own_keys)" "$keys" "keys stay"
is "$(on_host c1 readlink /etc/rscltcfg) $(on_host c1 stat -c %a /etc/real)" "real 600" "and a link"

# A server that another file has now is not taken away by the one that it left.
sed '/^manage/d' "$W/fleet.ini" >"$W/other.ini"
cp "$W/fleet.ini" "$W/whole.ini"
check "another file" ws "$BUILD/rsagent" apply -q --yes --run-dir "$W/run" "$W/other.ini"
cp "$W/other.ini" "$W/fleet.ini"
sed -i '/^\[server two/,$d' "$W/fleet.ini"
like "$(apply --yes)" "0 removed" "has the server now"
check "which serves on" on_host s2 pgrep -x rssrv
cp "$W/whole.ini" "$W/fleet.ini"
check "and comes back" apply --yes

# A client and a server less.
sed -i '/^\[server two/,$d; /^\[client c1/,/^host/d; s/ c1:ro//' "$W/fleet.ini"
on_host s2 truncate -s 1M /srv/rsio/two.raw
on_host s2 chown rsio: /srv/rsio/two.raw
check "its volume is the client's" wait_for 15 test -e "$W/mnt/osl/two"
exec 9<"$W/mnt/osl/two"
status=0
out=$(apply --yes 2>&1) || status=$?
is "$status" 1 "a server that is used does not go"
like "$out" "nothing was changed: the client ws .* has the volume two open" "who uses what is said"
like "$out" "--force" "and what takes it away all the same"
check "it serves on" on_host s2 pgrep -x rssrv
check "and is the client's" grep -q "$(host_addr s2)" "$W/rscltcfg"
exec 9<&-
out=$(apply --yes 2>&1) || note "$out"
like "$out" "leaves /srv/rsio/two.raw" "a server that left: its volumes are named"
check "and stay" on_host s2 test -e /srv/rsio/two.raw
check_fails 1 "it does not" on_host s2 pgrep -x rssrv
check_fails 1 "nor its keys" on_host s2 test -e /etc/rssrvcfg
is "$(grep -c "$(host_addr s2)" "$W/rscltcfg")" 0 "the clients forget it"
check_fails 1 "a client that left cannot log in" on_host s1 grep -q '^c1 ' /etc/rssrvcfg
check "again: nothing is to be done" apply --diff
check "the other server serves on" test -e "$W/mnt/osl/one"
stop_client "$W"
done_testing
