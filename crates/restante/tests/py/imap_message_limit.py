"""MESSAGELIMIT (RFC 9738) with imaplib: a program that goes on where it is told gets all."""
import re

from here import imap, ok

LIMIT = 1000
client = imap()
assert f"MESSAGELIMIT={LIMIT}" in client.capabilities, client.capabilities
ok(client.select("INBOX"))


def cut():
    """The lowest UID worked on, where that was not all."""
    code = client.untagged_responses.pop("MESSAGELIMIT", None)
    if code is None:
        return None
    limit, lowest = code[-1].split()
    assert int(limit) == LIMIT
    return int(lowest)


# Everything, from the last to the first.
found, upper = [], 4_294_967_295
while True:
    uids = ok(client.uid("SEARCH", "UNDELETED", "UIDBEFORE", str(upper)))[0].split()
    found += [int(uid) for uid in uids]
    lowest = cut()
    if lowest is None:
        break
    upper = lowest
assert sorted(found) == list(range(1, 2501)), len(found)

fetched = ok(client.uid("FETCH", "1:*", "(FLAGS)"))
assert [int(re.search(rb"UID (\d+)", line)[1]) for line in fetched] == list(range(2500, 1500, -1))
assert cut() == 1501
answer, why = client.uid("COPY", "1:*", "Archive")
assert answer == "NO" and b"Too many" in why[0], why
assert ok(client.status("Archive", "(MESSAGES)"))[0].endswith(b"(MESSAGES 0)")
client.untagged_responses.clear()
# Repeated until nothing is left over, as RFC 9738 tells programs to.
moves = 0
while True:
    ok(client.uid("MOVE", "1:*", "Archive"))
    moves += 1
    if cut() is None:
        break
assert moves == 3
assert ok(client.status("Archive", "(MESSAGES)"))[0].endswith(b"(MESSAGES 2500)")
client.logout()
