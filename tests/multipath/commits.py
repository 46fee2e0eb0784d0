#!/usr/bin/env python3
"""commits.py make KIND DATABASE ACKNOWLEDGED WRITER: makes the table.
commits.py write KIND DATABASE ACKNOWLEDGED WRITER: makes small transactions, one after
the other, until SIGTERM or an error, and notes each in the file ACKNOWLEDGED once the
database said that it is committed.
commits.py check KIND DATABASE ACKNOWLEDGED WRITER: is each of these there, whole, and at
most one more, which was not acknowledged any more?

KIND is sqlite (DATABASE is its file) or postgres (DATABASE is what psql takes).
"""
import random
import signal
import sqlite3
import subprocess
import sys
import time

TABLE = "create table if not exists t (writer int, n int, what text, primary key (writer, n))"


def content(writer, n):
    return random.Random("%s %d" % (writer, n)).randbytes(900).hex()


class Sqlite:
    def __init__(self, name):
        self.db = sqlite3.connect(name, timeout=60, isolation_level=None)
        # Not full: without a log in front a commit is that a file is removed, and with full
        # nobody makes that durable.
        self.db.execute("pragma synchronous=extra")
        if ".wal." in name:
            self.db.execute("pragma journal_mode=wal")

    def make(self):
        self.db.execute(TABLE)

    def commit(self, writer, n):
        self.db.execute("begin immediate")
        self.db.execute("insert into t values (?, ?, ?)", (writer, n, content(writer, n)))
        self.db.execute("commit")

    def whole(self):
        return self.db.execute("pragma integrity_check").fetchone()[0]

    def rows(self, writer):
        return self.db.execute("select n, what from t where writer = ? order by n", (writer,)).fetchall()


class Postgres:
    def __init__(self, name):
        self.psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", name], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def ask(self, statement):
        """The lines of the answer; the last is printed when the statement is done."""
        self.psql.stdin.write("%s;\n\\echo done\n" % statement)
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            if line == "done\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise OSError("psql ended")

    def make(self):
        self.ask(TABLE)

    def commit(self, writer, n):
        self.ask("insert into t values (%d, %d, '%s')" % (writer, n, content(writer, n)))

    def whole(self):
        self.ask("set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off")
        seen = self.ask("select count(*) from t")
        self.ask("reset enable_indexscan; reset enable_bitmapscan; reset enable_indexonlyscan; set enable_seqscan = off")
        indexed = self.ask("select count(*) from t")
        return "ok" if seen == indexed else "%s rows, %s in the index" % (seen, indexed)

    def rows(self, writer):
        lines = self.ask("select n, what from t where writer = %d order by n" % writer)
        return [(int(n), what) for n, what in (line.split("|") for line in lines)]


def acknowledged(path):
    try:
        return [int(line) for line in open(path)]
    except FileNotFoundError:
        return []


def write(db, path, writer):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    first = (acknowledged(path) or [0])[-1] + 1
    # What was committed and not acknowledged before an earlier end.
    first = max([first] + [n + 1 for n, _ in db.rows(writer)])
    longest, n = 0, first
    with open(path, "a", buffering=1) as log:
        while not stop:
            began = time.monotonic()
            try:
                db.commit(writer, n)
            except (sqlite3.Error, OSError) as e:
                print("commit %d: %s after %.3f s" % (n, e, time.monotonic() - began))
                sys.exit(1)
            log.write("%d\n" % n)
            longest = max(longest, time.monotonic() - began)
            n += 1
    print("%d commits, longest %d ms" % (n - first, longest * 1000))


def check(db, path, writer):
    certain = acknowledged(path)
    there = dict(db.rows(writer))
    whole = db.whole()
    wrong = ["%d is not there" % n for n in certain if n not in there]
    wrong += ["%d is not what was written" % n for n in there if there[n] != content(writer, n)]
    extra = [n for n in there if n not in set(certain)]
    if whole != "ok":
        wrong.append(whole)
    print("%d commits were acknowledged, %d are there, %d of them not acknowledged%s" % (
        len(certain), len(there), len(extra), "".join("; " + w for w in wrong[:5])))
    sys.exit(1 if wrong or not certain else 0)


def main():
    what, kind, name, path, writer = sys.argv[1:]
    db = {"sqlite": Sqlite, "postgres": Postgres}[kind](name)
    if what == "make":
        db.make()
    else:
        {"write": write, "check": check}[what](db, path, int(writer))


main()
