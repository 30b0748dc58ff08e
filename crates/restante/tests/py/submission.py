"""587 with STARTTLS and 465: what signs in, what does not, and what a signed-in client may send."""
import smtplib

from here import ALICE, BOB, HOST, PASSWORD, SECONDS, deliver, imap, message, ok, port, tls


def starttls():
    smtp = smtplib.SMTP(HOST, port("SUBMISSION"), "[127.0.0.1]", timeout=SECONDS)
    smtp.ehlo()
    assert smtp.has_extn("starttls"), smtp.esmtp_features
    smtp.starttls(context=tls())
    smtp.ehlo()
    assert not smtp.has_extn("starttls"), "RFC 3207 section 4.2: not offered inside TLS"
    return smtp


def direct():
    return smtplib.SMTP_SSL(HOST, port("SUBMISSIONS"), "[127.0.0.1]", timeout=SECONDS, context=tls())


for name, connect in (("starttls", starttls), ("tls", direct)):
    for mechanism in ("PLAIN", "LOGIN"):
        smtp = connect()
        smtp.ehlo_or_helo_if_needed()
        assert mechanism in smtp.esmtp_features["auth"].split(), smtp.esmtp_features
        smtp.user, smtp.password = ALICE, PASSWORD
        method = getattr(smtp, "auth_" + mechanism.lower())
        code, text = smtp.auth(mechanism, method)
        assert code == 235, (code, text)
        subject = f"by {name} with {mechanism}"
        assert smtp.sendmail(ALICE, [BOB], message(subject, sender=ALICE)) == {}
        smtp.quit()

    smtp = connect()
    try:
        smtp.login(ALICE, "wrong")
        raise AssertionError("a wrong password was taken")
    except smtplib.SMTPAuthenticationError as error:
        assert error.smtp_code == 535, error
        assert error.smtp_error.startswith(b"5.7.8"), error
    smtp.close()

    smtp = connect()
    smtp.ehlo_or_helo_if_needed()
    code, text = smtp.mail(ALICE)
    assert code == 530 and text.startswith(b"5.7.0"), (code, text)
    smtp.quit()

    smtp = connect()
    smtp.login(ALICE, PASSWORD)
    code, text = smtp.mail(BOB)
    assert 500 <= code < 600 and text.startswith(b"5.7."), ("another's name", code, text)
    smtp.quit()

# What a submission lacks is added, and only there.
smtp = starttls()
smtp.login(ALICE, PASSWORD)
smtp.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nSubject: bare\r\n\r\nno date, no id\r\n")
smtp.quit()
client = imap(BOB, "INBOX")
numbers = ok(client.search(None, "SUBJECT", "bare"))[0].split()
text = ok(client.fetch(numbers[0], "(BODY.PEEK[])"))[0][1]
assert b"\r\nDate: " in text and b"\r\nMessage-ID: <" in text, text
assert len(ok(client.search(None, "ALL"))[0].split()) == 5
client.logout()
