#!/bin/bash
# time-limit: 120
# From one command to a volume: on a workstation where nothing runs, deploy starts rsiod, by the program beside it or by
# systemd's unit, and its last line is what to type next.  Nothing is started that was not wanted.  And the way back:
# a server whose volumes are open is not taken away unasked.
# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"
requires_program rsiod rsvol rsconfig
requires_fuse

hosts_start 1
host_add s1
host_add home
! grep -qs -e -fsanitize "$BUILD/.flags" || skip "a sanitizer's rsiod has nobody there to tell it what to leave out"

# A workstation with a file tree of its own, where this version is installed.
for p in rsagent rsiod rsvol; do
	on_host home sh -c "cat >/usr/local/sbin/$p && chmod 755 /usr/local/sbin/$p" <"$BUILD/$p"
done
# shellcheck disable=SC2016  # for the shell there
on_host home sh -c 'mkdir -p /usr/local/lib/rsio && cat >"/usr/local/lib/rsio/rssrv-$(uname -m)"' <"$BUILD/rssrv-static"
on_host home sh -c 'umask 077; cat >/root/.ssh/id_ed25519' <"$HOME/.ssh/id_ed25519"
on_host home sh -c 'cat >>/root/.ssh/known_hosts' <<<"$(host_addr s1) $(host_key s1)"
server=root@$(host_addr s1)

home() { on_host home "$@" </dev/null; }
rsiod_runs() { home test -S /run/rsio/rsiod.sock && home test -d /rsio/osl; }
stop_rsiod()
{
	# shellcheck disable=SC2016  # for the shell there
	home sh -c 'pid=$(cat /run/rsio/rsiod.pid) && kill $pid && while [ -d /proc/$pid ]; do sleep 0.1; done'
}

# A configuration that nothing can be put into is found before anything is done there.
before=$(tree s1)
on_host home sh -c 'umask 077; echo "mount = /elsewhere" >/etc/rscltcfg'
out=$(home rsagent deploy --yes --namespace osl "$server" 2>&1) && status=0 || status=$?
is "$status" 1 "a configuration here with a mistake"
like "$out" "rsiod --check" "and what shows it"
check_fails 1 "before anything was copied" grep -q 'copying' <<<"$out"
same_tree s1 "$before" "the host is what it was"
home rm /etc/rscltcfg

# Left alone.
out=$(home rsagent deploy --yes --no-start --namespace osl "$server" 2>/dev/null)
is "$(tail -n 1 <<<"$out")" "Next, the client here: rsiod" "--no-start leaves rsiod, and its last line starts it"
check_fails 1 "it does not run" rsiod_runs
out=$(home rsagent deploy "$server" 2>/dev/null)
is "$(tail -n 1 <<<"$out")" "Next, the client here: rsiod" "without a terminal to ask at too"
check_fails 1 "nothing was started" rsiod_runs

# Asked for, no and yes.
install -m 755 "$TESTS_DIR/deploy/terminal.py" "$W/hosts/home/tmp/terminal.py"
echo no >"$W/hosts/home/tmp/answers"
typed() { on_host home python3 /tmp/terminal.py /tmp/answers "$@" 2>&1 </dev/null | tr -d '\r'; }
out=$(typed rsagent deploy "$server")
like "$out" "Shall 'rsiod' be done \[yes/no\]\? no" "it is asked"
check_fails 1 "no: it is not started" rsiod_runs
echo yes >"$W/hosts/home/tmp/answers"
out=$(typed rsagent deploy "$server")
check "yes: it runs" rsiod_runs
like "$out" "0 volumes in /rsio/osl" "and the namespace is here"

# What the last line says is typed.
next=$(tail -n 1 <<<"$out")
is "$next" "Next, a first volume on s1: rsvol create osl:first 200M" "an empty pool: what makes a volume that it has room for"
check "which does" home sh -c "${next#*: }"
check "the volume is in the tree" home cmp -n 4096 /rsio/osl/first /dev/zero
out=$(home rsagent deploy --json --yes "$server" 2>/dev/null)
is "$(jq -r '.hosts[0] | "\(.volumes) \(.client_runs) \(.next)"' <<<"$out")" "1 true null" "then there is nothing to suggest"
stop_rsiod

# By systemd's unit, where that is installed.
home mkdir -p /run/systemd/system /etc/systemd/system
home touch /etc/systemd/system/rsiod.service
on_host home sh -c 'cat >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl' <<'END'
#!/bin/sh
echo "$*" >>/tmp/systemctl
exec rsiod --no-wait
END
out=$(home rsagent deploy --yes "$server" 2>/dev/null)
is "$(home cat /tmp/systemctl)" "enable --now rsiod" "systemd starts it, now and at each boot"
like "$out" "1 volume in /rsio/osl" "and the volume is here"

# One that does not come up.
stop_rsiod
on_host home sh -c 'printf "#!/bin/sh\nexit 3\n" >/usr/local/sbin/systemctl'
out=$(home rsagent deploy --yes "$server" 2>&1) && status=0 || status=$?
is "$status" 1 "a client that cannot be started is a failure"
like "$out" "rsiod was not started" "that is said"
home rm -r /run/systemd/system

# Taken away while somebody has its volume open.
check "rsiod runs again" home rsiod
mkfifo "$W/hold"
on_host home sh -c 'exec 8</rsio/osl/first; read -r line' <"$W/hold" &
holder=$!
exec 7>"$W/hold"
opened() { on_host s1 rssrv --status --run-dir /run/rsio | jq -e '.volumes[0].opens > 0' >/dev/null; }
wait_for 10 opened || bail "the volume is open"
before=$(tree s1)
out=$(home rsagent undeploy --yes "$server" 2>&1) && status=0 || status=$?
is "$status" 1 "a server whose volume is open is not taken away with --yes alone"
like "$out" "the client home \([0-9.]*\) has the volume first open" "who has it open is said"
same_tree s1 "$before" "and nothing is changed"
echo no >"$W/hosts/home/tmp/answers"
out=$(typed rsagent undeploy "$server" || :)
like "$out" "the client home .* has the volume first open" "at a terminal too"
like "$out" "Clients are cut off" "before it is asked"
check "with --force it goes" home rsagent undeploy --yes --force "$server"
check_fails 1 "it is no server any more" on_host s1 test -e /usr/local/sbin/rssrv
exec 7>&-
wait "$holder" || :

done_testing
