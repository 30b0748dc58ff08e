"""RFC 2177: what happens elsewhere reaches a session in IDLE without being asked for."""
import imaplib

from here import ALICE, deliver, imap, message, ok


class Idling:
    """imaplib has no IDLE before Python 3.14: the lines are read by hand."""

    def __init__(self):
        self.client = imap(ALICE, "INBOX")
        assert "IDLE" in self.client.capabilities
        self.tag = self.client._new_tag()
        self.client.send(self.tag + b" IDLE\r\n")
        line = self.line()
        assert line.startswith(b"+"), line

    def line(self):
        # The socket's time limit turns silence into a failure.
        return self.client.readline().rstrip()

    def wait(self, wanted):
        seen = []
        while True:
            line = self.line()
            seen.append(line)
            if all(part in line for part in wanted):
                return line
            assert line.startswith(b"* "), seen

    def done(self):
        self.client.send(b"DONE\r\n")
        while not (line := self.line()).startswith(self.tag):
            assert line.startswith(b"* "), line
        assert b" OK" in line, line


idle = Idling()
deliver(ALICE, "pushed 1")
idle.wait((b"1 EXISTS",))
deliver(ALICE, "pushed 2")
idle.wait((b"2 EXISTS",))

other = imap(ALICE, "INBOX")
ok(other.append("INBOX", None, None, message("pushed 3").encode()))
idle.wait((b"3 EXISTS",))
ok(other.store("2", "+FLAGS", r"(\Flagged)"))
idle.wait((b"2 FETCH", rb"\Flagged"))
ok(other.store("1", "+FLAGS", r"(\Deleted)"))
ok(other.expunge())
idle.wait((b"1 EXPUNGE",))
idle.done()

# After DONE the session goes on where it was.
assert idle.client._simple_command("NOOP")[0] == "OK"
answer = ok(idle.client.search(None, "ALL"))
assert answer[0] == b"1 2", answer
idle.client.logout()
other.logout()
