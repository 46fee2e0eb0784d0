#!/bin/bash
# A store that drops what was not flushed when rssrv is killed, as a host does
# that loses power: flushed and FUA writes are there, and the boot id is another.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" portals=1
make_volume "$W" v 16M
export RSIO_TEST_LOSSY=1 RSIO_TEST_BOOT=first
start_server "$W"
scenario "$W" <<'EOT'
c = Node().login()
c.open("v")
is_("the store is the one that forgets", volume("v")["store"], "lossy")
rng = random.Random(SEED)
kept = {}
for i in range(400):
    b = rng.randrange(1000)
    fua = rng.random() < 0.2
    c.write(b * 4096, b"%08d" % i * 512, flags=F_FUA if fua else 0)
    kept[b] = (i, fua)
    if i == 250:
        c.flush()
        for k, (n, _) in kept.items():
            kept[k] = (n, True)
json.dump({"kept": {b: n for b, (n, fua) in kept.items() if fua},
           "lost": {b: n for b, (n, fua) in kept.items() if not fua},
           "boot": first(c.welcome.payload, T_BOOT).hex()}, open(DIR + "/written", "w"))
EOT
kill_server "$W"
export RSIO_TEST_BOOT=second
start_server "$W"
scenario "$W" <<'EOT'
written = json.load(open(DIR + "/written"))
c = Node().login()
c.open("v")
block = lambda b: c.read(int(b) * 4096, 4096)
check("what a flush or FUA covered is there", all(block(b) == b"%08d" % n * 512 for b, n in written["kept"].items()))
lost = sum(block(b) != b"%08d" % n * 512 for b, n in written["lost"].items())
is_("what was not is gone, so the test is one", lost, len(written["lost"]))
check("and that is not nothing", lost > 20, lost)
check("the boot id tells", first(c.welcome.payload, T_BOOT).hex() != written["boot"])
EOT
done_testing
