#!/bin/bash
# rsagent's file of hosts and the words that mean hosts, without any host; its help, and the
# completion of its commands, options and hosts.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program rsagent
requires_cmd jq

agent() { "$BUILD/rsagent" "$@"; }
is "$(agent hosts --names)" "" "no file: no hosts"
mkdir -p "$HOME/.config/rsio"
cat >"$HOME/.config/rsio/hosts" <<'END'
# ours
[host storage1]
address = 10.1.0.11
user = root
port = 2222
role = storage, oslo
identity = ~/.ssh/storage
namespace = osl
[host storage2]
role = storage
fingerprint = SHA256:abc
END
is "$(agent hosts --names | sort -u | tr '\n' ' ')" "@all @oslo @storage storage1 storage2 " "names and roles"
is "$(agent hosts --json | jq -c '.hosts[0]')" '{"host":"storage1","address":"10.1.0.11","user":"root","port":2222,"identity":"~/.ssh/storage","fingerprint":null,"namespace":"osl","roles":["storage","oslo"]}' "all of one"
like "$(agent hosts)" '^storage1 +root@10.1.0.11:2222 +osl +storage oslo$' "as a table"

printf '[host a]\nrole = all\nrole = x\nadress = b\n[host a]\n[hst b]\nport = 0\n[host c]\nport = 70000\nrole = a..b -c\n' >"$W/bad"
out=$(agent hosts --hosts "$W/bad" 2>&1) && status=0 || status=$?
is "$status" 1 "a file with mistakes"
for what in 'bad:2: .*every host has the role all' 'bad:3: .*already set in line 2' 'bad:4: .*did you mean address' \
	'bad:5: .*same section as in line 1' 'bad:6: .*did you mean host' 'bad:9: .*from 1 to 65535' 'bad:10: .*list of names'; do
	like "$out" "$what" "says $what"
done
check_fails 1 "a file that there is not" agent hosts --hosts "$W/none"

# Words: what is wrong is said before anything is done.
for word in 'a b' 'root@' '@' '-oProxyCommand=x' "a;b" 'h:0' 'h:70000' 'h:x' '[::1' '[::1]x' '' "$(printf '%0300d' 0)" 'root@-x' \
	'@nobody'; do
	out=$(agent status -- "$word" 2>&1) && status=0 || status=$?
	like "$status $out" "^[12] .*(is not a host|has the role)" "no host: '${word:0:20}'"
done
out=$(agent status --fingerprint SHA256:x storage1 storage2 2>&1) && status=0 || status=$?
is "$status" 2 "one fingerprint for two hosts"

# Commands.
check_fails 2 "no command" agent
like "$(agent staus 2>&1)" 'did you mean status' "a slip"
like "$(agent client 2>&1)" "half a command: there is 'client add'" "half a command"
like "$(agent --json status 2>&1)" "unknown option --json" "options come behind the command"
while read -r command; do
	read -ra words <<<"$command"
	like "$(agent "${words[@]}" --help)" "^Usage: rsagent $command " "$command --help"
	like "$(agent --help)" "^  $command  " "and it is in the help"
done < <(agent --commands)

# Completion.
agent --completion >"$W/completion"
PATH=$BUILD:$PATH
complete_words()	# WORD...: what may stand in the last one's place
{
	bash -c '. "$0"; COMP_WORDS=(rsagent "$@"); COMP_CWORD=$#; _rsagent; printf "%s " "${COMPREPLY[@]}"' "$W/completion" "$@"
}
is "$(complete_words sta)" "status " "a command"
is "$(complete_words client '')" "$(agent --commands | sed -n 's/^client //p' | tr '\n' ' ')$(agent hosts --names | tr '\n' ' ')" \
	"the second word of one"
is "$(complete_words status storage)" "storage1 storage2 " "a host"
is "$(complete_words key rotate @o)" "@oslo " "a role, behind two words"
is "$(complete_words log --aud)" "--audit " "an option of that command"
is "$(complete_words status --aud)" " " "not of another"
is "$(complete_words key rotate --wa)" "--wait " "nor of the first word alone"
: >"$W/keyfile"
is "$(complete_words status --identity "$W/keyf")" "$W/keyfile " "a file"
done_testing
