"""Where the server under test is, and what every script needs."""
import imaplib
import os
import smtplib
import ssl
import time

HOST = "127.0.0.1"
ALICE, BOB, CAROL = (f"{name}@example.test" for name in ("alice", "bob", "carol"))
PASSWORD = os.environ["PASSWORD"]
SECONDS = 30

imaplib._MAXLINE = 10_000_000


def port(service):
    return int(os.environ[service])


def tls():
    """The certificate of a fresh installation signs itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def imap(user=ALICE, mailbox=None):
    client = imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS)
    client.login(user, PASSWORD)
    # imaplib asks only before the sign-in, and more is offered after it.
    client._get_capabilities()
    if mailbox:
        ok(client.select(mailbox))
    return client


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def message(subject, body="Hello.", sender="stranger@outside.test"):
    return (
        f"From: {sender}\r\nTo: {ALICE}\r\nSubject: {subject}\r\n"
        f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject.replace(' ', '.')}@outside.test>\r\n\r\n{body}\r\n"
    )


def deliver(to, subject, body="Hello."):
    with smtplib.SMTP(HOST, port("SMTP"), "outside.test", timeout=SECONDS) as smtp:
        assert smtp.sendmail("stranger@outside.test", [to], message(subject, body)) == {}


def until(what, look, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not seen in time: {what}")
