#!/bin/bash
# CONTROL: the server's counters; what is no request is refused and ends nothing.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/agent.sh"
requires_program rssrv

write_server_conf "$W" namespace=osl
start_server "$W"

scenario "$W" <<'EOT'
c = Node().login()

def ask(text):
    return c.must(CONTROL, text.encode()).payload

a = json.loads(ask('{"do":"counters"}'))
is_("the counters", sorted(a), ["cpu", "uptime"])
check("have been counted since the start", 0 < a["cpu"] < 60 and 0 < a["uptime"] < 60, a)
for i in range(2000):
    c.ping()
b = json.loads(ask('{"do": "counters", "of": "a later version"}'))
check("they go on", b["cpu"] > a["cpu"] and b["uptime"] > a["uptime"], (a, b))
for name, text in (("an empty payload", ""), ("no JSON", "counters"), ("no object", '["do"]'),
                   ("nothing to do", "{}"), ("a number to do", '{"do": 1}'),
                   ("nesting", "[" * 4000), ("65537 bytes", '{"do":"counters"' + " " * 65520 + "}")):
    refused(name, E_INVALID, lambda: ask(text))
refused("an unknown request", E_UNSUPPORTED, lambda: ask('{"do":"dance"}'))
check("the connection is what it was", c.ping())
c.bye()
EOT
done_testing
