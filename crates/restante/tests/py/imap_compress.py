"""RFC 4978 with Python's zlib: commands, literals, pushes and a long answer, over TLS and plain."""
import imaplib
import ssl
import zlib

from here import ALICE, HOST, PASSWORD, SECONDS, deliver, message, ok, port, tls


class Packed:
    """The socket of imaplib, with a stream of DEFLATE in each direction."""

    def __init__(self, sock):
        self.sock = sock
        self.packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.unpacker = zlib.decompressobj(-15)
        self.buffer = b""
        self.wire = 0

    def sendall(self, octets):
        self.sock.sendall(self.packer.compress(octets) + self.packer.flush(zlib.Z_SYNC_FLUSH))

    def read_more(self):
        octets = self.sock.recv(65536)
        assert octets, "closed early"
        self.wire += len(octets)
        self.buffer += self.unpacker.decompress(octets)

    def read(self, count):
        while len(self.buffer) < count:
            self.read_more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def readline(self, limit=-1):
        while b"\n" not in self.buffer:
            self.read_more()
        return self.read(self.buffer.index(b"\n") + 1)

    def close(self):
        self.sock.close()

    def shutdown(self, how):
        self.sock.shutdown(how)


def compressed(client):
    client.login(ALICE, PASSWORD)
    client._get_capabilities()
    assert "COMPRESS=DEFLATE" in client.capabilities, client.capabilities
    imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
    ok(client._simple_command("COMPRESS", "DEFLATE"))
    packed = Packed(client.sock)
    client.read, client.readline, client.send = packed.read, packed.readline, packed.sendall
    client._get_capabilities()
    assert "COMPRESS=DEFLATE" not in client.capabilities, client.capabilities
    answer = client._simple_command("COMPRESS", "DEFLATE")
    assert answer[0] == "NO" and b"[COMPRESSIONACTIVE]" in answer[1][0], answer
    return client, packed


long = message("long", "\r\n".join(f"line {number} of many" for number in range(20_000))).encode()
for number, client in enumerate(
    [
        imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS),
        imaplib.IMAP4_SSL(HOST, port("IMAPS"), ssl_context=tls(), timeout=SECONDS),
    ]
):
    client, packed = compressed(client)
    ok(client.append("INBOX", None, None, long))
    count = int(ok(client.select("INBOX"))[0])
    before = packed.wire
    answer = ok(client.fetch(str(count), "(BODY.PEEK[])"))
    assert answer[0][1].endswith(long), answer[0][0]
    assert packed.wire - before < len(long) / 4, packed.wire - before
    for _ in range(300):
        ok(client.noop())
    # A push, while this session waits in IDLE.
    client.send(b"i IDLE\r\n")
    assert packed.readline().startswith(b"+")
    deliver(ALICE, f"pushed {number}")
    assert packed.readline() == f"* {count + 1} EXISTS\r\n".encode()
    client.send(b"DONE\r\n")
    while not packed.readline().startswith(b"i OK"):
        pass
    client._simple_command("LOGOUT")
    client.sock.close()

# What is no DEFLATE ends the connection, and nothing else.
client, packed = compressed(imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS))
packed.sock.sendall(b"\x07" * 100)
assert packed.sock.recv(100) == b""
other, _ = compressed(imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS))
ok(other.noop())
