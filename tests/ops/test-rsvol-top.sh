#!/bin/bash
# test-rsvol-top.sh - rsvol top: what it shows was done, it fits a terminal, and it leaves the
# terminal as it was.
# shellcheck source=tests/functions.sh
. "$(dirname "$0")/../functions.sh"
requires_root
requires_fuse
requires_cmd python3
requires_program rssrv rsiod rsvol

write_server_conf "$W/srv"
volumes=$(printf 'v%02d ' $(seq 26))
for v in $volumes; do
	make_volume "$W/srv" "$v" 64K
done
make_volume "$W/srv" a-name-that-is-longer-than-its-column 64K
write_client_conf "$W/clt" "$W/srv"
start_server "$W/srv"
start_client "$W/clt"
mnt=$W/clt/mnt/osl
top() { timeout -k 1 30 "$BUILD/rsvol" top --run-dir "$W/clt/run" "$@"; }
all_there() { [ "$(find "$mnt" -maxdepth 1 -type f | wc -l)" = 27 ]; }
check "the volumes are there" wait_for 20 all_there

cat >"$W/load.py" <<'END'
import mmap, os, sys
fd, buf = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT), mmap.mmap(-1, 512)
for i in range(int(sys.argv[2])):
    os.preadv(fd, [buf], i % 128 * 512)
for i in range(int(sys.argv[3])):
    os.pwritev(fd, [buf], i % 128 * 512)
END

# Looks that cover a load add up to it.
cat >"$W/sum.py" <<'END'
import json, subprocess, sys
p = subprocess.Popen(sys.argv[1].split(), stdout=subprocess.PIPE, text=True)
decoder, text, looks = json.JSONDecoder(), "", []
def next_look():
    global text
    while True:
        try:
            look, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
            return look
        except ValueError:
            text += p.stdout.readline()
looks = [next_look()]
subprocess.run(sys.argv[2].split(), check=True)
looks += [next_look(), next_look(), next_look()]
p.terminate()
done = {}
for l in looks:
    for v in l["volumes"]:
        was = done.get(v["volume"], (0, 0, 0))
        done[v["volume"]] = (was[0] + v["read_iops"] * l["seconds"], was[1] + v["write_iops"] * l["seconds"],
                             was[2] + v["rate"] * l["seconds"])
        if (v["read_iops"] > 0) != (v["read_p50_us"] > 0) or v["read_p50_us"] > v["read_p99_us"]:
            print("percentiles:", v)
print({n: tuple(round(x) for x in d) for n, d in done.items()}, p.wait() in (0, -15))
END
is "$(python3 "$W/sum.py" "$BUILD/rsvol top --run-dir $W/clt/run --json --interval 0.3" \
	"python3 $W/load.py $mnt/v01 300 100")" "{'v01': (300, 100, 204800)} True" "what is shown adds up to what was done"

for v in $volumes a-name-that-is-longer-than-its-column; do
	python3 "$W/load.py" "$mnt/$v" 1 1
done
top --once --interval 0.1 >"$W/once"
like "$(head -1 "$W/once")" '^volumes: 27, used: 27; in the 0\.[1-9] s to ..:..:..$' "--once: all of them"
is "$(wc -l <"$W/once")" 29 "each has a line"
is "$(awk 'length > 80' "$W/once")" "" "of 80 columns at most"
like "$(cat "$W/once")" '~.*longer-than-its-column|~.*its-column' "a long name is cut at its beginning"
is "$(top --once --interval 0.1 osl:v07 | tail -n +3 | awk '{ print $1, $NF }')" "osl:v07 0" "one volume"
is "$(top --once --interval 0.1 osl | wc -l)" 29 "a namespace"
is "$(top --once --interval 0.1 elsewhere | wc -l)" 2 "another one has nothing"
like "$(top --once --interval 0.1 --paths)" 'osl:any/srv-1 ' "paths"
check_fails 2 "an option of another command" top --once --keep 3

# On a terminal.
cat >"$W/screen.py" <<'END'
import fcntl, os, pty, re, select, struct, sys, termios, time
child, fd = pty.fork()
if not child:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
before, text, end, typed = termios.tcgetattr(fd), "", time.monotonic() + 25, False
while time.monotonic() < end:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            text += os.read(fd, 65536).decode()
        except OSError:
            break
    if text.count("\033[J") >= 2 and not typed:
        typed = os.write(fd, b"q")
    if typed and "\033[?1049l" in text:
        break
after = termios.tcgetattr(fd)
_, status = os.waitpid(child, 0)
screen = text.split("\033[H")[2].split("\033[J")[0]
lines = [re.sub("\033\\[[0-9;?]*[A-Za-z]", "", l).rstrip("\r") for l in screen.split("\n")]
print(status, before[:4] == after[:4], len(lines), max(map(len, lines)) <= 80, lines[-2])
END
like "$(timeout -k 1 40 python3 "$W/screen.py" "$BUILD/rsvol" top --run-dir "$W/clt/run" --interval 0.2)" \
	'^0 True 2[0-4] True and [0-9]+ that did less$' "it fits 80x24, and q ends it"

stop_client "$W/clt"
check_fails 1 "without rsiod it says so" top --once
done_testing
