#!/bin/bash
# time-limit: 100
# rsagent config, client add and client rm; and what is asked at a terminal: an unknown
# host's key, a password, sudo's, one question at a time.  No key is shown, nor given to
# an editor.

# shellcheck source=tests/deploy/server.sh
. "$(dirname "$0")/server.sh"
requires_program rsagent rssrv-static
requires_cmd jq python3

hosts_start 1
for n in s1 s2; do
	host_add $n
	host_known $n
	server_add $n
done
conf() { on_host "${1:-s1}" cat /etc/rssrvcfg; }

out=$(rsagent config root@s1 root@s2 2>/dev/null)
like "$out" '^s1: ws \(hidden\)$' "a configuration is shown without its keys"
like "$out" '^s2: \[server s2\]$' "that of each"
check_fails 1 "no key is" grep -qF "$KEY" <<<"$out"

# The editor is a script.
editor() { printf '#!/bin/sh\n%s\n' "$*" >"$W/editor" && chmod +x "$W/editor"; }
edit() { EDITOR=$W/editor rsagent config --edit "$@"; }
editor "cp \"\$1\" $W/seen; sed -i 's/^\\[pool main\\]/# the second client\\n&/; s/^\\[clients\\]/&\\nother other-Key-1/' \"\$1\""
before=$(conf)
out=$(edit --yes root@s1 2>&1) && status=0 || status=$?
is "$status" 0 "one is edited"
like "$(cat "$W/seen")" '^ws \(key-1\)$' "the editor gets a number for a key"
is "$(diff <(echo "$before") <(conf) | grep '^[<>]')" "> other other-Key-1
> # the second client" "the host has what was written, and the key"
check_fails 1 "no key is shown" grep -qE "$KEY|other-Key-1" <<<"$out"
like "$out" '^\+other \(hidden\)$' "the difference is"
is "$(on_host s1 cat /etc/rssrvcfg.bak-1)" "$before" "the old one is kept"
is "$(on_host s1 stat -c %a /etc/rssrvcfg)" 600 "the mode is what it was"
like "$(rsagent log --audit root@s1 2>/dev/null)" 'reload by .* done' "the server has read it"
is "$(on_host s1 sh -c 'ls /etc/rssrvcfg*' | tr '\n' ' ')" "/etc/rssrvcfg /etc/rssrvcfg.bak-1 " "no other file is left"
is "$(find /tmp /run "$XDG_RUNTIME_DIR" -maxdepth 1 -name 'rsagent-*' -newer "$W/editor" 2>/dev/null)" "" "nor here"

unchanged() {	# REGEX NAME STATUS SCRIPT: the editor does that, and s2 is as it was
	local was out status=0
	was=$(conf s2)
	editor "$4"
	out=$(edit --yes root@s2 2>&1) || status=$?
	like "$out" "$1" "$2"
	is "$status $(conf s2)" "$3 $was" "it is as it was"
}
# shellcheck disable=SC2016  # the scripts are the editor's
{
	unchanged 'rssrvcfg:[0-9]+: .* nonsense: unknown' "mistakes, and nobody to ask" 1 'echo "nonsense = 1" >>"$1"'
	unchanged '\(key-N\) that is none' "a number that there is not" 1 'sed -i "s/key-1/key-9/" "$1"'
	unchanged 'not changed' "nothing is changed" 0 ':'
	unchanged 'editor failed' "an editor that fails" 1 'exit 3'
}
editor "echo '# mine' >>\"\$1\"; echo '# theirs' >>$W/hosts/s2/upper/etc/rssrvcfg"
out=$(edit --yes root@s2 2>&1) && status=0 || status=$?
is "$status" 1 "a file that was changed there meanwhile"
like "$out" 'changed by somebody else' "is not overwritten"
is "$(conf s2 | grep '^# ')" "# theirs" "and keeps what it got"

# A link that is lost ends the copy early.
on_host s2 sh -ec 'printf "#!/bin/sh\n[ \$# = 0 ] || exec /usr/bin/cat \"\$@\"\nhead -c 40\n" >/usr/local/sbin/cat; chmod 755 /usr/local/sbin/cat'
before=$(on_host s2 /usr/bin/cat /etc/rssrvcfg)
out=$(rsagent client add --node cut --to "$W/cut" root@s2 2>&1) && status=0 || status=$?
is "$status" 1 "a copy that is cut off"
like "$out" 'did not come whole' "is noticed"
on_host s2 rm /usr/local/sbin/cat
is "$(conf s2)" "$before" "and changes nothing"
on_host s2 sh -c 'echo 1 >/run/rssrvcfg.lock'
out=$(rsagent client add --node cut --from "$W/cut" root@s2 2>&1) || :
like "$out" 'being changed by somebody else' "two at once are not"
on_host s2 sh -c 'echo 99999999 >/run/rssrvcfg.lock; touch /etc/rssrvcfg.new'
check "but what a lost one left is no obstacle" rsagent client add --node cut --from "$W/cut" root@s2
check_fails 1 "and is gone" on_host s2 sh -c 'test -e /etc/rssrvcfg.new || test -e /run/rssrvcfg.lock'
on_host s2 mount -o bind,ro /etc /etc 2>/dev/null || host_read_only s2
out=$(rsagent client rm --yes --node cut root@s2 2>&1) || :
like "$out" '[Rr]ead-only' "a file system that is read-only says so"
on_host s2 umount /etc 2>/dev/null || host_writable s2

# Clients.
check "a client more, on both" rsagent client add --node big-2 --to "$W/key" root@s1 root@s2
is "$(stat -c %a "$W/key")" 600 "its key is in a file of one's own"
for n in s1 s2; do
	check "$n has it" grep -qF "big-2 $(cat "$W/key")" <<<"$(conf $n)"
done
check_fails 1 "not twice" rsagent client add --node big-2 --from "$W/key" root@s1
check_fails 1 "a key's file is not overwritten" rsagent client add --node big-3 --to "$W/key" root@s1
check_fails 2 "a key goes somewhere" rsagent client add --node big-3 root@s1
check "one that there is already" rsagent client add --node big-3 --from "$W/key" root@s1
check_fails 1 "nobody is cut off by mistake" rsagent client rm --node big-2 root@s1
check "cut off" rsagent client rm --yes --node big-2 root@s1 root@s2
check_fails 1 "is cut off" grep -q big-2 <<<"$(conf s1)$(conf s2)"
check "once more is no mistake" rsagent client rm --yes --node big-2 root@s1 root@s2

# The server's user has the run directory, where systemd makes it, and so any number may stand there.
pid=$(server_pid s1)
# shellcheck disable=SC2016  # for the shell there
on_host s1 sh -ec 'sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >/run/theirs
	cp -p /run/rsio/rssrv.pid /run/was; rm /run/rsio/rssrv.pid; cp /run/theirs /run/rsio/rssrv.pid; chown 4711 /run/rsio/rssrv.pid'
out=$(rsagent client add --node big-4 --from "$W/key" root@s1 2>&1) && status=0 || status=$?
like "$out" "pid has the number of a process of another user" "a process of somebody else's is not taken for the server"
# shellcheck disable=SC2016
check "and is sent no signal" on_host s1 sh -c 'kill -0 $(cat /run/theirs)'
# shellcheck disable=SC2016
on_host s1 sh -c 'kill $(cat /run/theirs); rm -f /run/rsio/rssrv.pid; cp -p /run/was /run/rsio/rssrv.pid'
is "$(server_pid s1)" "$pid" "the server is as it was"

# At a terminal.
cat >"$W/terminal.py" <<'END'
import os, pty, re, sys
# terminal.py COMMAND... -- REGEX ANSWER...: what was seen, with | where it answered
cut = sys.argv.index("--")
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[1], sys.argv[1:cut])
asked, seen, at = sys.argv[cut + 1:], b"", 0
while True:
    if asked and re.search(asked[0].encode(), seen[at:]):
        os.write(fd, asked[1].encode() + b"\n")
        asked, at = asked[2:], len(seen)
    try:
        more = os.read(fd, 1000)
    except OSError:
        break
    if not more:
        break
    seen += more
print(seen.decode().replace("\r", ""))
if asked:
    print("was not asked:", asked[0])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
terminal() { ws python3 "$W/terminal.py" "$BUILD/rsagent" "$@"; }
: >"$HOME/.ssh/known_hosts"
host_known s1
check_fails 1 "an unknown host, and nobody to ask" ws setsid "$BUILD/rsagent" status root@s2
out=$(terminal status root@s2 -- 'FINGERPRINT\]\? ' no) && status=0 || status=$?
is "$status" 1 "an unknown host is refused"
check "its fingerprint is shown" grep -qF "$(host_fingerprint s2)" <<<"$out"
check "it is not remembered" test "$(grep -c . "$HOME/.ssh/known_hosts")" = 1
check_fails 1 "another fingerprint" terminal status root@s2 --fingerprint SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA --
check "that one, said" terminal status root@s2 -- 'FINGERPRINT\]\? ' "$(host_fingerprint s2)"
check "is remembered" ws setsid "$BUILD/rsagent" status root@s2

host_sshd s1 'PubkeyAuthentication no'
out=$(terminal status root@s1 -- '[Pp]assword.*: ' "$HOST_PASSWORD") && status=0 || status=$?
is "$status" 0 "a password is asked for"
check_fails 1 "and not shown" grep -qF "$HOST_PASSWORD" <<<"$out"
host_sshd s1
out=$(terminal config admin@s1 admin@s2 -- '[Pp]assword.*: ' "$HOST_PASSWORD" '[Pp]assword.*: ' "$HOST_PASSWORD") && status=0 || status=$?
is "$status" 0 "sudo's, of two hosts"
like "$out" '^s1: ws \(hidden\)$' "with which both are read"
check_fails 1 "not shown either" grep -qF "$HOST_PASSWORD" <<<"$out"
out=$(terminal client rm --node ws nopw@s1 -- '\[yes/no\]\? ' no) && status=0 || status=$?
is "$status" 1 "cutting one off is asked"
like "$(conf)" "^ws $KEY" "and not done"

editor "case \$(cat \"\$1\") in *nonsense*) sed -i /nonsense/d \"\$1\"; echo '# mended' >>\"\$1\" ;; *) echo nonsense=1 >>\"\$1\" ;; esac"
out=$(EDITOR=$W/editor terminal config --edit root@s1 -- 'Shall it be edited again' yes 'Shall it be put there' yes) && status=0 || status=$?
is "$status" 0 "with mistakes it is edited again"
is "$(conf | tail -n 1)" "# mended" "until it is good"
done_testing
