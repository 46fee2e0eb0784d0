#!/bin/bash
# test-json-members.sh - the members of whatever is printed as JSON: each is named
# with small letters, digits and underscores, so that jq's .name takes it, and stands
# in the page of the program that printed it.
# time-limit: 90
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsconfig rsvol rsbench rsclogcat rsslogcat

chmod 755 "$W"
rsconfig() { timeout -k 1 20 "$BUILD/rsconfig" --run-dir "$W/clt/run" "$@"; }

# Reads JSON, or a JSON object a line, and prints the names of all members in it, and
# numbers that jq would round.
cat >"$W/members.py" <<'END'
import json, sys

def walk(j, names):
    if isinstance(j, dict):
        names |= set(j)
    for v in j.values() if isinstance(j, dict) else j if isinstance(j, list) else []:
        walk(v, names)
    if isinstance(j, int) and abs(j) > 1 << 53:
        names.add("larger than many readers keep: %d" % j)

text, names, at = sys.stdin.read().strip(), set(), 0
while at < len(text):
    j, at = json.JSONDecoder().raw_decode(text, at)
    walk(j, names)
    at += len(text[at:]) - len(text[at:].lstrip())
print("\n".join(sorted(names)))
END

# Words that a page writes as literals or list entries, outside its examples.
documented()	# PAGE
{
	sed '/^\.Sh EXAMPLES/,/^\.Sh/d; s/\\(dq/ /g' "$TOP/man/$1" | grep -E '^\.(It )?(Li|Cm|Fl|Pq Li)' |
		grep -oE '[A-Za-z0-9_-]+' | sort -u
}

members_of()	# WHAT PAGE AT-LEAST COMMAND...
{
	local what=$1 page=$2 least=$3 names
	shift 3
	"$@" >"$W/json" 2>"$W/json.err" || true
	names=$(python3 "$W/members.py" <"$W/json" 2>&1) || true
	if [ "$(wc -w <<<"$names")" -lt "$least" ]; then
		not_ok "$what prints JSON with at least $least members"
		note "$names"
		note "$(cat "$W/json.err")"
		return
	fi
	is "$(grep -vxE '[a-z][a-z0-9_]*' <<<"$names" || true)" "" "$what: names of its members"
	is "$(comm -23 <(sort -u <<<"$names") <(documented "$page") | xargs)" "" "$what: all in man/$page"
}

make_volume "$W/srv" one 8M
make_volume "$W/srv" rcjson 8M
write_server_conf "$W/srv" server=big-9 client=sles1 client=bench
printf '\n[volume rcjson]\npath = %s\nclients = sles1\n' "$W/rcjson.raw" >>"$W/srv/rssrvcfg"
mv "$W/srv/pool/rcjson.raw" "$W/rcjson.raw"
write_client_conf "$W/clt" "$W/srv" node=sles1 address=127.0.0.1
# A portal where nobody listens: a path without a server.
printf '\n[server nobody]\naddress = 127.0.0.1\nport = %s\n' "$(free_port)" >>"$W/clt/rscltcfg"
write_client_conf "$W/bench" "$W/srv" node=bench
start_server "$W/srv"
start_client "$W/clt"
tree=$W/clt/mnt
all_there() { [ -e "$tree/osl/one" ] && [ -e "$tree/osl/rcjson" ]; }
check "the volumes are there" wait_for 5 all_there
dd if="$tree/osl/one" of=/dev/null bs=64k count=4 iflag=direct status=none

members_of "rssrv --status" rssrv.8 40 "$BUILD/rssrv" --status --run-dir "$W/srv/run"
members_of "rsconfig -q --json" rsconfig.8 40 rsconfig -q --json
members_of "rsconfig -m status --json" rsconfig.8 18 rsconfig -m status --json
members_of "rsconfig --discover --json" rsconfig.8 20 rsconfig --discover --json --port "$(sed -n "s/^port = //p" "$W/srv/rssrvcfg" | head -n 1)" 127.0.0.1
members_of "rsconfig -a --json osl:none" rsconfig.8 5 rsconfig -a --json osl:none
(
	trap - EXIT HUP INT TERM
	while [ ! -e "$W/enough" ] && dd if=/dev/zero of="$tree/osl/one" bs=4k count=100 conv=notrunc oflag=direct; do :; done
) 2>/dev/null &
load=$!
members_of "rsconfig -m drill --json" rsconfig.8 10 rsconfig -m drill if0/big-9-1 --for 0.3 --json
touch "$W/enough"
wait $load || true
if losetup -f >/dev/null 2>&1 && [ ! -e /dev/av0/rcjson ] && [ ! -L /dev/av0/rcjson ]; then
	members_of "rsconfig -a --json osl:rcjson" rsconfig.8 5 rsconfig -a --json osl:rcjson
	members_of "rsconfig -l --json" rsconfig.8 12 rsconfig -l --json
	members_of "rsconfig -d --json osl:rcjson" rsconfig.8 3 rsconfig -d --json osl:rcjson
else
	ok "attached devices # SKIP no loop device, or /dev/av0/rcjson is somebody else's"
fi

# What rsiod(8) has of its own, and for the rest refers to rsconfig(8).
cat "$tree/.rsio/status.json" >"$W/status.json"
members_of "the tree's status.json" rsiod.8 12 python3 -c 'import json, sys
s = json.load(open(sys.argv[1]))
del s["namespaces"][:], s["devices"][:]
print(json.dumps(s))' "$W/status.json"
for f in status servers paths volumes; do
	members_of "$f.json" rsconfig.8 9 cat "$tree/osl/.rsio/$f.json"
done

members_of "rsclogcat --json" rsclogcat.8 5 "$BUILD/rsclogcat" --json --run-dir "$W/clt/run"
members_of "rsslogcat --json" rsslogcat.8 5 "$BUILD/rsslogcat" --json --run-dir "$W/srv/run"
mkdir -p "$W/bench/run"
members_of "rsbench --json" rsbench.8 20 "$BUILD/rsbench" -c "$W/bench/rscltcfg" --run-dir "$W/bench/run" \
	--json --quiet --time 100ms osl:one

rsvol() { timeout 20 "$BUILD/rsvol" --run-dir "$W/clt/run" "$@" --json; }
members_of "rsvol create --json" rsvol.8 6 rsvol create osl:made 1M
members_of "rsvol snapshot --json" rsvol.8 7 rsvol snapshot osl:made@once
rsvol limit osl:made --iops 100 --mbps 5 >/dev/null
rsvol schedule osl:made --every 1h --keep 2 >/dev/null
rsvol access osl:made sles1 bench:ro >/dev/null
members_of "rsvol ls --json" rsvol.8 9 rsvol ls
members_of "rsvol info --json" rsvol.8 18 rsvol info osl:made
members_of "rsvol info --json of a snapshot" rsvol.8 9 rsvol info osl:made@once
members_of "rsvol snapshots --json" rsvol.8 4 rsvol snapshots osl:made
members_of "rsvol pool ls --json" rsvol.8 14 rsvol pool ls
members_of "rsvol limit --json" rsvol.8 3 rsvol limit osl:made
members_of "rsvol schedule --json" rsvol.8 3 rsvol schedule osl:made

done_testing
