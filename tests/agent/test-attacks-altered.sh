#!/bin/bash
# Somebody on the wire alters a login of a real client at a real server, with TLS and without:
# each byte of all that both say, and in the clear each field with its checksum mended.  Nobody
# gets to a command that way, and the server goes on with others.
# time-limit: 150
# long-time-limit: 400
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv rsbench rsslogcat
export BUILD SCENARIO_SECONDS=380

write_server_conf "$W" client=node1 client=witness
sed -i "s/^witness .*/witness $(new_key)/" "$W/rssrvcfg"
make_volume "$W" quiet 1M
make_volume "$W" v 1M
start_server "$W" --log-level debug
write_client_conf "$W/clt" "$W"
mkdir -p "$W/run"
STEP=$(sample_or_all 8 1)
export STEP

scenario "$W" <<'EOT'
import re
import subprocess
from hostile import Witness
from middle import DOWN, UP, Cut, Middle, flipped, is_frame, mended

w = Witness()
random.seed(SEED)
step = int(os.environ["STEP"])
ALERT = 24		# the length of one within TLS; no command is so short

def relay(security):
    """A relay, and a client's configuration that leads through it."""
    m = Middle(*portals()[0][3:])
    m.only_attacks = True
    text = re.sub(r"(?m)^port = \d+", "port = %d" % m.port, open(DIR + "/clt/rscltcfg").read())
    m.conf = "%s/clt/%d" % (DIR, m.port)
    with open(m.conf, "w", opener=lambda *a: os.open(*a, 0o600)) as f:
        f.write("[defaults]\nlearn-portals = no\n" + re.sub(r"(?m)^security = \w+", "security = " + security, text))
    # What comes behind the login's frames, or records, is a command.
    m.commands = {"auth": 2, "tls": 4}[security]
    return m

def attempt(m, alter):
    """A login through the relay: whether it came to a command, and the connection.  alter has what
    the login is made of, and gives what goes on."""
    def attack(c, way, n, unit):
        if way == UP and n >= m.commands and len(unit) != ALERT:
            c.in_ = True
            raise Cut
        return alter(way, n, unit)
    m.attack(attack)
    p = subprocess.Popen([os.environ["BUILD"] + "/rsbench", "-c", m.conf, "--run-dir", DIR + "/clt/run", "-q",
                          "-d", "1", "-t", "1s", "osl:v"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        c = m.next()
        if not c.over.wait(20):
            check("somebody ends the connection", False, c.units)
        return hasattr(c, "in_"), c
    finally:
        p.kill()
        p.wait()

def granted():
    with open(DIR + "/rssrv.out") as f:
        return sum("login of node1 " in x and " granted" in x for x in f)

def alterations(way, unit):
    """(at, bits, whether the checksum is mended)"""
    low = 4			# of the length; shorter, so that nobody waits for more
    high = 5 if is_frame(unit) else 3
    for at, byte in enumerate(unit):
        bits = byte & -byte if at == low else 1 if at == high else 1 << random.randrange(8)
        yield at, bits, False
        if is_frame(unit) and at < (40 if way == UP else 32) - 4:
            yield at, bits, True

# What may be altered without harm.  The version of a record of TLS that is not encrypted is to
# be ignored (RFC 8446, 5.1).  AUTH and its reply prove what they say, not how: fields of the
# header that they do not use, the tag of a SESSION that is zero, and the bit that makes a record
# mandatory, of records that are known.
def harmless(mode, way, n, at, bits):
    if mode == "tls":
        return n == 0 and at == 2
    if n == 0:
        return False
    if way == UP:
        return at in (3, 40, 41) or 8 <= at < 32 or (at, bits) == (61, 0x80)
    return 8 <= at < 16 or at in (33, 53, 61) and bits == 0x80

def log_of(port):
    with open(DIR + "/rssrv.out") as f:
        return [x for x in f if re.search(r"/%d\b" % port, x)]

for mode in ("auth", "tls"):
    m = relay(mode)
    let_in, c = attempt(m, lambda way, n, unit: unit)
    check("%s: who alters nothing gets a client in" % mode, let_in)
    login = [(way, n, u) for way in (UP, DOWN) for n, u in enumerate(c.said[way]) if way == DOWN or n < m.commands]
    login = [x for x in login if x[0] == UP or x[1] < {"auth": 2, "tls": 5}[mode]]
    count = 0
    for way, number, unit in login:
        wrong, before = [], granted()
        for at, bits, mend in alterations(way, unit):
            def alter(w_, n, u):
                if (w_, n) != (way, number):
                    return u
                u = flipped(u, at, bits)
                return mended(way, u) if mend else u
            if random.randrange(step):
                continue
            count += 1
            let_in, c = attempt(m, alter)
            if let_in and harmless(mode, way, number, at, bits):
                before = None		# the server is right to grant that one
            elif let_in:
                wrong.append("byte %d ^ %#x%s: let in" % (at, bits, ", mended" if mend else ""))
            if not let_in and not wait_until(lambda: any(" ended: " in x or " refused" in x for x in log_of(c.port)), 5):
                wrong.append("byte %d: no reason in the log" % at)
        if not wrong and way == UP and mode == "tls" and before not in (None, granted()):
            wrong.append("the server granted some")
        check("%s: %s's message %d (%d bytes)" % (mode, {UP: "client", DOWN: "server"}[way], number, len(unit)),
              not wrong, "; ".join(wrong))
    print("%s: %d alterations" % (mode, count), flush=True)
w.finish()
EOT
done_testing
