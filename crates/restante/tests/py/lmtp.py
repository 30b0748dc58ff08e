"""LMTP by python's smtplib, over the Unix socket and over TCP."""

import os
import smtplib

MESSAGE = b"From: front <x@outside.test>\r\nSubject: over lmtp\r\n\r\ntext\r\n.dot\r\n"


def check(lmtp):
    # No SMTP on it.
    assert lmtp.docmd("EHLO front.test")[0] == 500
    assert lmtp.docmd("HELO front.test")[0] == 500
    code, said = lmtp.docmd("LHLO", "front.test")
    assert code == 250, said
    for word in (b"PIPELINING", b"ENHANCEDSTATUSCODES", b"8BITMIME"):
        assert word in said, said
    assert b"AUTH" not in said and b"CHUNKING" not in said, said
    assert lmtp.docmd("MAIL FROM:<x@outside.test>")[0] == 250
    assert lmtp.docmd("RCPT TO:<alice@example.test>")[0] == 250
    assert lmtp.docmd("RCPT TO:<nobody@example.test>")[0] == 550
    assert lmtp.docmd("RCPT TO:<somebody@elsewhere.test>")[0] == 550
    assert lmtp.docmd("RCPT TO:<bob@example.test>")[0] == 250
    assert lmtp.docmd("DATA")[0] == 354
    lmtp.send(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    # One reply for alice, one for bob.
    replies = [lmtp.getreply(), lmtp.getreply()]
    assert [code for code, _ in replies] == [250, 250], replies
    assert lmtp.docmd("NOOP")[0] == 250
    # No recipient, no content.
    assert lmtp.docmd("MAIL FROM:<x@outside.test>")[0] == 250
    assert lmtp.docmd("DATA")[0] == 503
    lmtp.quit()
    return replies[0][1].decode().split(" ", 1)[1]


print("receipt", check(smtplib.LMTP(os.path.join(os.environ["DATA"], "lmtp.sock"))))
print("receipt", check(smtplib.LMTP("127.0.0.1", int(os.environ["LMTP"]))))
print("all as expected")
