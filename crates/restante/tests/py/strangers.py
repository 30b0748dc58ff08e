"""Who has not signed in gets little: of memory, of time, of everybody else's turns."""
import os
import socket
import threading
import time

from here import ALICE, HOST, deliver, imap, ok, port

CROWD = 100


def connect(service):
    client = socket.create_connection((HOST, port(service)), timeout=30)
    client.recv(1000)
    return client


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))


def server():
    wanted = f"serve\0--data\0{os.environ['DATA']}\0".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as words:
                if wanted in words.read():
                    return pid
        except OSError:
            pass
    raise AssertionError("no server")


def flood(service, line):
    """Sends without end; how much the server took before it had enough."""
    client = connect(service)
    sent = 0
    try:
        while sent < 64 << 20:
            client.sendall(line)
            sent += len(line)
    except OSError:
        pass
    client.close()
    return sent


pid = server()
imap().logout()
# A word without an end, a literal without an end, commands without an end.
for service in ("IMAP", "POP3"):
    for line in (b"x" * 65536, b"a LOGIN {60000+}\r\n" + b"y" * 60000, b"a NOOP\r\n" * 8192):
        assert flood(service, line) < 16 << 20, (service, line[:20])

# A crowd, each with as much as it may leave unfinished: 256 KiB each, at most.
before = memory(pid)
crowd = [connect("IMAP") for _ in range(CROWD)]
for client in crowd:
    client.setblocking(False)
    try:
        while True:
            client.send(b"a LOGIN {14000+}\r\n" + b"y" * 4000)
    except OSError:
        pass
time.sleep(0.2)
each = (memory(pid) - before) / CROWD
assert each <= 256, f"{each} KiB for each connection"
for client in crowd:
    client.close()

# Who sends an octet now and then is not waited for; everybody else is served meanwhile.
slow = [connect(service) for service in ("IMAP", "POP3") for _ in range(CROWD)]
begun = time.monotonic()
ended = threading.Event()


def drip():
    left = set(slow)
    while left and not ended.is_set():
        for client in list(left):
            try:
                client.send(b"a")
                client.settimeout(0.0005)
                if client.recv(1000) == b"":
                    left.discard(client)
            except TimeoutError:
                pass
            except OSError:
                left.discard(client)
    slow[:] = left


dripping = threading.Thread(target=drip)
dripping.start()
worst = 0
while dripping.is_alive() and time.monotonic() - begun < 25:
    start = time.monotonic()
    client = imap()
    ok(client.select("INBOX"))
    client.logout()
    deliver(ALICE, "among the slow")
    worst = max(worst, time.monotonic() - start)
ended.set()
dripping.join()
assert not slow, f"{len(slow)} slow connections are still open"
assert time.monotonic() - begun >= 4, "ended too soon for an honest program"
assert worst < 3, f"a sign-in, a look and a delivery took {worst} s"
