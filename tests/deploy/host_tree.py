#!/usr/bin/env python3
"""host_tree.py DIR: what a host of hosts.sh has that this machine has not, and the
other way round: one line for each path with its kind, mode, owner and content.  DIR
is the host's directory: upper, run and tmp are looked at.  What was only copied up
and is as it was below is not a difference.  Times are not looked at."""
import hashlib
import os
import stat
import sys

# What logins, sudo and the lab's own sshd write.
IGNORED = ("/var/log", "/var/lib/sudo", "/run/sudo", "/run/utmp", "/run/lock", "/run/sshd")


def ignored(path):
    return any(path == i or path.startswith(i + "/") or path.startswith(i + ".") or path.startswith(i + "_")
               for i in IGNORED)


def is_whiteout(st):
    return stat.S_ISCHR(st.st_mode) and st.st_rdev == 0


def is_opaque(real):
    try:
        return os.getxattr(real, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def describe(real, st):
    """Kind, mode, owner and content as words."""
    words = [stat.filemode(st.st_mode), f"{st.st_uid}:{st.st_gid}"]
    if stat.S_ISREG(st.st_mode):
        with open(real, "rb") as f:
            words.append(hashlib.sha256(f.read()).hexdigest())
    elif stat.S_ISLNK(st.st_mode):
        words.append("-> " + os.readlink(real))
    return " ".join(words)


def look(real, path, below, out):
    """One entry of the host at `path`; `below` is the machine's path or None."""
    if ignored(path):
        return
    try:
        st = os.lstat(real)
    except FileNotFoundError:
        return
    under = os.lstat(below) if below and os.path.lexists(below) else None
    if is_whiteout(st):
        if under:
            out.append(f"{path} removed")
        return
    words = describe(real, st)
    directory = stat.S_ISDIR(st.st_mode)
    if directory and under and is_opaque(real):
        out.append(f"{path} {words} replaced")
        below = under = None
    elif not under or words != describe(below, under):
        out.append(f"{path} {words}")
    if directory:
        for name in sorted(os.listdir(real)):
            look(os.path.join(real, name), os.path.join(path, name),
                 os.path.join(below, name) if under else None, out)


def main():
    top, out = sys.argv[1], []
    for name in sorted(os.listdir(top + "/upper")):
        look(f"{top}/upper/{name}", "/" + name, "/" + name, out)
    for name in ("run", "tmp"):
        for entry in sorted(os.listdir(f"{top}/{name}")):
            look(f"{top}/{name}/{entry}", f"/{name}/{entry}", None, out)
    print("\n".join(out))


main()
