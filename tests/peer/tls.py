"""TLS as rsio-protocol(7) has it, by OpenSSL's own client: a second implementation of one end."""

import atexit
import hashlib
import hmac
import os
import socket
import subprocess
import tempfile
import time

LABEL = b"EXPORTER-rsio-binding"


def psk(key, identity):
    return hmac.new(key, b"rsio tls psk\0" + identity.encode(), hashlib.sha256).digest()


def expand(secret, label, context):
    """HKDF-Expand-Label of RFC 8446, 7.1, for 32 bytes."""
    label = b"tls13 " + label
    info = b"\0\x20" + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()


class Tls:
    """openssl s_client with its plaintext on .sock."""

    def __init__(self, address, port, identity, key, *options):
        self.dir = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.dir.name, "secrets")
        self.said = os.path.join(self.dir.name, "stderr")
        self.sock, other = socket.socketpair()
        host = "[%s]" % address if ":" in address else address
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                ["openssl", "s_client", "-connect", "%s:%d" % (host, port), "-quiet",
                 "-keylogfile", self.log, *(options or ["-tls1_3"]),
                 *(["-psk", psk(key, identity).hex(), "-psk_identity", identity] if identity else [])],
                stdin=other, stdout=other, stderr=said)
        other.close()
        atexit.register(self.close)  # it would stay until the server closes

    def binding(self, seconds=10):
        """tls_binding() of lib/tls.h; None when there was no handshake."""
        end = time.monotonic() + seconds * int(os.environ.get("RSIO_SLOW", 1))
        while time.monotonic() < end:
            try:
                with open(self.log) as log:
                    for line in log:
                        if line.startswith("EXPORTER_SECRET ") and line.endswith("\n"):
                            nothing = hashlib.sha256(b"").digest()
                            secret = bytes.fromhex(line.split()[2])
                            return expand(expand(secret, LABEL, nothing), b"exporter", nothing)
            except OSError:
                pass
            if self.process.poll() is not None:
                return None
            time.sleep(0.01)
        return None

    def failure(self):
        """Waits for its end; what it said."""
        self.process.wait(10 * int(os.environ.get("RSIO_SLOW", 1)))
        with open(self.said) as said:
            return said.read()

    def close(self):
        self.sock.close()
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()
