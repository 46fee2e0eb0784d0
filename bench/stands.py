"""What is measured: servers, clients, mounts.  Each is a process of ours, ended by its pid."""
import ctypes
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time

START_SECONDS = 20
VOLUME = "bench"


class Missing(Exception):
    """A stand that cannot be had here; the text says why."""


def _die_with_parent():
    """What we start ends when we are killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.setpgid(0, 0)        # what a terminal sends on Ctrl-C is ours to handle


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def need(*programs):
    for p in programs:
        if not shutil.which(p) and not os.access(p, os.X_OK):
            raise Missing(f"{p} is not installed")


class Process:
    """A daemon in the foreground, its output in a file."""

    def __init__(self, log, argv, **environment):
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          env={**os.environ, **environment}, preexec_fn=_die_with_parent)
        self.name, self.log = os.path.basename(argv[0]), log

    def wait_for(self, ready):
        end = time.monotonic() + START_SECONDS
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > end:
                self.kill()
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    raise Missing(f"{self.name} does not start: {f.read().strip()[-300:]}")
            time.sleep(0.02)

    def cpu(self):
        """Seconds of CPU since its start."""
        try:
            with open(f"/proc/{self.popen.pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident bytes."""
        try:
            with open(f"/proc/{self.popen.pid}/statm", encoding="ascii") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return 0

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def stop(self, how=signal.SIGTERM):
        if self.alive():
            self.popen.send_signal(how)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def unmount(where):
    """Also one whose daemon is dead; never waits for it."""
    subprocess.run(["umount" if os.geteuid() == 0 else "fusermount3", *(() if os.geteuid() == 0 else ("-u",)),
                    "-l" if os.geteuid() == 0 else "-z", where],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Stand:
    """A way to the data.  `target` is where the load goes: a path, an nbd URI, NS:VOLUME.
    `client` is the daemon between the load and the network (None: the load itself)."""
    client = server = None
    target = None

    def start(self):
        raise NotImplementedError

    def stop(self):
        pass

    def hung(self):
        """The load does not come back: whoever it waits for in the kernel is killed."""
        if self.client:
            self.client.kill()

    def ok(self):
        return all(p is None or p.alive() for p in (self.client, self.server))


class Place:
    """The directory of one run of the benchmark, and the programs."""

    def __init__(self, build, directory):
        self.build, self.dir = build, directory
        self.key = secrets.token_hex(32)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def program(self, name):
        p = os.path.join(self.build, name)
        if not os.access(p, os.X_OK):
            raise Missing(f"{p} is not built")
        return p

    def secret(self, name, text):
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as f:
            f.write(text)
        return self.path(name)


class Server(Stand):
    """rssrv with pools."""

    def __init__(self, place, name, pools, poll=0):
        self.place, self.name, self.pools, self.poll = place, name, pools, poll
        self.port = None

    def start(self):
        self.port = free_port()
        run = self.place.path(f"{self.name}-run")
        os.makedirs(run, exist_ok=True)
        nodes = ["mount", "asleep", "crc", "tls", "poll", "paths4", "alone"] + [f"alone-{i + 1}" for i in range(64)]
        text = (f"[namespace bench]\nnamespaceid = 7\nsecurity = auth\npoll = {self.poll}\n\n"
                f"[server {self.name}]\nserverid = 1\n\n"
                f"[interface if0]\naddress = 127.0.0.1\nport = {self.port}\n\n[clients]\n" +
                "".join(f"{n} {self.place.key}\n" for n in nodes) +
                "".join(f"\n[pool p{i}]\npath = {p}\n" for i, p in enumerate(self.pools)))
        conf = self.place.secret(f"{self.name}.cfg", text)
        self.server = Process(self.place.path(f"{self.name}.out"),
                              [self.place.program("rssrv"), "-f", "-c", conf, "--run-dir", run])
        self.server.wait_for(lambda: os.path.exists(os.path.join(run, "rssrv.sock")))

    def stop(self):
        if self.server:
            self.server.stop()


class Session(Stand):
    """The protocol alone, for rsbench: a configuration."""

    def __init__(self, server, node="alone", paths=1, crc=False, poll="auto", clients=1, tls=False):
        self.of, self.node, self.paths, self.crc, self.poll, self.tls = server, node, paths, crc, poll, tls
        self.clients = clients

    def conf(self, name):
        interfaces = "".join(f"[interface if{i}]\naddress = 127.0.0.{i + 1}\n\n" for i in range(self.paths))
        return self.of.place.secret(name, (
            f"{interfaces}[namespace bench]\nnamespaceid = 7\nnodename = {self.node}\nnodekey = {self.of.place.key}\n"
            f"security = {'tls' if self.tls else 'auth'}\npayload-crc = {'yes' if self.crc else 'no'}\n"
            f"poll = {self.poll}\n\n"
            f"[server portal]\naddress = 127.0.0.1\nport = {self.of.port}\n"))

    def start(self):
        name = f"{self.node}-{self.paths}-{int(self.crc)}-{self.poll}"
        self.server = self.of.server
        if not self.server:
            raise Missing("rssrv does not run")
        self.config = self.conf(f"{name}.cfg")
        self.run_dir = self.of.place.path(f"{name}-run")
        os.makedirs(self.run_dir, exist_ok=True)
        self.target = f"bench:{VOLUME}"


class Mount(Session):
    """rsiod, and a volume as a file below it."""

    def start(self):
        super().start()
        self.directory = self.of.place.path(f"{self.node}-mnt")
        os.makedirs(self.directory, exist_ok=True)
        self.client = Process(self.of.place.path(f"rsiod-{self.node}.out"),
                              [self.of.place.program("rsiod"), "-f", "-c", self.config, "--run-dir", self.run_dir,
                               "-m", self.directory])
        self.target = os.path.join(self.directory, "bench", VOLUME)
        self.client.wait_for(lambda: os.path.exists(self.target))

    def stop(self):
        if self.client:
            self.client.stop()
            unmount(self.directory)


class Volume(Stand):
    """Another volume of a mount or a session."""

    def __init__(self, of, volume):
        self.of, self.volume = of, volume

    def start(self):
        if not self.of.target:
            raise Missing("its mount is not there")
        self.client, self.server = self.of.client, self.of.server
        self.target = os.path.join(os.path.dirname(self.of.target), self.volume)


class Attached(Stand):
    """The block device of a volume."""

    def __init__(self, of):
        self.of = of

    def start(self):
        if os.geteuid():
            raise Missing("attaching needs root")
        if not self.of.target:
            raise Missing("its mount is not there")
        self.client, self.server = self.of.client, self.of.server
        self._rsconfig("-a", f"bench:{VOLUME}")
        self.target = next((p for p in (f"/dev/av{n}/{VOLUME}" for n in range(4)) if os.path.exists(p) and
                            stat.S_ISBLK(os.stat(p).st_mode)), None)
        if not self.target:
            raise Missing("rsconfig -a gave no device")

    def _rsconfig(self, *args):
        r = subprocess.run([self.of.of.place.program("rsconfig"), "--run-dir", self.of.run_dir, *args],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=30, check=False)
        if r.returncode:
            raise Missing(f"rsconfig {' '.join(args)}: {r.stdout.strip()}")

    def stop(self):
        if self.target and self.client.alive():
            try:
                self._rsconfig("-d", f"bench:{VOLUME}")
            except (Missing, subprocess.TimeoutExpired) as e:
                print(f"bench: {e}")


class Nbdkit(Stand):
    """nbdkit's file plugin over the same file; with TLS and a pre-shared key if told so."""

    def __init__(self, place, name, file, tls=False):
        self.place, self.name, self.file, self.tls = place, name, file, tls

    def psk(self):
        """The directory of the file with the key: qemu wants that file's name."""
        os.makedirs(self.place.path("psk"), exist_ok=True)
        self.place.secret("psk/keys.psk", f"bench:{self.place.key}\n")
        return self.place.path("psk")

    def start(self):
        need("nbdkit")
        port, pid = free_port(), self.place.path(f"{self.name}.pid")
        argv = ["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), "-P", pid]
        environment = {}
        if self.tls:
            argv += ["--tls=require", f"--tls-psk={self.psk()}/keys.psk"]
            # GnuTLS would agree on ChaCha20, a quarter as fast here: what is left is AES-128-GCM, which is ours, too.
            environment["GNUTLS_SYSTEM_PRIORITY_FILE"] = self.place.secret(
                f"{self.name}.priority", "[overrides]\ntls-disabled-cipher = CHACHA20-POLY1305\n")
        self.server = Process(self.place.path(f"{self.name}.out"), argv + ["file", self.file], **environment)
        self.server.wait_for(lambda: os.path.exists(pid))
        self.port, self.target = port, f"nbd://127.0.0.1:{port}"

    def stop(self):
        if self.server:
            self.server.stop()


class Qsd(Stand):
    """qemu-storage-daemon's FUSE export over nbdkit."""

    def __init__(self, nbd):
        self.nbd = nbd

    def start(self):
        need("qemu-storage-daemon")
        if not self.nbd.target:
            raise Missing("nbdkit does not run")
        self.server = self.nbd.server
        name = f"qsd-{self.nbd.name}"
        point, size = self.nbd.place.path(name), os.stat(self.nbd.file).st_size
        with open(point, "wb"):
            pass
        self.point = point
        key = f"tls-creds-psk,id=tls0,dir={self.nbd.psk()},endpoint=client,username=bench" if self.nbd.tls else ""
        self.client = Process(self.nbd.place.path(f"{name}.out"), [
            "qemu-storage-daemon", *(("--object", key) if key else ()), "--blockdev",
            f"driver=nbd,node-name=n0,server.type=inet,server.host=127.0.0.1,server.port={self.nbd.port}" +
            (",tls-creds=tls0" if key else ""),
            "--export", f"type=fuse,id=e0,node-name=n0,mountpoint={point},writable=on"])
        self.client.wait_for(lambda: os.stat(point).st_size == size)
        self.target = point

    def stop(self):
        if self.client:
            self.client.stop()
            unmount(self.point)


class Both:
    """Two processes that are one side."""

    def __init__(self, *processes):
        self.processes = processes

    def cpu(self):
        return sum(p.cpu() for p in self.processes)

    def alive(self):
        return all(p.alive() for p in self.processes)

    def kill(self):
        for p in self.processes:
            p.kill()

    def stop(self):
        for p in self.processes:
            p.stop()


class Nbdfuse(Stand):
    """nbdfuse with several connections over nbdkit.  Debian 12's cannot be given a pre-shared key: a nbdkit on
    the client's side does TLS for it then."""

    def __init__(self, nbd, connections=4):
        self.nbd, self.connections = nbd, connections

    def start(self):
        need("nbdfuse")
        if not self.nbd.target:
            raise Missing("nbdkit does not run")
        self.server, name = self.nbd.server, f"nbdfuse-{self.nbd.name}"
        self.directory, target, out = self.nbd.place.path(f"{name}-mnt"), self.nbd.target, f"{name}.out"
        os.makedirs(self.directory, exist_ok=True)
        before = []
        if self.nbd.tls:
            target = self.nbd.place.path(f"{name}.sock")
            before.append(self.in_front(target))
            target = f"nbd+unix:///?socket={target}"
        nbdfuse = Process(self.nbd.place.path(out), ["nbdfuse", "-C", str(self.connections), self.directory, target])
        self.client = Both(nbdfuse, *before)
        target = os.path.join(self.directory, "nbd")
        nbdfuse.wait_for(lambda: os.path.exists(target))
        self.target = target

    def in_front(self, where):
        """What speaks TLS to the server, and without it on a socket here."""
        if os.path.exists(where):
            os.unlink(where)
        p = Process(f"{where}.out", ["nbdkit", "-f", "-U", where, "nbd", "hostname=127.0.0.1", f"port={self.nbd.port}",
                                     "tls=require", f"tls-psk={self.nbd.psk()}/keys.psk", "tls-username=bench"])
        p.wait_for(lambda: os.path.exists(where))
        return p

    def stop(self):
        if self.client:
            unmount(self.directory)
            self.client.stop()


class Cipher(Stand):
    """The cipher that a mount has agreed on, as fast as a core of this machine does it: openssl speed."""

    NAMES = {"TLS_AES_128_GCM_SHA256": "aes-128-gcm", "TLS_CHACHA20_POLY1305_SHA256": "chacha20-poly1305"}

    def __init__(self, mount):
        self.mount = mount

    def start(self):
        need("openssl")
        if not self.mount.target:
            raise Missing("its mount is not there")
        r = subprocess.run([self.mount.of.place.program("rsconfig"), "--run-dir", self.mount.run_dir, "--json", "-m",
                            "status"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=30,
                           check=False)
        name = next((n for n in self.NAMES if n in r.stdout), None)
        if not name:
            raise Missing("the mount's status names no cipher")
        self.target = self.NAMES[name]


class File(Stand):
    """The file itself: what the disk gives."""

    def __init__(self, path):
        self.path = path

    def start(self):
        self.target = self.path


class Null(Stand):
    """fio's engine that does nothing: what fio costs."""

    def start(self):
        need("fio")
        self.target = "null"
