#!/bin/bash
# A client that is cut off while its server is killed and restarted, and the volume that it has open
# is cut there and grows again: what it had acknowledged behind the cut is gone, so what it has open
# gets errors and never reads zeroes, and who opens the volume anew sees what there is.
# time-limit: 90
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lab.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsvol

lab_two_networks
write_server_conf "$W/srv" address=10.99.0.1 address=10.99.1.1 client=node1 client=other
write_client_conf "$W/clt" "$W/srv" address=10.99.0.2 address=10.99.1.2
write_client_conf "$W/other" "$W/srv" node=other
printf '[defaults]\ndetect = 500ms\nretry = 100ms\ngive-up = 60s\n' >>"$W/clt/rscltcfg"
sed -i "/^\[pool main\]/a manage = other" "$W/srv/rssrvcfg"
make_volume "$W/srv" data 8M
make_volume "$W/srv" grown 8M
NETNS=$srv_ns start_server "$W/srv"
NETNS=$clt_ns start_client "$W/clt"
NETNS=$srv_ns start_client "$W/other"
rsvol() { timeout -k 1 60 "$BUILD/rsvol" --run-dir "$W/other/run" "$@" 2>&1; }
check "both networks carry a path" wait_for 10 paths_are "$W/clt" 2

# Writes behind what will be cut, has it on the disk, and looks at it whenever it is told to.
cat >"$W/holder.py" <<'EOT'
import os, sys
f = {n: os.open(os.path.join(sys.argv[1], n), os.O_RDWR) for n in ("data", "grown")}
for fd in f.values():
    for at in (0, 6 << 20):
        os.pwrite(fd, b"acknowledged!!! " * 256, at)
    os.fsync(fd)
print("written", flush=True)

def looks(fd, at):
    try:
        got = os.pread(fd, 4096, at)
    except OSError as e:
        return os.strerror(e.errno)
    return "zeroes" if got == bytes(4096) else "right" if got == b"acknowledged!!! " * 256 else "wrong"

for line in sys.stdin:
    name, at = line.split()
    print(looks(f[name], int(at)), flush=True)
EOT
coproc HOLDER { trap - EXIT; exec python3 "$W/holder.py" "$W/clt/mnt/osl"; }
cleanup_fn end_process "$HOLDER_PID"
read -rt 20 -u "${HOLDER[0]}" line || line="nothing"
is "$line" written "a client has it open, and what it wrote is acknowledged"
look() { echo "$1 $2" >&"${HOLDER[1]}"; read -rt 70 -u "${HOLDER[0]}" line || line="no answer"; echo "$line"; }
is "$(look data $((6 << 20)))" right "and can be read"
like "$(rsvol resize data 4M --confirm=data)" "node1" "it is not cut while it is open"

net_silent 0
net_silent 1
check "the client has no path any more" wait_for 20 paths_are "$W/clt" 0
kill_server "$W/srv"
NETNS=$srv_ns start_server "$W/srv"
is "$(wait_for 20 rsvol resize data 4M --confirm=data)" "osl:data: 4 MiB now" "after a restart of the server nobody has it open: it is cut"
is "$(rsvol resize data 8M)" "osl:data: 8 MiB now" "and grows again"
is "$(rsvol resize grown 16M)" "osl:grown: 16 MiB now" "another one only grows"
truth() { head -c 4096 "$W/$1/mnt/osl/data" | tr -d '\0' | wc -c; tail -c +$(((6 << 20) + 1)) "$W/$1/mnt/osl/data" | tr -d '\0' | wc -c; }
is "$(truth other | tr '\n' ' ')" "4096 0 " "what was in front is there, what was behind is gone"
net_heard 0
net_heard 1
check "the client is back" wait_for 30 paths_are "$W/clt" 2
is "$(look data $((6 << 20)))" "Stale file handle" "what it has open is refused, and reads no zeroes"
is "$(look data 0)" "Stale file handle" "nor anything else"
is "$(look grown $((6 << 20)))" right "the volume that only grew goes on"
is "$(truth clt | tr '\n' ' ')" "4096 0 " "who opens it anew sees what there is"
check "the log says why" grep -q 'ERROR.*volume data has other content on srv than before: who has it open gets errors' "$W/clt/rsiod.out"
check "of a client that did not have it open that is no error" \
	sh -c "grep -q 'volume data has other content on srv than before\$' $W/other/rsiod.out && ! grep -q 'ERROR.*other content' $W/other/rsiod.out"
end_process "$HOLDER_PID"
done_testing
