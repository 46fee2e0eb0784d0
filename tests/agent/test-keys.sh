#!/bin/bash
# A client's key is changed: it has two for a while, the status says which one is used,
# and taking one away ends what was let in with it and nothing else.  --check warns of
# keys that can be guessed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

new=$(new_key)
export NEW_KEY=$new
write_server_conf "$W" portals=2 client=node1 client=node2
make_volume "$W" v 1M
sed -i "s/^node2 .*/node2 $(new_key)/" "$W/rssrvcfg"

out=$("$BUILD/rssrv" --check -c "$W/rssrvcfg" 2>&1)
is "$out" "" "--check has nothing to say of good keys"
sed "s/^node2 .*/node2 0xnode2/" "$W/rssrvcfg" >"$W/weak"
printf '[volume a]\npath=%s/pool/v.raw\n' "$W" >>"$W/weak"
chmod 600 "$W/weak"
out=$("$BUILD/rssrv" --check -c "$W/weak" 2>&1) && status=0 || status=$?
is "$status" 0 "one that can be guessed is no mistake"
like "$out" 'weak:[0-9]+: warning: \[clients\] node2: the key can be guessed' "but --check says so"
check_fails 1 "without showing it" grep -q 0xnode2 <<<"$out"
start_server "$W"
export SERVER_PID
SERVER_PID=$(server_pid "$W")

scenario "$W" <<'EOT'
import signal, subprocess
conf = DIR + "/rssrvcfg"
old, new = clients_key("node1"), os.environ["NEW_KEY"]

def write(*keys):
    lines, inside = [], False
    for line in open(conf):
        if line.startswith("node1 "):
            continue
        lines.append(line)
        if line.startswith("[clients]"):
            lines += ["node1 %s\n" % k for k in keys]
    with open(conf, "w") as f:
        f.writelines(lines)
    before = open(DIR + "/rssrv.out").read().count("configuration read again")
    os.kill(int(os.environ["SERVER_PID"]), signal.SIGHUP)
    end = time.monotonic() + 20
    while open(DIR + "/rssrv.out").read().count("configuration read again") == before and time.monotonic() < end:
        time.sleep(0.01)

def status():
    out = subprocess.run([os.environ["BUILD"] + "/rssrv", "--status", "--run-dir", DIR + "/run"], capture_output=True, check=True)
    return {s["node"]: sorted((c["number"], c["key"]) for c in s["connections"]) for s in json.loads(out.stdout)["sessions"]}

def login(key, joins=None, **more):
    n = Node("node1", **({"life": joins.life} if joins else {}))
    return n.login(joins.session if joins else bytes(16), key=key, **more)

other = Node("node2").login()
a = login(old)
refused("the new key is not known yet", E_KEY, lambda: login(new, a))
write(old, new)
check("a second key ends nothing", a.ping() > 0 and other.ping() > 0)
b = login(new, a, portal=1)
is_("with it a connection joins the session", (b.session, b.connection), (a.session, 2))
is_("the status says which connection has which", status()["node1"], [(1, "first"), (2, "second")])
refused("a third one is not let in", E_KEY, lambda: login("third", a))
write(new)
check("the old key is gone: what used it ends", a.closed(5))
check("what used the new one goes on", b.ping() > 0)
b.open("v", handle=1)
is_("and is the first now", status()["node1"], [(2, "first")])
c = login(new, b)
is_("the session is the same", c.session, b.session)
refused("nobody gets in with the old key", E_KEY, lambda: login(old, b))
write(old)
check("with another key all end", b.closed(5) and c.closed(5))
check("but another node does not", other.ping() > 0)
d = login(old)
write()
check("a node that is gone ends too", d.closed(5))
other.bye()
EOT
if grep -qe "$TEST_KEY" -e "$new" "$W/rssrv.out"; then not_ok "no key in the log"; else ok "no key in the log"; fi

# A key in a file of its own, replaced while the server runs, which has confined itself.
keys=$(mktemp -d)
forget_keys() { rm -rf "$keys"; }
cleanup_fn forget_keys
mkdir "$W/2"
write_server_conf "$W/2" client=node1 client=node2
new_key >"$keys/node2"
chmod 600 "$keys/node2"
sed -i "s|^node2 .*|node2 @file:$keys/node2|" "$W/2/rssrvcfg"
start_server "$W/2"
SERVER_PID=$(server_pid "$W/2")
key2=$(new_key)
export key2 keys
scenario "$W/2" <<'EOT'
import signal
name = os.environ["keys"] + "/node2"
a, other = Node("node2").login(key=open(name).read().strip()), Node().login()
with open(name + ".new", "w") as f:
    f.write(os.environ["key2"])
os.chmod(name + ".new", 0o600)
os.rename(name + ".new", name)
os.kill(int(os.environ["SERVER_PID"]), signal.SIGHUP)
check("another key in the file: what used the old one ends", a.closed(5))
check("the new one is let in", Node("node2").login(key=os.environ["key2"]).ping() > 0)
check("others go on", other.ping() > 0)
os.chmod(name, 0o644)
os.kill(int(os.environ["SERVER_PID"]), signal.SIGHUP)
EOT
logged "$W/2" "the key's file can be read by everybody" "a file that everybody reads is refused"
logged "$W/2" 'was not taken over: nothing changes' "and nothing changes"
done_testing
