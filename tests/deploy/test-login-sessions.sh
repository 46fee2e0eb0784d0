#!/bin/bash
# What a login is for: scripts, conversations, copies, root; with login shells that print, and on
# connections that are lost, stall or fall silent.  Nothing waits without end, and no password is seen.

# shellcheck source=tests/deploy/logins.sh
. "$(dirname "$0")/logins.sh"

hosts_start 1
host_add s1
host_known s1
printf '%s\n' "$HOST_PASSWORD" >"$W/right"
printf 'wrong1\nwrong2\nwrong3\n' >"$W/wrong"

login root@s1 run 'cat; echo "to stderr" >&2; exit 4' <<<'a line' || is $? 3 "the status is told"
is "$(sort <<<"$said")" $'a line\nstatus 4\nto stderr' "input, both outputs and the status of a script"
login root@s1 run 'exec sh -c "kill -KILL \$\$"' </dev/null || true
like "$said" '^status 137' "a script that a signal ends"
logs_in '^50 of 50$' "a conversation" root@s1 say 50
like "$said" 'ended on s1 with status 7: said' "and its end"
head -c 3000000 /dev/urandom >"$W/file"
logs_in '^and more$' "a copy" root@s1 copy "$W/file" "/root/a 'b'"
check "byte for byte" cmp "$W/file" "$W/hosts/s1/upper/root/a 'b'"
fails EFBIG "s1 sends more than 1000 bytes" "a script that says too much" root@s1 run 'yes | head -c 1000000' 1000
fails ETIMEDOUT "the test: s1 is not done within 1 s" "one that is not done in time" root@s1 run 'sleep 100' 1000 1

# Login shells.
shell_prints()	# TEXT: what root's shell does at its start
{
	printf '%s\n' "$1" | on_host s1 sh -c 'cat >/root/.bashrc'
}
shell_prints 'echo Welcome; echo "You have mail" >&2; printf "no end of line"'
login root@s1 run 'echo works' </dev/null
is "$said" works "a shell that prints on login"
# shellcheck disable=SC2016  # for the shell there
shell_prints 'read -r x; echo "it got $x"'
fails ETIMEDOUT "login shell of root@s1 starts nothing within 1 s" "one that reads what is not for it gets nothing" root@s1 run 'echo works' 1000 1
shell_prints 'while :; do echo more and more; done'
fails EPROTO "login shell of root@s1 prints without end: more and more next: this must print hello: ssh root@s1" "one that does not stop printing" root@s1 run 'echo works'
shell_prints 'echo Wait; sleep 1000'
fails ETIMEDOUT "login shell of root@s1 starts nothing within 1 s; it says: Wait" "one that gets stuck" root@s1 run 'echo works' 1000 1
on_host s1 rm /root/.bashrc
on_host s1 usermod -s /usr/sbin/nologin plain
fails EACCES "login shell of plain@s1 runs no commands: it says: This account is currently not available" "no login shell" plain@s1 run 'echo works'
for shell in /usr/bin/fish /bin/tcsh /usr/bin/zsh; do
	[ -x $shell ] || continue
	on_host s1 usermod -s $shell nopw
	login --root nopw@s1 run 'id -un; cat' <<<"with $shell"
	is "$said" "root"$'\n'"with $shell" "$shell is as good as sh"
done
host_sshd s1 'ForceCommand echo only this'
fails EACCES "runs no commands: it says: only this" "an account with a command of its own" root@s1 run 'echo works'
host_sshd s1 'MaxSessions 0'
fails EACCES "s1 lets root run nothing" "an sshd that opens no sessions" root@s1 run 'echo works'
host_sshd s1

# Root.
logs_in '^root$' "root is root" --root root@s1 run 'id -un'
login --root nopw@s1 run 'id -un; cat' <<<more
is "$said" $'root\nmore' "sudo without a password"
login --answers "$W/right" --root admin@s1 run "id -un; cat; grep -alF $HOST_PASSWORD /proc/[0-9]*/cmdline /proc/[0-9]*/environ; :" <<<more
like "$(tr '\n' ' ' <<<"$said")" 'asked: \[sudo\] password of admin on s1: +root more *$' "sudo with one, which is in no command and no environment"
fails ENOKEY "sudo on s1 wants admin's password, and there is nobody to ask" "nobody who could be asked" --root admin@s1 who
fails EACCES "sudo on s1 takes none of 3 passwords for admin" "three wrong ones" --answers "$W/wrong" --root admin@s1 who
on_host s1 usermod -s /bin/sh plain
fails EPERM "sudo on s1 does not let plain be root: plain is not in the sudoers file" "a user who may not" --answers "$W/right" --root plain@s1 who
mv "$HOME/.ssh/id_ed25519" "$W/key"
logs_in ' root$' "one password for the login and sudo" --answers "$W/right" --root admin@s1 who
is "$(grep -c '^asked' <<<"$said")" 1 "is asked for once"
mv "$W/key" "$HOME/.ssh/id_ed25519"
on_host s1 sh -c 'cp /etc/sudoers /etc/sudoers.was; echo "Defaults requiretty" >>/etc/sudoers'
fails EPERM "sudo on s1 wants a terminal of nopw next: .*!requiretty" "a sudo that wants a terminal" --root nopw@s1 who
on_host s1 sh -c 'cp /etc/sudoers.was /etc/sudoers; echo "Defaults use_pty" >>/etc/sudoers'
login --answers "$W/right" --root admin@s1 run 'id -un; md5sum' <"$W/file"
like "$said" "$(md5sum <"$W/file" | cut -d' ' -f1)" "and one that uses its own passes on what it is sent"
on_host s1 sh -c 'mv /usr/bin/sudo /usr/bin/sudo.away'
fails ENOENT "admin@s1 is not root, and there is no sudo on s1 next: log in as root@s1" "no sudo" --root admin@s1 who
on_host s1 sh -c 'mv /usr/bin/sudo.away /usr/bin/sudo'

# Connections.
wait_there()	# NAME ARGS...: a login that waits for what never comes; $W/NAME.out
{
	local name=$1
	shift
	ws "$remote" "$@" root@s1 wait >"$W/$name.out" 2>&1 </dev/null &
	waiting=$!
	wait_for 20 grep -qsx in "$W/$name.out"
}
gives_up()	# NAME REGEX WHAT
{
	check "$3" wait_for 30 gone "$waiting"
	like "$(cat "$W/$1.out")" "$2" "and says so"
	wait "$waiting" || true
}
wait_there lost --silent 3
host_link s1 0 lost
gives_up lost 'the wait: the connection to s1 is lost' "a link that is lost is noticed"
host_link s1 0 up
logs_in '^there' "one that only has nothing to say is not lost" --silent 1 root@s1 run 'sleep 3; echo there'
wait_there killed
on_host s1 sh -c 'pkill -KILL -f "[s]shd: root"'
gives_up killed 'connection to s1 is lost' "an sshd that is killed"
wait_there frozen --silent 3
on_host s1 sh -c 'pkill -STOP -f "[s]shd: root"'
gives_up frozen 'connection to s1 is lost: nothing came for [0-9]+ s' "one that is frozen"
on_host s1 sh -c 'pkill -KILL -f "[s]shd: root"'
wait_there cat
on_host s1 pkill -TERM -x cat
gives_up cat 'it ended on s1 with status 5' "a script that is ended"
on_host s1 mkfifo /root/fifo
head -c 20000000 /dev/zero >"$W/big"
fails ETIMEDOUT "the copy: s1 takes nothing more within 1 s" "a copy that stalls" root@s1 copy "$W/big" /root/fifo 1

done_testing
