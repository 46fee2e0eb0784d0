#!/bin/bash
# Whose key is that: the host's, which is known, unknown, changed or given by its fingerprint; and the
# user's, in a file, in the agent, with a passphrase.  As the user's ssh configuration says.

# shellcheck source=tests/deploy/logins.sh
. "$(dirname "$0")/logins.sh"
requires_cmd ssh-agent ssh-add

hosts_start 1
host_add s1
known=$HOME/.ssh/known_hosts addr=$(host_addr s1) print=$(host_fingerprint s1)
shown=${print//+/.}	# as a regular expression

# The host's key.
fails ENOKEY "key of $addr is not known yet: it shows ED25519 $shown next: .*--fingerprint $shown" \
	"an unknown host, and nobody to ask" root@s1 who
fails EKEYREJECTED "shows the ED25519 key $shown, not SHA256:AAAA as was given" "another fingerprint than the given one" \
	--fingerprint SHA256:AAAA root@s1 who
fails EINVAL "12:34:56 is not a fingerprint" "what is no fingerprint" --fingerprint 12:34:56 root@s1 who
login --confirm no root@s1 who </dev/null || true
like "$said" ECANCELED "the user says no"
like "$said" "^unknown: $addr \($addr\) ED25519 $shown\$" "to the fingerprint as ssh-keygen prints it"
check_fails 1 "nothing was written" test -e "$known"
logs_in "^unknown: .*$shown" "the user says yes" --confirm yes root@s1 who
check "the file is as OpenSSH has it" ssh-keygen -F "$addr" -f "$known"
is "$(ws ssh -F "$HOME/.ssh/config" -o UserKnownHostsFile="$known" -o StrictHostKeyChecking=yes -o BatchMode=yes \
	-i "$HOME/.ssh/id_ed25519" root@s1 hostname </dev/null)" s1 "and OpenSSH knows the host by it"
logs_in "^root@s1 $shown $addr 10.66.0.254\$" "then it is known" root@s1 who
ssh-keygen -q -H -f "$known" >/dev/null 2>&1
logs_in "^root@s1 $shown" "with hashed names too" root@s1 who
rm -f "$known" "$known.old"
logs_in "^root@s1" "the given fingerprint makes it known" --fingerprint "$print" root@s1 who
logs_in "^root@s1" "from then on" root@s1 who
host_sshd s1 'Port 2222' 'Port 22'
fails ENOKEY "key of \[$addr\]:2222 is not" "another port is another host" root@s1:2222 who
logs_in "^root@s1" "and is known as such" --fingerprint "$print" root@s1:2222 who
check "in OpenSSH's words" grep -qF "[$addr]:2222 ssh-ed25519 " "$known"

old=$(cat "$known")
ssh-keygen -q -t ed25519 -N '' -f "$W/other"
echo "$addr $(cut -d' ' -f1,2 "$W/other.pub")" >"$known"
fails EKEYREJECTED "key of $addr has changed: it shows ED25519 $shown, and $known, line 1, has another .*ssh-keygen -f '$known' -R '$addr'" \
	"a key that changed" --confirm yes root@s1 who
fails EKEYREJECTED "has changed" "whatever fingerprint is given" --fingerprint "$print" root@s1 who
ssh-keygen -q -R "$addr" -f "$known" >/dev/null 2>&1
logs_in "^unknown: .*$shown" "the command that it names mends it" --confirm yes root@s1 who
printf '@revoked * %s\n%s\n' "$(host_key s1)" "$old" >"$known"
fails EKEYREJECTED "key that $addr shows, $shown, is revoked by $known, line 1" "a key that is revoked" root@s1 who
ssh-keygen -q -t ecdsa -N '' -f "$W/ecdsa"
echo "$addr $(cut -d' ' -f1,2 "$W/ecdsa.pub")" >"$known"
fails EKEYREJECTED "shows a key of another kind.*has ECDSA" "a key of another kind" --confirm yes root@s1 who
printf '%s' "$(grep -v 2222 <<<"$old")" >"$known"
logs_in "^root@s1" "a last line without its end" --fingerprint "$print" root@s1:2222 who
check "does not run into what is added" ssh-keygen -F "[$addr]:2222" -f "$known"

# The user's key.
mv "$HOME/.ssh/id_ed25519" "$W/key"
fails EACCES "root@s1 is refused: s1 takes a key, a password; there was nothing to try next: .*ssh-copy-id root@s1" "no key at all" \
	root@s1 who
fails ENOENT "cannot read the key /no/key: No such file" "a key's file that is not there" --identity /no/key root@s1 who
fails EACCES "root@s1 is refused: .*tried: $W/other" "a key that the host does not know" --identity "$W/other" root@s1 who
logs_in "^root@s1" "the right one" --identity "$W/key" root@s1 who
chmod 644 "$W/key"
fails EACCES "$W/key can be read by others next: chmod 600 $W/key" "a key that others may read" --identity "$W/key" root@s1 who
chmod 600 "$W/key"
echo nonsense >"$W/nonsense" && chmod 600 "$W/nonsense"
fails EACCES "tried: $W/nonsense, which could not be read" "a file that is no key" --identity "$W/nonsense" root@s1 who

cp "$W/key" "$W/locked" && ssh-keygen -q -p -N 'open sesame' -f "$W/locked" >/dev/null
printf 'wrong\nopen sesame\n' >"$W/answers"
logs_in "asked: Passphrase for $W/locked: " "a passphrase, at the second attempt" --answers "$W/answers" --identity "$W/locked" root@s1 who
is "$(grep -c '^asked' <<<"$said")" 2 "and not asked for again"
fails EACCES "tried: $W/locked, which could not be read" "a passphrase, and nobody to ask" --identity "$W/locked" root@s1 who
cp "$W/other" "$W/locked2" && ssh-keygen -q -p -N x -f "$W/locked2" >/dev/null
cp "$W/other.pub" "$W/locked2.pub"
host_sshd s1 'PasswordAuthentication no' 'KbdInteractiveAuthentication no'
fails EACCES "s1 takes a key; tried: $W/locked2" "none is asked for when the host does not know the key" \
	--answers "$W/answers" --identity "$W/locked2" root@s1 who
is "$(grep -c '^asked: Pass' <<<"$said")" 0 "as its public part says"
host_sshd s1 'Port 2222' 'Port 22'

# The agent.
start_agent()	# prints its socket
{
	setsid ssh-agent -D -a "$W/agent" >/dev/null 2>&1 &
	cleanup_fn end_process $!
	wait_for 10 test -S "$W/agent"
	export SSH_AUTH_SOCK=$W/agent
}
start_agent
ssh-add -q "$W/key"
logs_in "^root@s1" "the agent has the key" root@s1 who
ssh-add -q -D
for i in 1 2 3 4 5 6 7; do
	ssh-keygen -q -t ed25519 -N '' -f "$W/many$i"
	ssh-add -q "$W/many$i"
done
fails EACCES "root@s1 is refused after too many attempts; tried: the agent's keys.*IdentitiesOnly" "an agent with too many keys" --connect 300 root@s1 who
logs_in "^root@s1" "does not come before a key that was named" --identity "$W/key" root@s1 who
ssh-add -q "$W/key"
logs_in "^root@s1" "and is asked for that one first, so that no passphrase is needed" --identity "$W/locked" root@s1 who
printf 'Host s1\n\tHostName %s\n\tIdentityFile %s\n\tIdentitiesOnly yes\n' "$addr" "$W/locked" >"$HOME/.ssh/config"
logs_in "^root@s1" "nor where the configuration says which of its keys count" root@s1 who
python3 -c '
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(8)
time.sleep(1000)' "$W/dead" >/dev/null 2>&1 &
cleanup_fn end_process $!
wait_for 10 test -S "$W/dead"
SSH_AUTH_SOCK=$W/dead fails EACCES "tried: the agent, which does not answer" "an agent that does not answer" root@s1 who
unset SSH_AUTH_SOCK

# The configuration, under HOME.
mkdir "$HOME/.ssh/more" "$HOME/keys"
cp "$W/key" "$HOME/keys/k1"
cat >"$HOME/.ssh/config" <<END
Include more/*
Match exec "touch $W/executed"
	User nobody
Match host s1
	User root
Host *
	IdentityFile ~/.ssh/none
END
cat >"$HOME/.ssh/more/one" <<END
Host !s2 s1 web*
	HostName $addr
	Port=2222
	IdentityFile "%d/keys/k1"
END
logs_in "^root@s1 $shown $addr" "name, port, user and key as the configuration says" s1 who
check_fails 1 "which runs nothing" test -e "$W/executed"
logs_in "^plain@s1" "the command line is first" plain@s1:22 who
sed -i 's/IdentityFile.*/HostKeyAlias the-store/' "$HOME/.ssh/more/one"
fails ENOKEY "key of the-store is not known" "a host key's alias" --identity "$W/key" s1 who
echo "the-store $(host_key s1)" >>"$known"
logs_in "^root@s1" "that is known" --identity "$W/key" s1 who

done_testing
