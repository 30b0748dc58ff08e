"""The moment smtplib has its 250, IMAP and POP3 show the message, in open sessions too."""
import poplib

from here import ALICE, HOST, PASSWORD, SECONDS, deliver, imap, ok, port, tls

watching = imap(ALICE, "INBOX")
for number in range(1, 6):
    deliver(ALICE, f"at once {number}", body=f"line\r\n..dots {number}\r\n.")
    # A session that is open sees it with the next command (RFC 3501 section 7).
    watching.noop()
    assert watching.response("EXISTS")[1][-1] == str(number).encode()
    fresh = imap(ALICE)
    assert ok(fresh.select("INBOX", readonly=True))[0] == str(number).encode()
    fresh.logout()
    pop = poplib.POP3(HOST, port("POP3"), timeout=SECONDS)
    pop.user(ALICE)
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == number
    pop.quit()

pop = poplib.POP3_SSL(HOST, port("POP3S"), timeout=SECONDS, context=tls())
pop.user(ALICE)
pop.pass_(PASSWORD)
by_pop = b"\r\n".join(pop.retr(5)[1]) + b"\r\n"
pop.quit()
by_imap = ok(watching.fetch("5", "(BODY.PEEK[])"))[0][1]
assert by_pop == by_imap, (by_pop, by_imap)
assert b"\r\n..dots 5\r\n.\r\n" in by_imap, by_imap
size = ok(watching.fetch("5", "(RFC822.SIZE)"))[0]
assert f"RFC822.SIZE {len(by_imap)}".encode() in size, size
watching.logout()
