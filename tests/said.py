"""The results of tests that are written in Python: a line each, "ok NAME" or "not ok NAME"."""


def check(name, true, detail=""):
    print("%s %s" % ("ok" if true else "not ok", name), flush=True)
    if not true:
        print(detail, flush=True)
    return true


def is_(name, got, expected):
    return check(name, got == expected, "got %r\nnot %r" % (got, expected))
