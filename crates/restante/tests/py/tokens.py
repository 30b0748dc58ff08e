"""Signing in with tokens, over all protocols, and what is asked of the server that knows them."""
import base64
import imaplib
import json
import os
import poplib
import re
import smtplib
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from here import ALICE, BOB, HOST, SECONDS, port, tls

with open(os.path.join(os.environ["DATA"], "restante.toml")) as settings:
    URL = urllib.parse.urlsplit(re.search(r'^introspection_url = "(.*)"', settings.read(), re.M)[1])

HOUR = int(time.time()) + 3600
GOOD = {"active": True, "username": ALICE, "scope": "openid mail", "exp": HOUR}
ANSWERS = {
    "good": GOOD,
    "good+/~.-_==": GOOD,
    "by-email": {**GOOD, "username": "bob", "email": BOB, "email_verified": True},
    # Everything is right but the one word.
    "inactive": {**GOOD, "active": False},
    "over": {**GOOD, "exp": int(time.time()) - 10},
    "not-yet": {**GOOD, "nbf": HOUR},
    "narrow": {**GOOD, "scope": "openid mailing"},
    "no-scope": {"active": True, "username": ALICE},
    "unverified": {**GOOD, "username": "bob", "email": BOB, "email_verified": False},
    "stranger": {**GOOD, "username": "alice@elsewhere.test"},
    "nobody": {**GOOD, "username": "alice"},
}
BROKEN = {
    "no-word": (200, json.dumps({"username": ALICE, "scope": "mail"})),
    "odd-word": (200, json.dumps({**GOOD, "active": "true"})),
    "no-json": (200, "<html>"),
    "error": (500, json.dumps(GOOD)),
    "we-are-unknown": (401, json.dumps(GOOD)),
    "moved": (302, ""),
    "endless": (200, json.dumps({**GOOD, "padding": "x" * 200_000})),
}
asked = []


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert self.path == URL.path, self.path
        user, secret = base64.b64decode(self.headers["Authorization"].split()[1]).decode().split(":")
        assert (user, urllib.parse.unquote_plus(secret)) == ("restante", "s3cret+ %"), (user, secret)
        assert form["token_type_hint"] == ["access_token"], form
        (token,) = form["token"]
        asked.append(token)
        status, text = BROKEN.get(token) or (200, json.dumps(ANSWERS.get(token, {"active": False})))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def oauthbearer(user, token):
    to_act_as = f"a={user}" if user else ""
    return f"n,{to_act_as},\x01host=x.test\x01port=1\x01auth=Bearer {token}\x01\x01"


def xoauth2(user, token):
    return f"user={user}\x01auth=Bearer {token}\x01\x01"


class Client:
    """Answers challenges: the message first, then whatever is due to an error."""

    def __init__(self, message, last):
        self.message, self.last, self.error = message, last, None

    def __call__(self, challenge=None):
        if not challenge:
            return self.message
        self.error = json.loads(challenge)
        return self.last


def over_imap(mechanism, client):
    imap = imaplib.IMAP4(HOST, port("IMAP"), timeout=SECONDS)
    try:
        assert f"AUTH={mechanism}" in imap.capabilities, imap.capabilities
        imap.authenticate(mechanism, lambda challenge: client(challenge).encode())
        imap.select("INBOX")
        return "good"
    except imaplib.IMAP4.error as error:
        kinds = {"[AUTHENTICATIONFAILED]": "bad", "[UNAVAILABLE]": "unknown"}
        return kinds[str(error).split()[0]]
    finally:
        imap.shutdown()


def over_smtp(mechanism, client):
    smtp = smtplib.SMTP(HOST, port("SUBMISSION"), "x.test", timeout=SECONDS)
    try:
        smtp.ehlo()
        assert mechanism in smtp.esmtp_features["auth"].split(), smtp.esmtp_features
        code, _ = smtp.auth(mechanism, client)
        assert code == 235, code
        return "good"
    except smtplib.SMTPAuthenticationError as error:
        return {(535, b"5.7.8"): "bad", (454, b"4.7.0"): "unknown"}[
            error.smtp_code, error.smtp_error.split()[0]
        ]
    finally:
        smtp.close()


def over_pop3(mechanism, client):
    pop = poplib.POP3(HOST, port("POP3"), timeout=SECONDS)
    try:
        assert mechanism in pop.capa()["SASL"], pop.capa()
        answer = pop._shortcmd(f"AUTH {mechanism}")
        while answer.startswith(b"+ "):
            challenge = base64.b64decode(answer[2:]).decode()
            answer = pop._shortcmd(base64.b64encode(client(challenge).encode()).decode())
        pop.stat()
        return "good"
    except poplib.error_proto as error:
        kinds = {"[AUTH]": "bad", "[SYS/TEMP]": "unknown"}
        return kinds[error.args[0].decode().split()[1]]
    finally:
        pop.close()


WAYS = (over_imap, over_smtp, over_pop3)


def outcomes(user, token, ways=WAYS):
    """What became of it over each protocol with each mechanism, and the last error told."""
    got, error = set(), None
    for way in ways:
        for mechanism, message, last in (
            ("OAUTHBEARER", oauthbearer(user, token), "\x01"),
            ("XOAUTH2", xoauth2(user, token), ""),
        ):
            client = Client(message, last)
            got.add(way(mechanism, client))
            error = client.error
    assert len(got) == 1, (token, got)
    return got.pop(), error


# Nobody is there to ask: our trouble, and no word that the token were wrong.
assert outcomes(ALICE, "good") == ("unknown", None)

endpoint = ThreadingHTTPServer((HOST, URL.port), Endpoint)
threading.Thread(target=endpoint.serve_forever, daemon=True).start()

for token in ("good", "good+/~.-_=="):
    assert outcomes(ALICE, token) == ("good", None), token
    assert asked.count(token) == 1, "a good answer is remembered"
assert outcomes("", "good") == ("good", None)
assert outcomes(BOB, "by-email") == ("good", None)

FAULT = {
    "status": "invalid_token",
    "scope": "mail",
    "openid-configuration": "https://login.example.test/.well-known/openid-configuration",
}
assert outcomes(BOB, "good") == ("bad", FAULT), "somebody else's"
for token in ("inactive", "over", "not-yet", "nobody", "made-up"):
    assert outcomes(ALICE, token) == ("bad", FAULT), token
    assert asked.count(token) == 6, "a bad answer is not remembered"
assert outcomes(ALICE, "stranger") == ("bad", FAULT), "who has no account here"
assert outcomes(BOB, "unverified") == ("bad", FAULT)
for token in ("narrow", "no-scope"):
    assert outcomes(ALICE, token) == ("bad", {**FAULT, "status": "insufficient_scope"}), token
for token in BROKEN:
    assert outcomes(ALICE, token) == ("unknown", None), token

# RFC 7628 section 4.3: what is needed is told without a token, and nobody is asked.
before = len(asked)
client = Client(f"n,a={ALICE},\x01auth=\x01\x01", "\x01")
assert over_imap("OAUTHBEARER", client) == "bad" and client.error == FAULT
assert len(asked) == before

# Under TLS.
imap = imaplib.IMAP4_SSL(HOST, port("IMAPS"), ssl_context=tls(), timeout=SECONDS)
imap.authenticate("OAUTHBEARER", lambda _: oauthbearer(ALICE, "good").encode())
imap.logout()

# What was good a moment ago is good while nobody can be asked.
endpoint.shutdown()
endpoint.server_close()
assert outcomes(ALICE, "good") == ("good", None)
assert outcomes(ALICE, "new") == ("unknown", None)
