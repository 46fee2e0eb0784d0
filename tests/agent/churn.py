"""Clients that come, go, fence each other, talk nonsense and open what is being
replaced, all at once.

    churn.py ADDRESS PORT NAMESPACE ID NODE-PREFIX KEY POOL SECONDS SEED

NODE-PREFIX0 to NODE-PREFIX3 may log in.  Volumes whose name begins with "keep" are left alone.  Ends with status 0 when every reply was
one that the protocol allows.  What they write is their own business: whether
data survives is for others to check.
"""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peer"))
import rsio  # noqa: E402

address, port, namespace, ident, prefix, key, pool, seconds, seed = sys.argv[1:10]
end = time.monotonic() + float(seconds)
failures = []
MAY_FAIL = (rsio.Closed, rsio.Refused, OSError)


def client(node, ids):
    return rsio.Client(address, int(port), namespace=namespace, namespace_id=int(ident),
                       node=node, key=key, timeout=10, crc=ids["crc"],
                       run=ids["run"], life=ids["life"])


def login(c, session=bytes(16)):
    for step in (c.hello, lambda: c.auth(session)):
        r = step()
        if r.status:
            raise rsio.Refused(r)
    return c


def burst(rng, c, volumes):
    """Some commands at once; returns the cookies of those that change something."""
    changing, cookies = [], []
    for _ in range(rng.randint(1, 40)):
        kind = rng.choice((rsio.READ, rsio.READ, rsio.WRITE, rsio.WRITE, rsio.FLUSH, rsio.DISCARD,
                           rsio.WRITE_ZEROES, rsio.STATUS, rsio.PING))
        size = rng.choice((512, 4096, 8192, 100, 70000))
        offset = rng.randrange(0, 4 << 20)
        handle = rng.randint(1, len(volumes))
        flags = rsio.F_FUA if kind == rsio.WRITE and rng.random() < 0.1 else 0
        if kind in (rsio.FLUSH, rsio.PING):
            offset = size = 0
        if kind == rsio.PING:
            handle = 0
        data = bytes(size) if kind == rsio.WRITE else b""
        k = c.start(kind, data, offset=offset, count=size, handle=handle, flags=flags)
        cookies.append(k)
        if kind in (rsio.WRITE, rsio.DISCARD, rsio.WRITE_ZEROES):
            changing.append(k)
    return cookies, changing


def nonsense(rng, c):
    kind = rng.randrange(5)
    if kind == 0:
        c.send(os.urandom(rng.randint(1, 200)))
    elif kind == 1:
        c.send(rsio.request(rsio.WRITE, b"x" * 512, offset=0, count=512, handle=1,
                            length=2 << 20))
    elif kind == 2:
        c.send(rsio.request(rng.randint(17, 255)))
    elif kind == 3:
        c.send(rsio.request(rsio.OPEN, os.urandom(rng.randint(1, 300)), handle=1))
    else:
        c.send(rsio.request(rsio.READ, offset=0, count=4096, handle=1, header_crc=7))
    if not c.closed(10):
        raise AssertionError("nonsense of kind %d did not end the connection" % kind)


def life(rng, node):
    """One session: opens volumes, sends bursts over several connections, loses some."""
    ids = dict(run=node.encode().ljust(16, b"."), life=os.urandom(16), crc=rng.random() < 0.5)
    conns = [login(client(node, ids))]
    volumes = [v.name for v in conns[0].list() if not v.name.startswith("keep")][:4]
    for i, name in enumerate(volumes):
        conns[0].open(name, handle=i + 1)
    for _ in range(rng.randint(1, 12)):
        if time.monotonic() > end:
            break
        if len(conns) < 4 and rng.random() < 0.6:
            conns.append(login(client(node, ids), conns[0].session))
            if conns[-1].session != conns[0].session:
                return      # the node's other thread took the session away
        c = rng.choice(conns)
        cookies, changing = burst(rng, c, volumes)
        dice = rng.random()
        if dice < 0.35 and len(conns) > 1:
            other = rng.choice([o for o in conns if o is not c])
            if rng.random() < 0.5:
                c.reset()
            r = other.fence(c.connection, changing)
            again = other.fence(c.connection, changing)
            if r.status or again.payload != r.payload:
                raise AssertionError("a fence was answered in two ways")
            conns.remove(c)
        elif dice < 0.45:
            nonsense(rng, c)
            conns.remove(c)
        elif dice < 0.55:
            handle = rng.randint(1, len(volumes))
            c.call(rsio.CLOSE, handle=handle)
            c.open(volumes[handle - 1], handle=handle)
        else:
            for k in cookies:
                c.wait(k)
        if not conns:
            return
    if rng.random() < 0.5:
        for c in conns:
            c.bye()


def run(number):
    rng = random.Random("%s-%d" % (seed, number))
    # Two threads a node: they take the session from each other.
    node = "%s%d" % (prefix, number // 2)
    while time.monotonic() < end and not failures:
        try:
            life(rng, node)
        except MAY_FAIL:
            pass
        except Exception as e:
            failures.append("%s: %s: %s" % (node, type(e).__name__, e))
            raise


def replace():
    """A volume that comes, goes, grows and is replaced."""
    rng = random.Random(seed)
    path = os.path.join(pool, "moving.raw")
    while time.monotonic() < end:
        with open(path + ".new", "wb") as f:
            f.truncate(rng.choice((4, 8, 16)) << 20)
        os.rename(path + ".new", path)
        time.sleep(0.4)
        os.truncate(path, rng.choice((4, 8, 16)) << 20)
        time.sleep(0.4)
        if rng.random() < 0.3:
            os.unlink(path)
            time.sleep(0.4)


threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
threads.append(threading.Thread(target=replace))
for t in threads:
    t.start()
for t in threads:
    t.join()
for f in failures:
    print(f)
sys.exit(1 if failures else 0)
