#!/bin/bash
# rsagent key: where keys come from and go to, and what stays as it was.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program rsagent rssrv rsiod
requires_cmd python3

agent() { "$BUILD/rsagent" key "$@"; }
mkdir "$W/etc"
srv=$W/etc/rssrvcfg clt=$W/etc/rscltcfg
cp "$TESTS_DIR/samples/rssrvcfg" "$srv"
cp "$TESTS_DIR/samples/rscltcfg" "$clt"
chmod 640 "$srv" "$clt"
refused() {	# STATUS REGEX NAME OPTION...: says so, and both files are as they were
	local status=0 out expected=$1 regex=$2 name=$3
	shift 3
	cat "$srv" "$clt" >"$W/before"
	out=$(agent "$@" 2>&1 </dev/null) || status=$?
	is "$status" "$expected" "$name"
	like "$out" "$regex" "and says why"
	cat "$srv" "$clt" >"$W/after"
	check "and nothing changes" cmp "$W/before" "$W/after"
}
keys_of() { awk -v n="$1" '$1 == n { print $2 }' "$srv"; }

a=$(agent) b=$(agent)
like "$a" '^[0-9a-f]{64}$' "a key is 64 hexadecimal digits"
check_fails 1 "and never the same" test "$a" = "$b"

out=$(agent --server "$srv" --node venus --replace --client "$clt" --namespace osl)
key=$(keys_of venus)
like "$key" '^[0-9a-f]{64}$' "a client of the server gets one"
check "the client's file the same" grep -q "^nodekey       = $key\$" "$clt"
check_fails 1 "it is not shown" grep -q "$key" <<<"$out"
is "$(diff "$TESTS_DIR/samples/rssrvcfg" "$srv" | grep -c '^[<>]')" 2 "nothing else changes"
is "$(diff "$TESTS_DIR/samples/rscltcfg" "$clt" | grep -c '^[<>]')" 2 "in either file"
is "$(stat -c %a "$srv" "$clt" | tr '\n' ' ')" "640 640 " "they keep their mode"
out=$("$BUILD/rssrv" --check -c "$srv" 2>&1)
like "$out" 'big-2: the key can be guessed' "--check warns of the samples' keys"
check_fails 1 "but not of this one" grep -q venus <<<"$out"
is "$(ls -A "$W/etc")" "$(printf 'rscltcfg\nrssrvcfg')" "no other file is left"

printf '%s\n' "$a" >"$W/key"
check "a key from a file, beside the one that is there" agent --from "$W/key" --server "$srv" --node venus --second
is "$(keys_of venus | tr '\n' ' ')" "$key $a " "is the second"
refused 1 'two keys already' "a third is refused" --server "$srv" --node venus --second
check "the first one goes" agent --drop-first --server "$srv" --node venus
is "$(keys_of venus)" "$a" "the second one stays"
refused 1 'one key only' "the last one does not go" --drop-first --server "$srv" --node venus
agent --from - --server "$srv" --node newcomer <<<"$b" >"$W/out"
is "$(keys_of newcomer)" "$b" "a new client's, from standard input"
printf '# the end, without a newline' >>"$srv"
agent --server "$srv" --node last >"$W/out"
is "$(keys_of last | wc -l)" 1 "a comment at the end is no obstacle"
check "the file is good" "$BUILD/rssrv" --check -c "$srv"
ln -s etc/rssrvcfg "$W/link"
check "by way of a link" agent --server "$W/link" --node venus --replace
check "which stays one" test -L "$W/link"
check_fails 1 "its file has the new key" test "$(keys_of venus)" = "$a"

refused 1 'has a key already' "a key is not replaced by mistake" --server "$srv" --node venus
refused 1 'no \[namespace\]' "an unknown namespace" --client "$clt" --namespace lab
printf 'two words\n' >"$W/bad"
refused 1 'it was left as it was' "what is no key" --from "$W/bad" --client "$clt" --namespace osl
printf '%0200d\n' 0 >"$W/bad"
refused 1 'at most 150' "what is too long" --from "$W/bad" --client "$clt" --namespace osl
chmod 644 "$clt"
refused 1 'can be read by everybody' "a file that everybody reads gets no key" --client "$clt" --namespace osl
chmod 640 "$clt"
refused 1 'No such file' "no file" --client "$W/none" --namespace osl
refused 2 'never typed on a command line' "a key on the command line" "$a"
out=$(agent "$a" 2>&1) || true
check_fails 1 "is not repeated" grep -q "$a" <<<"$out"
refused 2 'go together' "half of a place" --server "$srv"
refused 2 'exclude' "two ways at once" --from - --ask --client "$clt" --namespace osl

# At a terminal.
cat >"$W/ask.py" <<'EOF'
import os, pty, sys
pid, fd = pty.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:2] + sys.argv[3:])
seen = b""
for line in sys.argv[2].split(","):
    while not seen.endswith(b": "):
        seen += os.read(fd, 1000)
    os.write(fd, line.encode().replace(b"^C", b"\3") + b"\n")
    seen += b"|"
try:
    while True:
        more = os.read(fd, 1000)
        if not more:
            break
        seen += more
except OSError:
    pass
print(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
ask() { python3 "$W/ask.py" "$BUILD/rsagent" "$1" key --ask --server "$srv" --node typed --replace; }
out=$(ask typed-Secret1,typed-Secret1) && status=0 || status=$?
is "$status" 0 "a key can be typed"
is "$(keys_of typed)" typed-Secret1 "and is taken"
check_fails 1 "without being shown" grep -q Secret1 <<<"$out"
check_fails 1 "twice the same, or not at all" ask other-Secret1,other-Secret2
check_fails 1 "^C ends it" ask '^C'
is "$(keys_of typed)" typed-Secret1 "and leaves it as it was"
done_testing
