"""Wrong passwords: later each time, and no obstacle for the owner's network or other programs."""
import imaplib
import poplib
import smtplib
import time

from here import ALICE, BOB, HOST, PASSWORD, SECONDS, port


def imap_try(user, password):
    client = imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS)
    begun = time.monotonic()
    try:
        client.login(user, password)
        return True, time.monotonic() - begun
    except imaplib.IMAP4.error as error:
        assert "AUTHENTICATIONFAILED" in str(error), error
        return False, time.monotonic() - begun
    finally:
        client.shutdown()


def pop3_try(user, password):
    client = poplib.POP3(HOST, port("POP3"), timeout=SECONDS)
    begun = time.monotonic()
    try:
        client.user(user)
        client.pass_(password)
        return True, time.monotonic() - begun
    except poplib.error_proto as error:
        assert "[AUTH]" in str(error), error
        return False, time.monotonic() - begun
    finally:
        client.close()


# A program with an old password: it waits the first wait, never longer.
assert imap_try(ALICE, "old password") [0] is False
for _ in range(6):
    right, took = imap_try(ALICE, "old password")
    assert not right and 0.1 < took < 1, took

# The owner's other program gets in; from then on this network is hers.
assert imap_try(ALICE, PASSWORD)[0]

# Guesses wait longer each time, over all protocols together, for her name and for none at all.
for guess, way in enumerate([imap_try, pop3_try, imap_try, pop3_try]):
    right, took = way(f"nobody{guess}@example.test", f"guess {guess}")
    assert not right
right, took = pop3_try(BOB, "another guess")
assert not right and took > 1, took

# She, whose password is remembered here, does not wait at all.
for way in (imap_try, pop3_try):
    right, took = way(ALICE, PASSWORD)
    assert right and took < 0.5, took

# Bob is slowed down by his neighbour, and gets in.
right, took = imap_try(BOB, PASSWORD)
assert right and took < 4, took

# Submission, too.
with smtplib.SMTP(HOST, port("SUBMISSION"), timeout=SECONDS) as smtp:
    smtp.ehlo()
    begun = time.monotonic()
    try:
        smtp.login(BOB, "a guess over SMTP")
        raise AssertionError("signed in")
    except smtplib.SMTPAuthenticationError:
        pass
    assert time.monotonic() - begun > 0.1
