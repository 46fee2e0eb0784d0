#!/usr/bin/env python3
"""fsynced.py write DIR RECORD SEED: makes, appends to, overwrites, renames and removes files
below DIR, and notes in RECORD, which is elsewhere, what was fsync'ed; until an error ends it.
fsynced.py check DIR RECORD: is all of that there, and right?

A line of RECORD is an intention ("begin") or what an fsync made of it ("done").  What only
began may be there or not, whole or in part; what is done must be there until something else
begins with that file.
"""
import json
import os
import random
import sys
import zlib

BLOCK = 4096


def content(name, number, block):
    """A block says which file, which write and which place it is."""
    head = ("%s %d %d " % (name, number, block)).encode()
    body = random.Random(zlib.crc32(head)).randbytes(BLOCK - len(head) - 4)
    return head + body + zlib.crc32(head + body).to_bytes(4, "little")


def sync_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


class Record:
    """{name: [the number of the write that each block has], or None when it was removed}"""

    def __init__(self, path):
        self.files, self.unsure, self.serial = {}, {}, 0
        self.log = open(path, "a+")
        self.log.seek(0)
        for line in self.log:
            self.apply(json.loads(line))

    def apply(self, entry):
        what, name, number, blocks = entry
        self.serial = max(self.serial, number)
        if what == "begin":
            self.unsure.setdefault(name, []).append((number, blocks))
        else:
            self.files[name] = blocks
            self.unsure.pop(name, None)

    def note(self, *entry):
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()
        self.apply(entry)


def write_blocks(path, name, number, old, new):
    """In place; the blocks of new that are number's."""
    with open(path, "r+b" if old else "wb", buffering=0) as f:
        for block, n in enumerate(new):
            if n == number:
                f.seek(block * BLOCK)
                f.write(content(name, n, block))
        f.truncate(len(new) * BLOCK)
        os.fsync(f.fileno())


def one_change(directory, record, rng):
    name = "f%d" % rng.randrange(64)
    path = os.path.join(directory, name)
    old = record.files.get(name)
    number = record.serial + 1
    kind = rng.choice(["append", "overwrite", "replace", "remove"]) if old else "replace"
    if kind == "append":
        new = old + [number] * rng.randrange(1, 9)
    elif kind == "overwrite":
        new = [number if rng.random() < 0.3 else n for n in old]
    elif kind == "replace":
        new = [number] * rng.randrange(1, 33)
    else:
        new = None
    if new is not None and len(new) > 64:
        kind, new = "replace", [number] * 3
    record.note("begin", name, number, new)
    if kind == "remove":
        os.unlink(path)
    elif kind == "replace":
        write_blocks(path + ".new", name, number, None, new)
        os.rename(path + ".new", path)
    else:
        write_blocks(path, name, number, old, new)
    if kind in ("remove", "replace"):
        sync_directory(directory)
    record.note("done", name, number, new)


def write(directory, record, seed):
    rng, n = random.Random(seed), 0
    try:
        while True:
            one_change(directory, record, rng)
            n += 1
    except OSError as e:
        print("%d changes, then: %s" % (n, e))


def versions(record, name):
    """What the file may be: the newest that is certain, and what began after it."""
    return [record.files.get(name)] + [blocks for _, blocks in record.unsure.get(name, [])]


def wrong_with(directory, record, name):
    may_be = versions(record, name)
    try:
        data = open(os.path.join(directory, name), "rb").read()
    except FileNotFoundError:
        return "" if None in may_be else "is not there"
    certain = may_be[0]
    blocks = [data[i:i + BLOCK] for i in range(0, len(data), BLOCK)]
    if len(may_be) == 1 and (certain is None or len(blocks) != len(certain)):
        return "has %d blocks; right is %s" % (len(blocks), certain)
    for i, block in enumerate(blocks):
        right = {v[i] for v in may_be if v and i < len(v)}
        if not any(block == content(name, n, i) for n in right):
            # An append that was cut short may have left its length and no data.
            if certain is not None and i >= len(certain) and not block.strip(b"\0"):
                continue
            return "block %d is none of %s: %r" % (i, sorted(right), block[:24])
    if certain is not None and None not in may_be and len(blocks) < min(len(v) for v in may_be if v is not None):
        return "has only %d blocks" % len(blocks)
    return ""


def as_found(directory, record, name):
    """What only began is now what it came to be: the writer starts such a file anew."""
    path = os.path.join(directory, name)
    for p in (path, path + ".new"):
        if os.path.exists(p):
            os.unlink(p)
    sync_directory(directory)
    record.note("done", name, record.serial, None)


def check(directory, record):
    names = set(record.files) | set(record.unsure)
    wrong = [(n, w) for n in sorted(names) for w in [wrong_with(directory, record, n)] if w]
    for name, why in wrong:
        print("%s %s" % (name, why))
    certain = sum(1 for n in record.files if record.files[n] and n not in record.unsure)
    print("%d files checked, %d of them certain, %d changes so far" % (len(names), certain, record.serial))
    if wrong:
        sys.exit(1)
    for name in list(record.unsure):
        as_found(directory, record, name)


def main():
    what, directory, record = sys.argv[1], sys.argv[2], Record(sys.argv[3])
    if what == "write":
        write(directory, record, int(sys.argv[4]))
    else:
        check(directory, record)


main()
