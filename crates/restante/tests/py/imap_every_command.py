"""Every command that imaplib has, on a server that announces what it needs (RFC 3501, RFC 9051)."""
import imaplib
import re

from here import ALICE, BOB, PASSWORD, deliver, imap, message, ok, port, tls

# Any state.
client = imaplib.IMAP4("127.0.0.1", port("IMAP"), timeout=30)
assert client.PROTOCOL_VERSION == "IMAP4REV1", client.PROTOCOL_VERSION
ok(client.capability())
ok(client.noop())
# Not authenticated: each way in.
ok(client.starttls(tls()))
ok(client.authenticate("PLAIN", lambda challenge: f"\0{ALICE}\0{PASSWORD}".encode()))
assert client.logout()[0] == "BYE"
with imaplib.IMAP4_SSL("127.0.0.1", port("IMAPS"), ssl_context=tls(), timeout=30) as client:
    ok(client.login(ALICE, PASSWORD))
wrong = imaplib.IMAP4("127.0.0.1", port("IMAP"), timeout=30)
try:
    wrong.login(ALICE, "wrong")
    raise AssertionError("signed in with a wrong password")
except imaplib.IMAP4.error as error:
    assert "AUTHENTICATIONFAILED" in str(error), error
wrong.shutdown()

# Authenticated.
client = imap()
has = client.capabilities.__contains__
ok(client.enable("CONDSTORE"))
ok(client.list())
assert ok(client.namespace())[0].startswith(b'(("" "/"))'), client.namespace()
ok(client.create("Work"))
ok(client.create("Work/2026"))
ok(client.subscribe("Work/2026"))
assert any(b"Work/2026" in line for line in ok(client.lsub()))
ok(client.unsubscribe("Work/2026"))
assert not any(line and b"Work/2026" in line for line in ok(client.lsub()))
ok(client.rename("Work/2026", "Work/2027"))
assert any(b"Work/2027" in line for line in ok(client.list('""', "Work/*")))
status = ok(client.status("Work", "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"))[0]
assert re.search(rb"MESSAGES 0 RECENT 0 UIDNEXT \d+ UIDVALIDITY \d+ UNSEEN 0", status), status
ok(client.append("Work", r"(\Seen)", None, message("first").encode()))
ok(client.append("Work", None, '"01-Feb-2020 03:04:05 +0600"', message("second").encode()))
if has("QUOTA"):
    ok(client.getquotaroot("INBOX"))
if has("ACL"):
    ok(client.getacl("Work"))
    assert b"l" in ok(client.myrights("Work"))[0]
    ok(client.setacl("Work", BOB, "lr"))
    assert BOB.encode() in ok(client.getacl("Work"))[0]
    ok(client.deleteacl("Work", BOB))

# Selected.
assert ok(client.select("Work")) == [b"2"]
assert client.response("UIDVALIDITY")[1][0].isdigit()
assert client.response("EXISTS")[0] == "EXISTS"
ok(client.check())
ok(client.recent())
assert ok(client.search(None, "ALL")) == [b"1 2"]
assert ok(client.search("UTF-8", "SUBJECT", "second")) == [b"2"]
assert ok(client.search(None, "SENTON", "22-Nov-2026")) == [b"1 2"]
assert ok(client.search(None, "BEFORE", "2-Feb-2020")) == [b"2"]
if has("SORT"):
    assert ok(client.sort("(REVERSE SUBJECT)", "UTF-8", "ALL")) == [b"2 1"]
if has("THREAD=REFERENCES"):
    assert ok(client.thread("REFERENCES", "UTF-8", "ALL")) in ([b"(1)(2)"], [b"(2)(1)"])
for items in (
    "ALL", "FAST", "FULL", "(FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE BODY BODYSTRUCTURE)",
    "RFC822.HEADER", "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]", "BODY.PEEK[1.MIME]", "BODY.PEEK[]<3.5>",
):
    assert len([part for part in ok(client.fetch("1:2", items)) if part != b")"]) == 2, items
assert rb"\Flagged" in ok(client.store("1", "+FLAGS", r"\Flagged"))[0]
assert rb"\Flagged" not in ok(client.store("1", "FLAGS", r"(\Answered)"))[0]
ok(client.copy("1", "Work/2027"))
uid = re.search(rb"UID (\d+)", ok(client.fetch("2", "UID"))[0])[1].decode()
assert uid.encode() in ok(client.uid("SEARCH", "ALL"))[0].split()
ok(client.uid("COPY", uid, "Work/2027"))
ok(client.uid("STORE", uid, "+FLAGS", r"(\Deleted)"))
deliver(ALICE, "elsewhere")
assert ok(client.expunge()) == [b"2"]
ok(client.unselect() if has("UNSELECT") else client.close())
ok(client.select("Work/2027", readonly=True))
assert client.is_readonly
assert client.store("1", "+FLAGS", r"\Deleted")[0] == "NO"
ok(client.close())
ok(client.xatom("NOOP"))
ok(client.delete("Work/2027"))
assert client.select("Work/2027")[0] == "NO"
for line in (b"NOTHING", b"UID NOTHING 1", b"LIST (", b"FETCH 1 (", b"SELECT {"):
    try:
        answer = client.xatom(line.decode())
        assert answer[0] != "OK", (line, answer)
    except imaplib.IMAP4.error as error:
        assert "BAD" in str(error), error
assert client.logout()[0] == "BYE"
