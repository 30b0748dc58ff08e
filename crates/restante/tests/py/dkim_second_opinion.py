"""python3-dkim as another opinion. `verify MESSAGE RECORDS` prints a word for each signature;
`arc MESSAGE RECORDS` prints what the chain comes to and its highest instance;
`sign DIRECTORY` writes messages that it signed and sealed, and the records of its keys."""

import json
import subprocess
import sys

import dkim

MESSAGE = b"""From: Ann <ann@far.test>\r
To: bob@example.test\r
Subject: signed \r
\tby another\r
Authentication-Results: far.test; spf=pass smtp.mailfrom=far.test\r
Message-ID: <1@far.test>\r
Date: Sun, 22 Nov 2026 10:00:00 +0000\r
\r
A line  with\tspace \r
\r
and more.\r
\r
\r
"""


def answers(records):
    with open(records) as file:
        known = json.load(file)
    return lambda name, timeout=5: known.get(name.decode().rstrip("."), "").encode() or None


def arc(path, records):
    with open(path, "rb") as file:
        message = file.read()
    found, sets, _ = dkim.arc_verify(message, dnsfunc=answers(records))
    highest = max((one["instance"] for one in sets), default=0)
    # None: the last seal says that the chain had failed before it.
    print((found or b"ended").decode(), f"i={highest}")


def verify(path, records):
    answer = answers(records)
    with open(path, "rb") as file:
        message = file.read()
    count = message.lower().split(b"\r\n\r\n")[0].count(b"dkim-signature:")
    for index in range(count):
        good = dkim.DKIM(message).verify(idx=index, dnsfunc=answer)
        print("pass" if good else "fail")


def sign(directory):
    run = lambda *command: subprocess.run(command, check=True, capture_output=True).stdout
    run("openssl", "genrsa", "-traditional", "-out", directory + "/key.pem", "2048")
    public = run("openssl", "rsa", "-in", directory + "/key.pem", "-pubout", "-outform", "PEM")
    record = "v=DKIM1; k=rsa; p=" + "".join(public.decode().splitlines()[1:-1])
    with open(directory + "/key.pem", "rb") as file:
        key = file.read()
    for header in (b"simple", b"relaxed"):
        for body in (b"simple", b"relaxed"):
            field = dkim.sign(MESSAGE, b"s", b"far.test", key, canonicalize=(header, body))
            with open(f"{directory}/{header.decode()}-{body.decode()}.eml", "wb") as file:
                file.write(field + MESSAGE)
    sealed = MESSAGE
    for hop in (1, 2):
        if hop == 2:
            # What it found of the chain so far, for the seal to say.
            sealed = b"Authentication-Results: far.test; arc=pass\r\n" + sealed
        fields = dkim.ARC(sealed).sign(b"s", b"far.test", key, b"far.test", standardize=True)
        sealed = b"".join(fields) + sealed
        with open(f"{directory}/arc-{hop}.eml", "wb") as file:
            file.write(sealed)
    print(record)


if sys.argv[1] == "verify":
    verify(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "arc":
    arc(sys.argv[2], sys.argv[3])
else:
    sign(sys.argv[2])
