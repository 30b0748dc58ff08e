"""Sessions that began with the old password end with it; those of others go on."""
import imaplib
import os
import poplib
import smtplib
import subprocess

from here import ALICE, BOB, HOST, PASSWORD, SECONDS, imap, ok, port


def idle(user):
    client = imap(user, "INBOX")
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+")
    return client


waiting, busy, other = idle(ALICE), imap(ALICE), idle(BOB)
maildrop = poplib.POP3(HOST, port("POP3"), timeout=SECONDS)
maildrop.user(ALICE)
maildrop.pass_(PASSWORD)
submission = smtplib.SMTP(HOST, port("SUBMISSION"), timeout=SECONDS)
submission.ehlo()
submission.login(ALICE, PASSWORD)

new = os.environ["DATA"] + ".new-password"
with open(new, "w") as file:
    file.write("another password entirely\n")
words = ["account", "password", ALICE, "--password-file", new, "--data", os.environ["DATA"]]
subprocess.run([os.environ["BINARY"], *words], check=True, capture_output=True)

for client in (waiting, busy):
    line = client.readline()
    assert line.startswith(b"* BYE "), line
    assert client.readline() == b"", "still open"
assert maildrop.file.readline() == b"", "still open"
code, text = submission.mail(ALICE)
assert code == 530, (code, text)

other.send(b"DONE\r\n")
while not (line := other.readline()).startswith(b"i OK"):
    assert line.startswith(b"* ") and b"BYE" not in line, line
try:
    imap(ALICE)
    raise AssertionError("the old password signs in")
except imaplib.IMAP4.error:
    pass
client = imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS)
ok(client.login(ALICE, "another password entirely"))
