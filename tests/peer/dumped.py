"""dumped.py PID HEX...: which of these keys a core file of the process would have.

A core file has what can be read of every mapping that is not marked "dd" (MADV_DONTDUMP).
A key is looked for as its bytes and as hexadecimal digits."""

import re
import sys


def mappings(pid):
    """(from, to, name) of each that would be dumped"""
    with open("/proc/%s/smaps" % pid) as f:
        now = None
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
            if head:
                now = (int(head[1], 16), int(head[2], 16), head[4].strip() or "anonymous", head[3])
            elif line.startswith("VmFlags:") and "dd" not in line.split() and now[3][0] == "r" \
                    and now[2] not in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                yield now[:3]


def main(pid, *keys):
    wanted = {}
    for k in keys:
        try:
            wanted[bytes.fromhex(k)] = "bytes"
        except ValueError:
            pass
        wanted[k.encode()] = "text"
    found = looked = 0
    with open("/proc/%s/mem" % pid, "rb", buffering=0) as mem:
        for start, end, name in mappings(pid):
            while start < end:
                try:
                    mem.seek(start)
                    data = mem.read(min(end - start, 64 << 20))
                except OSError:
                    break
                if not data:
                    break
                looked += len(data)
                for key, kind in wanted.items():
                    at = data.find(key)
                    while at >= 0:
                        found += 1
                        print("the %s of a key at %x in %s" % (kind, start + at, name))
                        at = data.find(key, at + 1)
                start += len(data)
    print("%d KiB were looked at, %d found" % (looked >> 10, found))
    sys.exit(1 if found or not looked else 0)


main(*sys.argv[1:])
