"""Makes a Maildir and an mbox tree with Python's mailbox module below DIR: INBOX, Sent and a folder
with a name of its own; flags, dates, twins, line ends and hostile lines among the messages."""

import mailbox
import os
import sys

where, count = sys.argv[1], int(sys.argv[2])


def letter(number):
    body = f"The body of {number}.\nFrom here on\n>From there\n\nFrom a@b Sat Jan  3 01:05:34 1996\nend\n"
    if number % 7 == 3:
        body += "Zeile mit \u00e4\n" * 50
    same = number if number % 5 else 0
    return (
        f"From: Ann <ann@example.org>\nTo: bob@example.net\nSubject: Letter {same}\n"
        f"Message-ID: <{same}@example.org>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n"
    ).encode() + (body.replace(str(number), str(same)) if same == 0 else body).encode()


os.makedirs(where)
root = mailbox.Maildir(os.path.join(where, "Maildir"))
boxes = {"INBOX": root, "Sent": root.add_folder("Sent"), "Old/B&APw-cher": root.add_folder("Old.B&APw-cher")}
os.makedirs(os.path.join(where, "mbox", "Old"))
for place, (name, box) in enumerate(boxes.items()):
    path = os.path.join(where, "mbox", name.replace("B&APw-cher", "B\u00fccher") + ".mbox")
    with open(path, "wb") as mbox:
        for number in range(place * 1000, place * 1000 + count):
            text = letter(number)
            message = mailbox.MaildirMessage(text)
            message.set_subdir("cur" if number % 3 else "new")
            message.set_flags(["", "S", "FS", "RS", "DT"][number % 5])
            message.set_date(1_700_000_000 + number)
            key = box.add(message)
            quoted = b"".join(
                (b">" if line.lstrip(b">").startswith(b"From ") else b"") + line
                for line in text.splitlines(True)
            )
            flags = ["O", "RO", "RO\nX-Status: F", "RO\nX-Status: A", "O\nX-Status: TD"][number % 5]
            head, body = quoted.split(b"\n\n", 1)
            mbox.write(b"From ann@example.org Tue Nov 14 22:13:20 2023\n" + head)
            mbox.write(f"\nStatus: {flags}\n\n".encode() + body + b"\n")
print("made")
