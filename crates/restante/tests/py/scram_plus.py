"""SCRAM-SHA-256-PLUS with tls-server-end-point (RFC 5929), by hashlib alone: IMAP, POP3, SMTP."""
import base64
import hashlib
import hmac
import imaplib
import poplib
import smtplib
import ssl

from here import ALICE, HOST, PASSWORD, SECONDS, port, tls


class Scram:
    def __init__(self, header, channel):
        self.header, self.channel, self.bare = header, channel, f"n={ALICE},r=clientnonce"

    def first(self):
        return (self.header + self.bare).encode()

    def final(self, server_first):
        fields = dict(field.split("=", 1) for field in server_first.decode().split(","))
        assert fields["r"].startswith("clientnonce")
        salted = hashlib.pbkdf2_hmac(
            "sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"])
        )
        bound = base64.b64encode(self.header.encode() + self.channel).decode()
        without_proof = f"c={bound},r={fields['r']}"
        message = ",".join([self.bare, server_first.decode(), without_proof]).encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.server = base64.b64encode(hmac.digest(server_key, message, "sha256"))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def steps(self):
        """Answers to the server's challenges, one after the other."""
        challenge = yield self.first()
        challenge = yield self.final(challenge)
        assert challenge == b"v=" + self.server, challenge
        yield b""


def over_imap(sock, mechanism, scram):
    steps = scram.steps()
    client = imaplib.IMAP4_SSL(HOST, port("IMAPS"), ssl_context=tls(), timeout=SECONDS)
    channel_of(client.sock, scram)
    assert f"AUTH={mechanism}" in client.capabilities, client.capabilities
    begun = False

    def answer(challenge):
        nonlocal begun
        if not begun:
            begun = True
            return next(steps)
        return steps.send(challenge)

    try:
        return client.authenticate(mechanism, answer)[0] == "OK"
    except imaplib.IMAP4.error:
        return False


def channel_of(sock, scram):
    if scram.channel is None:
        scram.channel = hashlib.sha256(sock.getpeercert(binary_form=True)).digest()


def lines(send, read, steps, go_on):
    """A dialog of base64 lines; the line that ends it."""
    line = read()
    begun = False
    while line.startswith(go_on):
        challenge = base64.b64decode(line[len(go_on) :])
        reply = steps.send(challenge) if begun else next(steps)
        begun = True
        send(base64.b64encode(reply) + b"\r\n")
        line = read()
    return line


def over_pop3(sock, mechanism, scram):
    client = poplib.POP3_SSL(HOST, port("POP3S"), context=tls(), timeout=SECONDS)
    channel_of(client.sock, scram)
    assert mechanism in client.capa()["SASL"], client.capa()
    client._putcmd(f"AUTH {mechanism}")
    line = lines(
        client.sock.sendall, client.file.readline, scram.steps(), b"+ "
    )
    return line.startswith(b"+OK")


def over_smtp(sock, mechanism, scram):
    client = smtplib.SMTP_SSL(HOST, port("SUBMISSIONS"), context=tls(), timeout=SECONDS)
    client.ehlo()
    channel_of(client.sock, scram)
    assert mechanism in client.esmtp_features["auth"], client.esmtp_features
    client.putcmd(f"AUTH {mechanism}")
    read = client.file.readline if client.file else client.sock.makefile("rb").readline
    return lines(client.sock.sendall, read, scram.steps(), b"334 ").startswith(b"235")


PLUS, BARE = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
for way in (over_imap, over_pop3, over_smtp):
    assert way(None, PLUS, Scram("p=tls-server-end-point,,", None)), way
    # Somebody between has another certificate.
    assert not way(None, PLUS, Scram("p=tls-server-end-point,,", b"\1" * 32)), way
    assert way(None, BARE, Scram("n,,", b"")), way
    # Somebody between has taken -PLUS out of the list.
    assert not way(None, BARE, Scram("y,,", b"")), way

# Without TLS there is nothing to bind to, and "y" is the truth.
plain = imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS)
assert "AUTH=SCRAM-SHA-256" in plain.capabilities
assert "AUTH=SCRAM-SHA-256-PLUS" not in plain.capabilities
# After STARTTLS there is.
plain.starttls(ssl_context=tls())
assert "AUTH=SCRAM-SHA-256-PLUS" in plain.capabilities, plain.capabilities
