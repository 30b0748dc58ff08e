"""GETACL, SETACL, MYRIGHTS, DELETEACL, LISTRIGHTS, NAMESPACE: a mailbox that two people use."""
from here import ALICE, BOB, imap, message, ok

alice, bob = imap(ALICE), imap(BOB)
shared = f'"Other Users/{ALICE}/Team"'
assert b"Other Users" in ok(bob.namespace())[0]

ok(alice.create("Team"))
ok(alice.append("Team", None, None, message("for both").encode()))
assert bob.select(shared)[0] == "NO"

ok(alice.setacl("Team", BOB, "lrs"))
assert f"{BOB} lrs".encode() in ok(alice.getacl("Team"))[0]
assert ok(bob.myrights(shared))[0].endswith(b" lrs")
assert any(shared.encode() in line for line in ok(bob.list()))
ok(bob.select(shared))
assert b"for both" in ok(bob.fetch("1", "(BODY.PEEK[])"))[0][1]
ok(bob.store("1", "+FLAGS", r"(\Seen \Deleted)"))
assert b"Deleted" not in ok(bob.fetch("1", "(FLAGS)"))[0]
assert bob.expunge()[0] == "NO"
assert bob.getacl(shared)[0] == "NO"
assert bob.append(shared, None, None, message("not from bob").encode())[0] == "NO"

ok(alice.setacl("Team", BOB, "+itew"))
ok(bob.append(shared, r"(\Flagged)", None, message("from bob").encode()))
ok(alice.select("Team"))
assert ok(alice.search(None, "FLAGGED"))[0] == b"2"

ok(alice.deleteacl("Team", BOB))
assert BOB.encode() not in ok(alice.getacl("Team"))[0]
assert not any(b"Team" in line for line in ok(bob.list()) if line)
bob.shutdown()
alice.logout()
