#!/bin/bash
# test-answers.sh - crsio without a screen: what it writes, what it leaves, what it says.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program crsio rsiod

cfg=$W/rscltcfg
crsio() { timeout 20 "$BUILD/crsio" -c "$cfg" "$@"; }
answers() { cat >"$W/answers" && chmod 600 "$W/answers"; }
said() { crsio --answers "$W/answers" "$@" 2>&1 || true; }
# SECTION KEY VALUE a line, without what means nothing.
meaning()
{
	awk '/^[ \t]*([#;]|$)/ { next }
	     /^[ \t]*\[/ { sub(/^[ \t]*\[[ \t]*/, ""); sub(/[ \t]*\].*/, ""); section = $0; print "[" section "]"; next }
	     { key = $0; sub(/[ \t]*=.*/, "", key); value = $0; sub(/^[^=]*=[ \t]*/, "", value)
	       print section "/" key "=" value }' "$1" | sort
}

# The lab's configuration.
answers <<'END'
# The ways to the storage.
[interface if0]
address = 192.168.45.20
[interface if1]
address = 192.168.46.20

[namespace osl]
  namespaceid = 200	; as on the servers
  nodename = big-2
  nodekey = 0xbig-2
[server big-9-1]
address=192.168.45.10
[server big-9-2]
address=192.168.46.10

[defaults]
protocol = tcp
port = 5000
END
out=$(said --dry-run)
like "$out" '^\+address +. 192.168.46.10$' "a dry run shows the difference"
check_fails 1 "and makes no file" test -e "$cfg"
out=$(said --print)
like "$out" '^nodekey +. \(hidden\)$' "the print has no key"
check_fails 1 "nor makes it a file" test -e "$cfg"
out=$(said --check)
like "$out" "^$cfg: good, [0-9]+ warnings: 2 interfaces, 1 namespace, 2 portals$" "the check says what it is"
like "$out" "^crsio: $W/answers:10: warning: .namespace osl. nodekey: the key can be guessed" "and what is weak, by the answer's line"
check_fails 1 "nor does the check" test -e "$cfg"
out=$(said)
like "$out" "^$cfg: made$" "the file is made"
like "$out" '^\+nodekey +. \(hidden\)$' "its difference has no key"
check_fails 1 "none of all that has one" grep -q 0xbig-2 <<<"$out"
is "$(meaning "$cfg")" "$(meaning "$TOP/tests/samples/rscltcfg")" "it means what the sample means"
is "$(stat -c %a "$cfg")" 600 "it is private"
check "rsiod takes it" "$BUILD/rsiod" --check -c "$cfg"
cp "$cfg" "$W/first"
like "$(said)" "^$cfg: nothing to change$" "the same answers again change nothing"
check "not a byte" cmp "$cfg" "$W/first"
check_fails 1 "and make no backup" test -e "$cfg.bak-1"

# A file made by hand, with what nobody knows.
cat >"$cfg" <<'END'
; storage, rack 3			(do not touch)
[interface   if0]   # left
	address=192.168.45.20
[defaults]
detect= 3s	; was 2
#port = 1
bandwith = full

[namespace osl]
	namespaceid=200
	nodename =   big-2
	nodekey=9f8a3c17d40be265718cfa9034be5d12c6e70b9d8f41a35627d0931eb8c4fa6e
[server big-9-1]
address = 192.168.45.10
[tuning]
knob = 11
END
cp "$cfg" "$W/by-hand"
answers <<<$'[defaults]\ndetect = 4s'
out=$(said)
like "$out" "^crsio: $cfg:.* warning: .defaults. bandwith: unknown key: it stays" "an unknown key is warned of"
like "$out" "^crsio: $cfg:.* warning: .tuning. unknown section: it stays" "and an unknown section"
like "$out" "^$cfg: changed; what it was is $cfg.bak-1$" "it is changed"
is "$(diff "$W/by-hand" "$cfg" | grep '^[<>]')" $'< detect= 3s\t; was 2\n> detect= 4s\t; was 2' "in that line only"
check "the backup is what it was" cmp "$cfg.bak-1" "$W/by-hand"
answers <<<$'[defaults]\ndetect =\n[namespace osl]\n[server big-9-1]\nport = 6000\n[interface if0]\nremove = yes\n[interface if9]\nremove = yes'
check "keys and sections are taken away" crsio --answers "$W/answers"
is "$(diff "$W/by-hand" "$cfg" | grep '^[<>]')" \
	$'< [interface   if0]   # left\n< \taddress=192.168.45.20\n< detect= 3s\t; was 2\n> port    = 6000' "and nothing else"
check "the answers can come by a pipe" crsio --answers - --dry-run < <(cat "$W/answers")

# A new namespace: this host's name is its node's.
answers <<<$'[namespace two]\nnamespaceid = 201\nnodekey = other\n[server s]\naddress = 10.0.0.1'
check "a namespace is added" crsio --answers "$W/answers"
check "its node name is known" grep -q '^	nodename *= *[A-Za-z0-9]' <(sed -n '/namespace two/,$p' "$cfg")

# What is recorded does the same again.
cp "$W/by-hand" "$cfg"
answers <<<$'[server big-9-1]\nremove=yes\n[namespace osl]\nnodename = x\nnodekey = first-key\n[server new]\naddress = 10.0.0.1'
out=$(said --record "$W/record")
like "$out" "stands above the first .namespace." "a server without a namespace is refused"
check_fails 1 "nothing is recorded of what was not good" test -e "$W/record"
answers <<<$'[namespace osl]\nnodename = x\nnodekey = first-key\n[server new]\naddress = 10.0.0.1\n[server big-9-1]\nremove = yes'
check "good answers are recorded" crsio --answers "$W/answers" --record "$W/record"
check_fails 1 "without the key" grep -q first-key "$W/record"
is "$(stat -c %a "$W/record")" 600 "for nobody else"
cp "$cfg" "$W/first"
cp "$W/by-hand" "$cfg"
sed -i 's/^	nodekey=.*/	nodekey=first-key/' "$cfg"
check "the record can be given again" crsio --answers "$W/record"
check "and makes the same file" cmp "$cfg" "$W/first"
check_fails 1 "a file that is there is not recorded to" crsio --answers "$W/answers" --record "$W/record"

# Changed by somebody else in between.
cp "$W/by-hand" "$cfg"
mkfifo "$W/pipe"
timeout 60 "$BUILD/crsio" -c "$cfg" --answers - <"$W/pipe" >"$W/out" 2>&1 &
pid=$!
cleanup_fn end_process "$pid"
exec {to}>"$W/pipe"
# More than a pipe holds: when it is through, the answers are being read, and the file was.
head -c 300000 /dev/zero | tr '\0' '\n' >&$to
sed -i 's/rack 3/rack 4/' "$cfg"
cp "$cfg" "$W/theirs"
echo $'[defaults]\ndetect = 9s' >&$to
exec {to}>&-
wait "$pid" && status=0 || status=$?
is "$status" 1 "a file that was changed meanwhile is not written over"
like "$(cat "$W/out")" "$cfg was changed by somebody else meanwhile" "it is said"
check "what they wrote is there" cmp "$cfg" "$W/theirs"

# No screen to ask on.
check_fails 2 "without a terminal and answers it ends" crsio </dev/null
like "$(crsio </dev/null 2>&1 || true)" "--answers FILE" "naming the option"
check_fails 2 "--record writes, --dry-run does not" crsio --answers "$W/answers" --dry-run --record "$W/r"
check_fails 1 "there is nothing to check without a file" crsio -c "$W/none" --check

done_testing
