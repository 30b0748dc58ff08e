"""CREATE, RENAME, SUBSCRIBE, DELETE, LIST, STATUS, and the mailboxes every account has."""
import re

from here import ALICE, deliver, imap, message, ok

deliver(ALICE, "so that the inbox is in use")
client = imap()


def names(answer):
    found = (re.search(rb'(?:"([^"]*)"|(\S+))$', line) for line in answer if line)
    return {(name[1] or name[2]).decode() for name in found}


# RFC 6154: special uses.
listed = ok(client.list())
for name, use in (("Sent", rb"\Sent"), ("Drafts", rb"\Drafts"), ("Trash", rb"\Trash"),
                  ("Junk", rb"\Junk"), ("Archive", rb"\Archive")):
    line = next(line for line in listed if line.endswith(name.encode()) or line.endswith(b'"' + name.encode() + b'"'))
    assert use in line, line
assert "INBOX" in names(listed)

for name in ("Work", "Work/2026", '"with space"', "&ZeVnLIqe-"):
    ok(client.create(name))
assert {"Work", "Work/2026", "with space", "&ZeVnLIqe-"} <= names(ok(client.list()))
assert client.create("Work")[0] == "NO", "it is there already"
assert client.create("INBOX")[0] == "NO"

ok(client.append("Work/2026", None, None, message("kept").encode()))
ok(client.rename("Work", "Job"))
assert {"Job", "Job/2026"} <= names(ok(client.list()))
assert not {"Work", "Work/2026"} & names(ok(client.list()))
status = ok(client.status("Job/2026", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))[0]
assert b"MESSAGES 1" in status and b"UNSEEN 1" in status, status

ok(client.subscribe("Job/2026"))
assert "Job/2026" in names(ok(client.lsub()))
ok(client.unsubscribe("Job/2026"))
assert "Job/2026" not in names(ok(client.lsub()))

# A name that is made again is another mailbox (RFC 3501 section 6.3.3).
validity = re.search(rb"UIDVALIDITY (\d+)", ok(client.status("Job/2026", "(UIDVALIDITY)"))[0])[1]
ok(client.delete("Job/2026"))
assert client.select("Job/2026")[0] == "NO"
ok(client.create("Job/2026"))
status = ok(client.status("Job/2026", "(UIDVALIDITY UIDNEXT MESSAGES)"))[0]
assert b"MESSAGES 0" in status, status
again = re.search(rb"UIDVALIDITY (\d+)", status)[1]
assert int(again) > int(validity), (validity, again)

assert client.delete("INBOX")[0] == "NO"
answer = client.append("No such mailbox".replace(" ", "-"), None, None, message("lost").encode())
assert answer[0] == "NO" and b"[TRYCREATE]" in answer[1][0], answer
client.logout()
