"""With alice's password: everything is read, moved, deleted; the traces are wiped away."""
from here import imap, message, ok

client = imap(mailbox="INBOX")
ok(client.store("1:*", "+FLAGS", r"(\Seen)"))
ok(client.create("Stolen"))
ok(client.copy("1", "Stolen"))
ok(client._simple_command("MOVE", "2", "Trash"))
ok(client.store("1:*", "+FLAGS", r"(\Deleted)"))
ok(client.expunge())
ok(client.select("Trash"))
ok(client.store("1:*", "+FLAGS", r"(\Deleted)"))
ok(client.expunge())
ok(client.close())
ok(client.delete("Projects"))
ok(client.rename("Archive", "Nothing"))
ok(client.unsubscribe("Sent"))
ok(client.append("Sent", None, None, message("planted").encode()))
client.logout()
