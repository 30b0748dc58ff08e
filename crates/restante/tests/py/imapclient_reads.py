"""IMAPClient: what programs built on it do, and what it makes of the answers."""
import datetime

from imapclient import IMAPClient

from here import ALICE, BOB, HOST, PASSWORD, SECONDS, message, port, tls

client = IMAPClient(HOST, port=port("IMAP"), ssl=False, timeout=SECONDS)
client.starttls(tls())
client.login(ALICE, PASSWORD)
for name in ("IMAP4REV1", "MOVE", "UIDPLUS", "CONDSTORE", "SORT", "QUOTA", "ACL", "IDLE"):
    assert client.has_capability(name), name
personal = client.namespace().personal
assert personal[0][0] == "" and personal[0][1] == "/", personal
assert b"Restante" in str(client.id_({"name": "test"})).encode()

# Folders, with names that are no ASCII.
assert client.find_special_folder(b"\\Sent") == "Sent"
client.create_folder("Arbeit/Grüße & mehr")
client.subscribe_folder("Arbeit/Grüße & mehr")
assert "Arbeit/Grüße & mehr" in [name for _, _, name in client.list_sub_folders()]
assert client.folder_exists("Arbeit/Grüße & mehr")

# Twenty messages in threads of their own, every second one seen.
subject = "Grüße {}"
for number in range(20):
    headers = f"References: <{number % 3}@thread>\r\n" if number > 2 else ""
    text = message(f"note {number}").replace("Subject: ", f"{headers}Subject: ")
    text = text.replace(f"note.{number}@outside.test", f"{number}@thread")
    flags = [b"\\Seen"] if number % 2 else []
    when = datetime.datetime(2026, 11, 1 + number, 12, 0, 0, tzinfo=datetime.timezone.utc)
    client.append("INBOX", text.encode(), flags=flags, msg_time=when)
raw = message(subject.format("roh"), "Body in UTF-8: Grüße")
client.append("INBOX", raw.encode())
opened = client.select_folder("INBOX")
assert opened[b"EXISTS"] == 21 and opened[b"UIDVALIDITY"] > 0 and b"HIGHESTMODSEQ" in opened

assert client.search(["UNSEEN"]) == [n + 1 for n in range(0, 20, 2)] + [21]
assert client.search(["SUBJECT", "Grüße"], charset="UTF-8") == [21]
assert client.search(["SINCE", datetime.date(2026, 11, 15), "BEFORE", datetime.date(2026, 11, 17)]) == [15, 16]
assert client.sort("REVERSE ARRIVAL", ["NOT", "SUBJECT", "roh"], "UTF-8")[:3] == [20, 19, 18]
threads = client.thread("REFERENCES", "SUBJECT note")
assert len(threads) == 3 and threads[0][0] == 1, threads

fetched = client.fetch([1, 21], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "RFC822.SIZE", "INTERNALDATE", "MODSEQ", "BODY.PEEK[]"])
one, last = fetched[1], fetched[21]
assert one[b"ENVELOPE"].subject == b"note 0" and one[b"ENVELOPE"].from_[0].mailbox == b"stranger"
assert one[b"BODYSTRUCTURE"][:2] == (b"TEXT", b"PLAIN") and len(one[b"BODY[]"]) == one[b"RFC822.SIZE"]
assert last[b"BODY[]"] == raw.encode(), last[b"BODY[]"]
# RFC 6855 §7: it has not enabled UTF8=ACCEPT, so what the header says in UTF-8 is told in ASCII.
assert last[b"ENVELOPE"].subject == b"=?utf-8?q?Gr=C3=BC=C3=9Fe_roh?=", last[b"ENVELOPE"]

assert b"\\Flagged" in client.add_flags([1, 2], [b"\\Flagged", b"$Junk"])[1]
client.remove_flags([2], [b"$Junk"])
assert set(client.get_flags([2])[2]) - {b"\\Recent"} == {b"\\Flagged", b"\\Seen"}
client.copy([1, 2], "Arbeit/Grüße & mehr")
client.move([3], "Arbeit/Grüße & mehr")
status = client.folder_status("Arbeit/Grüße & mehr", ["MESSAGES", "UNSEEN", "UIDNEXT"])
assert (status[b"MESSAGES"], status[b"UNSEEN"], status[b"UIDNEXT"]) == (3, 2, 4), status
client.delete_messages([4, 5])
client.uid_expunge([4])
assert 4 not in client.search() and 5 in client.search()
client.expunge()
assert 5 not in client.search()

root, quotas = client.get_quota_root("INBOX")
assert root.mailbox == "INBOX"
client.setacl("INBOX", BOB, "lr")
assert (BOB.encode(), b"lr") in [(str(who).encode() if isinstance(who, str) else who, rights) for who, rights in client.getacl("INBOX")]
appended = client.multiappend("INBOX", [message("a").encode(), message("b").encode()])
assert b"APPENDUID" in appended[1][0], appended

# Somebody else's message is told to whoever idles.
other = IMAPClient(HOST, port=port("IMAPS"), ssl=True, ssl_context=tls(), timeout=SECONDS)
other.login(ALICE, PASSWORD)
client.noop()
client.idle()
other.append("INBOX", message("pushed").encode())
told = client.idle_check(timeout=SECONDS)
assert any(what == b"EXISTS" for _, what in told), told
client.idle_done()
other.logout()

client.unselect_folder()
assert client.enable("CONDSTORE") == [b"CONDSTORE"]
client.rename_folder("Arbeit/Grüße & mehr", "Arbeit/neu")
client.delete_folder("Arbeit/neu")
assert not client.folder_exists("Arbeit/neu")
client.logout()
