#!/bin/bash
# test-answers-mistakes.sh - each mistake of an answers file is told with file, line and key, and nothing is written.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program crsio

cat >"$W/good" <<'END'
[interface if0]
address = 192.168.45.20
[namespace osl]
namespaceid = 200
nodename = big-2
nodekey = 9f8a3c17d40be265718cfa9034be5d12c6e70b9d8f41a35627d0931eb8c4fa6e
[server big-9-1]
address = 192.168.45.10
END
chmod 600 "$W/good"

mistake()	# LINE WHERE REASON: of the answers on standard input, laid over what is good
{
	local out status=0
	cat >"$W/answers"
	chmod "${mode:-600}" "$W/answers"
	cp "$W/good" "$W/rscltcfg"
	out=$(timeout 20 "$BUILD/crsio" -c "$W/rscltcfg" --answers "$W/answers" 2>&1) || status=$?
	out=$(grep -v ' warning: ' <<<"$out")
	if [ "$status" = 1 ] && [ "$out" = "crsio: $W/answers:${1:+$1:} ${2:+$2 }$3" ] &&
		cmp -s "$W/good" "$W/rscltcfg"; then
		ok "$2 $3"
	else
		not_ok "$2 $3"
		note "status $status, and it says: $out"
	fi
}

# The file.
mistake 1 '' "a line before the first section" <<<'port = 1'
mistake 1 '' "unknown section (did you mean defaults?)" <<<'[default]'
mistake 1 '' "a section's header ends with ']'" <<<'[defaults'
mistake 1 '' "nothing but a comment may follow a section's header" <<<'[defaults] port = 5'
mistake 3 '[defaults]' "a line here is KEY = VALUE, and this one has no '='" <<<$'[defaults]\n\nport 5'
mistake 2 '[defaults]' "what stands before '=' is not a key" <<<$'[defaults]\nthe port = 5'
mistake 2 '[defaults]' "the line is longer than 199 bytes" <<<"[defaults]"$'\n'"mount = /$(printf 'a%.0s' {1..200})"
mistake 2 '[defaults]' "a NUL byte; this is not a text file" < <(printf '[defaults]\npo\0rt = 1\n')
mistake 1 '[server x]' "stands above the first [namespace]; a server belongs to the namespace above it" <<<'[server x]'
mistake 3 '[interface if1]' "is the same section as in line 1" <<<$'[interface if1]\naddress = 10.0.0.1\n[ interface if1 ]'
mode=644 mistake '' '' "has a node key in it and can be read by others (mode 0644); chmod 600 mends it" \
	<<<$'[namespace osl]\nnodekey = secret'

# Keys.
mistake 2 '[defaults]' "prot: unknown key (did you mean port?)" <<<$'[defaults]\nprot = 5'
mistake 2 '[interface if0]' "nodekey: unknown key here; it belongs in [namespace]" <<<$'[interface if0]\nnodekey = 5'
mistake 3 '[defaults]' "port: is already set in line 2" <<<$'[defaults]\nport = 5\nport = 6'
mistake 2 '[interface if0]' "remove: is yes or no" <<<$'[interface if0]\nremove = perhaps'
mistake 2 '[interface if0]' "remove: stands alone: a section that is gone has no keys" \
	<<<$'[interface if0]\nremove = yes\nport = 5'

# Values, as the daemon would read them.
mistake 2 '[defaults]' "port: is not a number from 1 to 65535" <<<$'[defaults]\nport = 70000'
mistake 4 '[interface if0]' "address: is not an IPv4 or IPv6 address (a port has a key of its own)" \
	<<<$'# one\n# two\n[interface if0]\naddress = 192.168.45.20:5000'
mistake 1 "[interface -x]" "'-x' is not a name: 1..40 of A-Z a-z 0-9 . _ -, no leading . or -" \
	<<<$'[interface -x]\naddress = 10.0.0.1'
mistake 2 '[defaults]' "give-up: give-up 1s must be longer than detect 2s (not set here), unless on-loss = queue" \
	<<<$'[defaults]\ngive-up = 1s'
mistake 2 '[namespace osl]' "weight: there is no [interface if7]; there is if0" <<<$'[namespace osl]\nweight = if7=2'

# What a section lacks, by its line.
mistake 2 '[namespace two]' "nodekey: is missing (key)" \
	<<<$'\n[namespace two]\nnamespaceid = 201\n[server s]\naddress = 10.0.0.1'
mistake 2 '[server s]' "address: is missing (address or host name)" <<<$'[namespace osl]\n[server s]\nport = 6'
mistake 2 '[namespace two]' "namespaceid: is the id of [namespace osl] too" \
	<<<$'[namespace two]\nnamespaceid = 200\nnodekey = a-key-of-its-own\n[server s]\naddress = 10.0.0.1'
mistake 3 '[server s]' "address: is the address and port of [server big-9-1] too" \
	<<<$'[namespace osl]\n[server s]\naddress = 192.168.45.10'
mistake 1 '[volume olso:v]' "there is no [namespace olso] (did you mean osl?)" <<<$'[volume olso:v]\nattach = yes'

# All of one file, in its order.
printf '[defaults]\nport = x\nprot = 1\n[interface if0]\naddress = y\n' >"$W/answers"
is "$("$BUILD/crsio" -c "$W/rscltcfg" --answers "$W/answers" 2>&1 | cut -d: -f3 | tr '\n' ' ')" "2 3 5 " "all of them are told at once"
check_fails 1 "an answers file that is not there is said so" "$BUILD/crsio" -c "$W/rscltcfg" --answers "$W/none"

done_testing
