#!/bin/bash
# At a terminal, to a host that nobody knows, with a password and sudo: what is asked for is asked once, and
# neither the password nor the key is in any command, environment, log or on the screen, here or there.
# shellcheck source=tests/deploy/deploy.sh
. "$(dirname "$0")/deploy.sh"
requires_cmd strace

hosts_start 1
host_add s1
print=$(host_fingerprint s1)
before=$(tree s1)
rm "$HOME/.ssh/id_ed25519"

# Each command that is started, with its environment, here and by the host's sshd.
# What is traced cannot look for its leaks.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
watch=(strace -f -qq -v -s 1000000 -e 'trace=execve' -e 'signal=none')
sshd=$(pgrep -o -f '^sshd: /usr/sbin/sshd' --ns "${host_pid[s1]}" --nslist pid)
start_daemon "strace:$W" "$W/strace.out" "grep -q '^TracerPid:.*[1-9]' /proc/$sshd/status" \
	"${watch[@]}" -o "$W/there" -p "$sshd"

typed()		# COMMAND [OPTIONS]: with what is in $W/answers
{
	ws "${watch[@]}" -o "$W/here" python3 "$TESTS_DIR/deploy/terminal.py" "$W/answers" \
		"$BUILD/rsagent" "$1" admin@s1 --config "$clt/rscltcfg" --run-dir "$clt/run" --yes "${@:2}" 2>&1 </dev/null |
		tr -d '\r'
}

secret_in()	# SECRET FILE...: the files that have it
{
	grep -laF -- "$@" 2>/dev/null || true
}

printf 'no\n' >"$W/answers"
out=$(typed deploy --namespace lab --no-start || true)
like "$out" "ED25519 key fingerprint is ${print//+/.}" "an unknown host is shown"
like "$out" "was not confirmed" "and left alone when the user does not know it"

printf '%s\n' "$print" "$HOST_PASSWORD" >"$W/answers"
out=$(typed deploy --namespace lab --no-start) || true
like "$out" 'serves over 1 path' "with its fingerprint typed and a password it becomes a server"
is "$(grep -c 'assword' <<<"$out")" 1 "which is asked for once, for the login and sudo"
check "the host is known from now on" ssh-keygen -F "$(host_addr s1)" -f "$HOME/.ssh/known_hosts"
key=$(awk '$1 == "nodekey" { print $3 }' "$clt/rscltcfg")
is "${#key}" 64 "there is a key"

check "sudo was seen to start" grep -q '"sudo", "-k", "-S"' "$W/there"
check "and rssrv" grep -q 'rssrv[.0-9]*", "--steps"' "$W/there"
check "rsagent too" grep -q '"deploy", "admin@s1"' "$W/here"
for secret in "$HOST_PASSWORD" "$key"; do
	is "$(secret_in "$secret" "$W/there" "$W/here")" "" "a secret is in no command and no environment"
	is "$(secret_in "$secret" -r "$W/hosts/s1/upper/var/log" "$W/hosts/s1/run" "$W/hosts/s1/tmp" "$W/hosts/s1/upper/root" \
		"$W/hosts/s1/upper/home")" "" "in no log and no history there"
	check_fails 1 "and not on the screen" grep -qF "$secret" <<<"$out"
done

printf '%s\n' wrong "$HOST_PASSWORD" >"$W/answers"
out=$(typed undeploy) || true
is "$(grep -c 'assword' <<<"$out")" 2 "undeploying asks once, and once more after a wrong password"
like "$out" "Not that one\. .*assword" "which it says"
same_tree s1 "$before" "and leaves nothing"

done_testing
