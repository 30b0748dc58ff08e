"""RFC 5465: what was asked for with NOTIFY comes by itself, on a connection that says nothing."""
import socket

from here import ALICE, BOB, HOST, PASSWORD, SECONDS, deliver, imap, message, ok, port


class Watcher:
    """Lines as they come: no library waits for what it has not asked for."""

    def __init__(self):
        # The socket's time limit turns silence into a failure.
        self.socket = socket.create_connection((HOST, port("IMAP")), timeout=SECONDS)
        self.file = self.socket.makefile("rb")
        assert self.line().startswith(b"* OK")
        self.count = 0

    def line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), line
        return line.rstrip()

    def say(self, command):
        """The lines of the answer; it must be OK."""
        self.count += 1
        tag = b"w%d" % self.count
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n")
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(tag + b" "):
                assert lines[-1].startswith(tag + b" OK"), lines
                return lines

    def told(self, *wanted):
        """Waits for a line with all of this; none that comes before it may be an answer."""
        seen = []
        while True:
            seen.append(self.line())
            assert seen[-1].startswith(b"* "), seen
            if all(part in seen[-1] for part in wanted):
                return seen[-1]


watcher = Watcher()
watcher.say(f'LOGIN {ALICE} "{PASSWORD}"')
watcher.say("SELECT INBOX")
watcher.say(
    "NOTIFY SET (selected (MessageNew (uid flags) MessageExpunge FlagChange))"
    " (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"
)
other = imap(ALICE, "INBOX")

# The selected mailbox, to which others deliver and in which other programs change.
deliver(ALICE, "told of")
watcher.told(b"* 1 EXISTS")
watcher.told(b"* 1 FETCH", b"UID 1", b"FLAGS")
other.noop()
ok(other.store("1", "+FLAGS", r"(\Flagged)"))
watcher.told(b"* 1 FETCH", b"UID 1", rb"\Flagged")
ok(other.store("1", "+FLAGS", r"(\Deleted)"))
ok(other.expunge())
watcher.told(b"* 1 EXPUNGE")

# Mailboxes that are not selected: their names, their messages, their flags.
ok(other.create("Work"))
watcher.told(b"* LIST ", b"Work")
ok(other.append("Work", None, None, message("elsewhere").encode()))
watcher.told(b"* STATUS Work (", b"MESSAGES 1", b"UIDNEXT 2")
ok(other.select("Work"))
ok(other.store("1", "+FLAGS", r"(\Seen)"))
watcher.told(b"* STATUS Work (", b"UNSEEN 0")
ok(other.store("1", "+FLAGS", r"(\Deleted)"))
ok(other.expunge())
watcher.told(b"* STATUS Work (", b"MESSAGES 0")
ok(other.unselect())
ok(other.subscribe("Work"))
watcher.told(b"* LIST (", rb"\Subscribed", b"Work")
ok(other.rename("Work", "Done"))
watcher.told(b"* LIST (", b"Done", b"OLDNAME", b"Work")
ok(other.delete("Done"))
watcher.told(b"* LIST (", rb"\NonExistent", b"Done")

# Nothing of other people's mailboxes, and nothing any more once it is not wanted.
deliver(BOB, "not yours")
watcher.say("NOTIFY NONE")
ok(other.create("Quiet"))
ok(other.append("Quiet", None, None, message("unheard").encode()))
assert len(watcher.say("NOOP")) == 1
other.logout()
