"""APPEND, COPY, MOVE, STORE, EXPUNGE, SEARCH and the codes of UIDPLUS (RFC 4315, RFC 6851)."""
import imaplib
import re
import time

from here import ALICE, deliver, imap, message, ok

imaplib.Commands.setdefault("MOVE", ("SELECTED",))


def subjects(client):
    if client.select_count() == 0:
        return []
    parts = ok(client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    return [part[1].decode().strip().removeprefix("Subject: ") for part in parts if isinstance(part, tuple)]


def select_count(client):
    return len(ok(client.search(None, "ALL"))[0].split())


imaplib.IMAP4.select_count = select_count
client = imap()
assert "UIDPLUS" in client.capabilities and "MOVE" in client.capabilities, client.capabilities
ok(client.select("INBOX"))

# APPEND keeps bytes, flags and date, and names the new UID.
text = message("appended", body="caf\u00e9 with a bare dot\r\n.\r\nend").encode("utf-8")
date = imaplib.Time2Internaldate(time.mktime((2020, 2, 29, 12, 0, 0, 0, 0, 0)))
answer = ok(client.append("INBOX", r"(\Seen $Forwarded)", date, text))[0]
code = re.search(rb"\[APPENDUID (\d+) (\d+)\]", answer)
assert code, answer
client.noop()
fetched = ok(client.uid("FETCH", code[2].decode(), "(FLAGS INTERNALDATE BODY.PEEK[])"))[0]
assert fetched[1] == text, fetched
assert rb"\Seen" in fetched[0] and b"$Forwarded" in fetched[0], fetched
assert b"29-Feb-2020" in fetched[0], fetched

for number in range(1, 6):
    deliver(ALICE, f"mail {number}", body=f"needle{number}")
client.noop()
assert subjects(client) == ["appended"] + [f"mail {n}" for n in range(1, 6)]

# SEARCH looks into headers, bodies and flags.
for criteria, wanted in (
    (("SUBJECT", '"mail 3"'), b"4"),
    (("BODY", "needle5"), b"6"),
    (("TEXT", "eedle4"), b"5"),
    (("SEEN",), b"1"),
    (("UNSEEN", "NOT", "SUBJECT", '"mail 1"'), b"3 4 5 6"),
    (("FROM", "stranger", "OR", "1", "2:3"), b"1 2 3"),
):
    assert ok(client.search(None, *criteria))[0] == wanted, (criteria, client.search(None, *criteria))

# COPY keeps flags and leaves the original.
ok(client.store("2", "+FLAGS", r"(\Flagged custom)"))
answer = client.copy("2,3", "Archive")
ok(answer)
code = client.response("COPYUID")[1][0] or re.search(rb"COPYUID ([^\]]*)", answer[1][0])[1]
assert len(code.split()) == 3, code
assert subjects(client)[1:3] == ["mail 1", "mail 2"]
ok(client.select("Archive"))
assert subjects(client) == ["mail 1", "mail 2"]
assert rb"\Flagged" in ok(client.fetch("1", "(FLAGS)"))[0]

# MOVE takes it away from here.
ok(client.select("INBOX"))
ok(client._simple_command("MOVE", "4", "Trash"))
assert subjects(client) == ["appended", "mail 1", "mail 2", "mail 4", "mail 5"]
ok(client.select("Trash"))
assert subjects(client) == ["mail 3"]

# EXPUNGE removes what is \Deleted, UID EXPUNGE only what is named.
ok(client.select("INBOX"))
ok(client.store("1,2", "+FLAGS", r"(\Deleted)"))
uid = re.search(rb"UID (\d+)", ok(client.fetch("2", "(UID)"))[0])[1].decode()
ok(client.uid("EXPUNGE", uid))
assert subjects(client) == ["appended", "mail 2", "mail 4", "mail 5"]
ok(client.expunge())
assert subjects(client) == ["mail 2", "mail 4", "mail 5"]

# A removed UID does not come back, and a new one is larger than all.
before = int(re.search(rb"UID (\d+)", ok(client.fetch("3", "(UID)"))[0])[1])
deliver(ALICE, "mail 6")
client.noop()
after = int(re.search(rb"UID (\d+)", ok(client.fetch("4", "(UID)"))[0])[1])
assert after > before > int(uid)

# EXAMINE changes nothing.
ok(client.select("INBOX", readonly=True))
client.store("1", "+FLAGS", r"(\Deleted)")
ok(client.fetch("1", "(BODY[])"))
flags = ok(client.fetch("1", "(FLAGS)"))[0]
assert rb"\Seen" not in flags and rb"\Deleted" not in flags, flags
client.logout()
