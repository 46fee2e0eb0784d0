#!/bin/bash
# Hosts that cannot be logged in to, each for a reason of its own: no such name, nobody there, a port that
# refuses, something else than sshd, no way through, users that are not let in.  Each says what to do.

# shellcheck source=tests/deploy/logins.sh
. "$(dirname "$0")/logins.sh"

none_sleeps() { [[ $(leftovers) != *": sleep 600"* ]]; }
hosts_start 1
host_add s1
host_known s1
addr=$(host_addr s1)

fails EINVAL "root@ is not \[user@\]host\[:port\]" "half a target" root@ who
fails EINVAL "-oProxyCommand=x is not" "a name that looks like an option" -- -oProxyCommand=x who
fails EINVAL "root@s1:70000 is not" "a port that is none" root@s1:70000 who
login root@no-such-host.invalid who </dev/null || true
like "$said" "no host is called no-such-host.invalid|cannot find no-such-host.invalid: no name server" "a name that nobody has"
like "$said" "next: give its address" "and what to do"
fails ECONNREFUSED "$addr refuses connections at port 2200 next: .*is sshd running" "a port that refuses" root@s1:2200 who
fails EHOSTUNREACH "10.99.9.9 cannot be reached" "no route" root@10.99.9.9 who
ws ip neigh replace 10.66.0.77 lladdr 02:00:00:00:00:77 nud permanent dev eth0
fails ETIMEDOUT "10.66.0.77 does not answer at port 22 within 1 s next: .*firewall" "nobody there" --connect 1 root@10.66.0.77 who

# What is no sshd.
odd()		# PORT HOW
{
	NETNS=${host_netns[s1]} start_daemon "odd:$W/$1" "$W/odd.out" "host_listens s1 $1" \
		python3 "$TESTS_DIR/deploy/odd_server.py" "$1" "$2"
}
odd 2201 silent
odd 2202 http
odd 2203 close
odd 2204 endless
fails ETIMEDOUT "takes connections at port 2201, but says nothing within 1 s" "one that says nothing" --connect 1 root@s1:2201 who
fails EPROTO "answers at port 2202 of $addr is no SSH server" "another protocol" root@s1:2202 who
fails EPROTO "answers at port 2203 of $addr is no SSH server, or takes no more" "one that hangs up" root@s1:2203 who
fails EPROTO "answers at port 2204" "a first line without end" root@s1:2204 who
host_sshd s1 'KexAlgorithms diffie-hellman-group1-sha1'
fails EPROTO "no algorithm in common: .*next: update its sshd" "an sshd of other times" root@s1 who
host_sshd s1 'MaxStartups 1:100:1' 'LoginGraceTime 60'
NETNS=$WS start_daemon "holder:$W" "$W/holder" "grep -qs SSH $W/holder" python3 -c "
import socket, time
s = socket.create_connection(('$addr', 22))
print(s.recv(100), flush=True)
time.sleep(600)"
fails EPROTO "takes no more connections: .*MaxStartups" "one that has too many logins" root@s1 who
host_sshd s1

# Users.
fails EACCES "nobody@s1 is refused: s1 takes a key, a password; tried: .*id_ed25519 next: .*password can be typed" \
	"a user that it does not let in" nobody@s1 who
printf 'wrong1\nwrong2\nwrong3\n' >"$W/wrong"
fails EACCES "nobody@s1 is refused.*next: is the password right, and may nobody log in at all" "and who types a password" \
	--answers "$W/wrong" nobody@s1 who
printf '%s\n' "$HOST_PASSWORD" >"$W/right"
mv "$HOME/.ssh/id_ed25519" "$W/key"
logs_in 'asked: \(plain@s1\) Password: ' "a password, by PAM's questions" --answers "$W/right" plain@s1 who
host_sshd s1 'KbdInteractiveAuthentication no'
printf 'wrong\n%s\n' "$HOST_PASSWORD" >"$W/second"
logs_in "asked: plain@s1's password: " "a password as such, the second one" --answers "$W/second" plain@s1 who
host_sshd s1 'AuthenticationMethods publickey,keyboard-interactive'
logs_in '^plain@s1' "a key and a password" --identity "$W/key" --answers "$W/right" plain@s1 who
host_sshd s1 'PasswordAuthentication no' 'KbdInteractiveAuthentication no'
fails EACCES "s1 takes a key; there was nothing to try next: put a key there by ssh-copy-id plain@s1" "keys only, and there is none" \
	--answers "$W/right" plain@s1 who
mv "$W/key" "$HOME/.ssh/id_ed25519"
host_sshd s1 'PermitRootLogin no'
fails EACCES "root@s1 is refused" "root is not let in" root@s1 who
on_host s1 sh -c 'mv /bin/bash /bin/bash.away'
fails EACCES "admin@s1 is refused.*next: .*shell that exists" "a host without the user's shell" admin@s1 who
on_host s1 usermod -s /bin/sh plain
logs_in '^works' "a host without bash" plain@s1 run 'echo works'
on_host s1 sh -c 'mv /bin/bash.away /bin/bash'
host_sshd s1

# What sshd and shells print.
on_host s1 sh -c 'printf "Property of\nACME \033[31mInc\n" >/etc/banner'
host_sshd s1 'Banner /etc/banner'
logs_in '^banner: Property of' "a banner is shown" root@s1 run 'echo works'
like "$said" '^banner: ACME \?\[31mInc' "without what terminals obey"
is "$(tail -n 1 <<<"$said")" works "and does no harm"
host_sshd s1

# Through another host.
host_add jump
host_known jump
cat >>"$HOME/.ssh/config" <<END
Host far
	HostName $addr
	ProxyJump root@jump
Host worse
	HostName $addr
	ProxyJump root@nowhere.invalid
Host odd
	HostName $addr
	ProxyCommand echo cannot find the way >&2
Host stuck
	HostName $addr
	ProxyCommand sh -c 'trap "" TERM; sleep 600; sleep 600'
END
host_sshd s1 "AllowUsers root@$(host_addr jump)"
fails EACCES "root@s1 is refused" "only another host may log in" root@s1 who
logs_in '^root@far SHA256' "and through that host it goes" root@far who
logs_in '^works' "as far as a script" root@far run 'echo works'
fails ECONNREFUSED "the way to worse .*does not work: .*next: log in once by ssh worse" "a host in between that is not there" root@worse who
fails ECONNREFUSED "the way to odd .*: cannot find the way" "a command that leads nowhere" root@odd who
fails ETIMEDOUT "says nothing within 1 s" "a command that is stuck" --connect 1 root@stuck who
check "and leaves nothing behind" wait_for 5 none_sleeps
mv "$HOME/.ssh/known_hosts" "$W/known"
echo "$addr $(host_key s1)" >"$HOME/.ssh/known_hosts"
fails ECONNREFUSED "the way to far .*Host key verification failed" "a host in between that is not known" root@far who

done_testing
