#!/bin/bash
# This host's client gets a server and loses it: its file, its rsiod, the volumes in its tree.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_program rssrv rsiod tests/tools/client_change
requires_fuse

one=$W/one two=$W/two clt=$W/clt
write_server_conf "$one" portals=2 server=one serverid=1
write_server_conf "$two" server=two serverid=2 address=127.0.0.2
make_volume "$one" alpha 1M
make_volume "$one" beta 1M
make_volume "$two" gamma 1M
start_server "$one"
start_server "$two"
mkdir -p "$clt/run"
cfg=$clt/rscltcfg
portals() { awk '{ printf "%s-%d=%s/%s\n", $3, NR, $4, $5 }' "$1/portals"; }
change() {	# COMMAND NAMESPACE KEY PORTAL...
	"$BUILD/tests/tools/client_change" "$1" "$cfg" "$clt/run" "${@:2}" 2>&1
}
mapfile -t first < <(portals "$one")
mapfile -t second < <(portals "$two")

# No file and no daemon yet.
like "$(change defaults osl)" '^osl known=0 id=[0-9]+ node=[A-Za-z0-9_-]+ key=$' "without a file this host's name, and a free number"
sed -i 's/^namespaceid.*/namespaceid = 4711/' "$one/rssrvcfg" "$two/rssrvcfg"
out=$(change join osl "$TEST_KEY" "${first[@]}") && bail "it should say that rsiod does not run"
like "$out" '^\+nodekey +. \(hidden\)$' "the difference hides the key"
check_fails 1 "and has it nowhere else" grep -q "$TEST_KEY" <<<"$out"
like "$out" "rsiod does not run here" "without rsiod it says so"
like "$out" "'rsiod -c $cfg --run-dir $clt/run' starts it" "with the command that starts it"
is "$(stat -c %a "$cfg")" 600 "the new file is private"
check "and good" "$BUILD/rsiod" --check -c "$cfg"
id=$(awk '$1 == "namespaceid" { print $3 }' "$cfg")

# The same number on the servers, and a daemon.
stop_server "$one"
stop_server "$two"
sed -i "s/^namespaceid.*/namespaceid = $id/" "$one/rssrvcfg" "$two/rssrvcfg"
start_server "$one"
start_server "$two"
start_client "$clt"
like "$(change defaults '')" "^osl known=1 id=$id node=node1 key=$TEST_KEY\$" "then what the file has"
is "$(change join osl '' "${first[@]}")" "2 volumes, 2 paths, $clt/mnt" "what is there already changes nothing"
is "$(ls "$clt")" "$(printf 'mnt\nrscltcfg\nrsiod.out\nrun')" "and leaves no backup"

# A second server, by hand-written lines.
{ echo '# my own words'; cat "$cfg"; } >"$W/by-hand"
cat "$W/by-hand" >"$cfg"
out=$(change join osl '' "${second[@]}")
like "$out" "^1 volumes, 1 paths, $clt/mnt\$" "another server's volumes come into the tree"
check "as files" cmp -n 4096 "$clt/mnt/osl/gamma" /dev/zero
check "the first one's stay" test -e "$clt/mnt/osl/alpha"
is "$(diff "$W/by-hand" "$cfg" | grep -c '^<')" 0 "nothing is taken from the file"
check "what was there is kept" cmp "$W/by-hand" "$cfg.bak-1"
is "$(stat -c %a "$cfg.bak-1")" 600 "as private as it was"

# Eight at once, each with a server of its own.
cp "$cfg" "$W/before"
for i in 1 2 3 4 5 6 7 8; do
	change join osl '' "more-$i=127.0.1.$i/${second[0]##*/}" >"$W/out-$i" &
	pids[i]=$!
done
for i in 1 2 3 4 5 6 7 8; do
	wait "${pids[i]}" || true	# nobody listens there
done
is "$(grep -c '^\[server more-' "$cfg")" 8 "eight at once all get into the file"
check "which is good" "$BUILD/rsiod" --check -c "$cfg"
like "$(cat "$W/out-3")" 'no volumes of namespace osl after 5 s: 127.0.1.3/[0-9]+: .*refused' "a server that does not answer: what rsiod says of it"
is "$(find "$clt" -name 'rscltcfg*' | wc -l)" 4 "three backups, and nothing else"

# Leaving.
for i in 1 2 3 4 5 6 7 8; do
	change leave osl '' "more-$i=127.0.1.$i/${second[0]##*/}" >"$W/out" || bail "a server leaves: $(cat "$W/out")"
done
check "what came and went left nothing" cmp "$W/before" "$cfg"
check "the second server leaves" change leave osl '' "${second[@]}"
check "its volumes go" wait_for 10 test ! -e "$clt/mnt/osl/gamma"
check "and the file is as it was" cmp "$W/by-hand" "$cfg"
out=$(change leave osl '' "${first[@]}") && bail "the last one should not leave"
like "$out" 'osl is the only namespace' "the only namespace stays"
like "$out" 'rsconfig -m stop' "with what to do instead"
check "and the file as well" cmp "$W/by-hand" "$cfg"

# A full and a read-only file system.
if [ "$(id -u)" = 0 ]; then
	mkdir "$W/small"
	mount -t tmpfs -o size=8k tmpfs "$W/small"
	cleanup_fn umount "$W/small"
	cp "$cfg" "$W/small/cfg"
	head -c 4096 /dev/zero >"$W/small/rest"
	out=$("$BUILD/tests/tools/client_change" join "$W/small/cfg" "$clt/run" osl '' "${second[@]}" 2>&1) && bail "a full disk should be said"
	like "$out" "cannot write $W/small/cfg.new: No space left on device" "a full disk"
	mount -o remount,ro "$W/small"
	out=$("$BUILD/tests/tools/client_change" join "$W/small/cfg" "$clt/run" osl '' "${second[@]}" 2>&1) && bail "a read-only one should be said"
	like "$out" "cannot make $W/small/cfg.new: Read-only file system" "a read-only file system"
	check "leaves the file" cmp "$cfg" "$W/small/cfg"
	is "$(ls "$W/small")" "$(printf 'cfg\nrest')" "and nothing else"
fi

out=$(change join lab '' "${second[@]}") && bail "a namespace without a key should not be made"
like "$out" 'has no node key yet' "a namespace is not made without a key"
printf '[namespac lab]\n' >>"$cfg"
out=$(change join osl '' "${second[@]}") && bail "a file with mistakes should not be saved"
like "$out" 'rscltcfg:[0-9]+: \[namespac\] unknown section .did you mean namespace' "a file with a mistake is left alone, and it is said which"
done_testing
