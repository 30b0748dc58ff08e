"""GETQUOTAROOT, and what a full mailbox says over IMAP and SMTP: alice may keep two messages."""
import smtplib

from here import ALICE, BOB, HOST, imap, message, ok, port

client = imap(ALICE)
root, quota = ok(client.getquotaroot("INBOX"))
assert ALICE.encode() in root[0], root
assert b"MESSAGE 0 2" in quota[0] and b"STORAGE 0 1024" in quota[0], quota
assert client.setquota(ALICE, "(MESSAGE 100)")[0] == "NO"
assert client.getquota(BOB)[0] == "NO"
for number in range(2):
    ok(client.append("Drafts", None, None, message(f"number {number}").encode()))
answer = client.append("Drafts", None, None, message("too much").encode())
assert answer[0] == "NO" and b"[OVERQUOTA]" in answer[1][0], answer
ok(client.select("Drafts"))
answer = client.copy("1", "INBOX")
assert answer[0] == "NO" and b"[OVERQUOTA]" in answer[1][0], answer

smtp = smtplib.SMTP(HOST, port("SMTP"))
smtp.ehlo("mx.example.net")
smtp.mail("eve@example.net")
code, text = smtp.rcpt(ALICE)
assert code == 452 and text.startswith(b"4.2.2 "), (code, text)
assert smtp.rcpt(BOB)[0] == 250
smtp.quit()

# Room again.
ok(client.store("1", "+FLAGS", r"(\Deleted)"))
ok(client.expunge())
smtp = smtplib.SMTP(HOST, port("SMTP"))
smtp.sendmail("eve@example.net", [ALICE], message("there is room"))
smtp.quit()
client.logout()
