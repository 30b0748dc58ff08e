"""Writes a corpus of messages, signed and sealed by python3-dkim: a case a line on standard input,
as JSON, with `name`, `from`, and `signer` (a domain) or `hops` (of an ARC chain). `spoilt` says what
is changed behind the signatures: `body`, or `seal`. Prints the record of the key."""

import json
import re
import subprocess
import sys

import dkim

MESSAGE = """From: Ann <%s>\r
To: bob@example.test\r
Subject: %s\r
Authentication-Results: far.test; spf=pass smtp.mailfrom=far.test\r
Message-ID: <%s@far.test>\r
Date: Sun, 22 Nov 2026 10:00:00 +0000\r
MIME-Version: 1.0\r
\r
A line of this case,\r
and more.\r
"""

directory = sys.argv[1]
run = lambda *command: subprocess.run(command, check=True, capture_output=True).stdout
run("openssl", "genrsa", "-traditional", "-out", directory + "/key.pem", "2048")
public = run("openssl", "rsa", "-in", directory + "/key.pem", "-pubout", "-outform", "PEM")
with open(directory + "/key.pem", "rb") as file:
    key = file.read()
for line in sys.stdin:
    case = json.loads(line)
    message = (MESSAGE % (case["from"], case["name"], case["name"])).encode()
    if case.get("signer"):
        signed = {"canonicalize": (b"relaxed", b"relaxed")}
        message = dkim.sign(message, b"s", case["signer"].encode(), key, **signed) + message
    for hop in range(case.get("hops", 0)):
        if hop > 0:
            # What it found of the chain so far, once, for the seal to say.
            found = b"Authentication-Results: far.test; arc=pass\r\n"
            message = found + message.replace(found, b"")
        fields = dkim.ARC(message).sign(b"s", b"far.test", key, b"far.test", standardize=True)
        message = b"".join(fields) + message
    if case.get("spoilt") == "body":
        message = message.replace(b"and more", b"and less")
    if case.get("spoilt") == "seal":
        # The oldest one: one that only its own signature tells from a good one.
        head, tail = message[: message.rindex(b"ARC-Seal:")], message[message.rindex(b"ARC-Seal:") :]
        message = head + re.sub(rb"(\bt=)\d+", rb"\g<1>1700000000", tail, count=1)
    with open("%s/%s.eml" % (directory, case["name"]), "wb") as file:
        file.write(message)
print("v=DKIM1; k=rsa; p=" + "".join(public.decode().splitlines()[1:-1]))
