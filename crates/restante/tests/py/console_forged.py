"""Another site, open in the same browser, tries to act in the name of who is signed in; sessions, passwords
and codes of an authenticator hold."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import struct
import subprocess
import threading
import time

from browser import BASE, PASSWORD, Person, chromium


def restante(*arguments):
    command = [os.environ["BINARY"], *arguments, "--data", os.environ["DATA"], "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def accounts():
    return {account["address"] for account in restante("account", "list")}


class Site(http.server.BaseHTTPRequestHandler):
    """A page that sends a form as soon as it is opened."""

    body = ""

    def do_GET(self):
        body = self.body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def form(path, **fields):
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    return f'<form method=post action="{BASE}{path}">{inputs}</form><script>document.forms[0].submit()</script>'


def forged(ann, site):
    evil = f"http://127.0.0.1:{site.server_address[1]}/"
    key = ann.page.get_attribute("[name=key] >> nth=0", "value")
    tries = [
        # The address is of the same host, so that browsers count it as the same site and send the cookie.
        form("/admin/accounts/add", address="thief@example.test"),
        # Even who has read the key from somewhere is of another origin.
        form("/admin/accounts/add", address="thief@example.test", key=key),
    ]
    for body in tries:
        Site.body = body
        ann.page.goto(evil)
        ann.page.wait_for_url(f"{BASE}/**")
        ann.sees("did not come from this console")
        assert "thief@example.test" not in accounts()
    ann.shot("forged")
    # From the right origin, without the key of the session: a hole in a page of ours is not enough.
    ann.go("/admin/accounts")
    for more in ({}, {"key": "0" * 64}):
        status = ann.page.evaluate(
            """async (fields) => (await fetch("/admin/accounts/add",
               {method: "POST", body: new URLSearchParams(fields)})).status""",
            {"address": "thief@example.test"} | more,
        )
        assert status == 403, status
    assert "thief@example.test" not in accounts()
    # A site cannot sign somebody in as another one, either.
    Site.body = form("/admin/sign-in", name="max", password=PASSWORD)
    stranger = Person(browser)
    stranger.page.goto(evil)
    stranger.page.wait_for_url(f"{BASE}/**")
    stranger.go("/admin")
    stranger.sees("For those who look after")
    # Nobody puts it into a frame.
    Site.body = f'<iframe src="{BASE}/admin"></iframe>'
    ann.page.goto(evil)
    ann.page.wait_for_load_state("networkidle")
    assert "Accepting mail" not in ann.page.frames[-1].evaluate("document.documentElement.innerText")


def code(secret, step):
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def authenticator(browser):
    ann = Person(browser).sign_in("ann")
    other = Person(browser).sign_in("ann")
    page = ann.page
    ann.go("/admin/you")
    page.click("text=Set one up")
    secret = page.inner_text("code.secret")
    assert page.locator("svg.qr path").count() == 1
    page.fill("[name=code]", "000000")
    page.click("text=Turn it on")
    ann.sees("not the code")
    assert page.inner_text("code.secret") == secret
    step = int(time.time()) // 30
    page.fill("[name=code]", code(secret, step))
    page.click("text=Turn it on")
    ann.sees("You sign in with password and code.")
    other.go("/admin/accounts")
    other.sees("For those who look after")
    late = Person(browser).sign_in("ann")
    late.sees("Name, password or code is wrong.")
    # The clocks may be half a minute apart, and a code is good once.
    late.sign_in("ann", code=code(secret, step + 1))
    late.sees("Accepting mail")
    again = Person(browser).sign_in("ann", code=code(secret, step + 1))
    again.sees("Name, password or code is wrong.")
    # The phone is lost: the machine itself helps.
    restante("operator", "totp", "ann", "--off")
    late.go("/admin")
    late.sees("For those who look after")
    again.sign_in("ann")
    again.sees("Accepting mail")
    return again


def passwords(browser, ann):
    other = Person(browser).sign_in("ann")
    ann.go("/admin/you")
    for password, again, said in (
        ("too short", "too short", None),
        ("a very long password", "another long password", "not the same"),
        ("a very long password", "a very long password", "You have a new password"),
    ):
        ann.page.fill("[name=password]", password)
        ann.page.fill("[name=again]", again)
        ann.page.click("text=Set it")
        if said:
            ann.sees(said)
    other.go("/admin/accounts")
    other.sees("For those who look after")
    other.sign_in("ann")
    other.sees("Name, password or code is wrong.")
    other.sign_in("ann", "a very long password")
    other.sees("Accepting mail")
    # One ends the other's session, and the command line all of them.
    ann.go("/admin/sessions")
    ann.sees("this one")
    ann.shot("sessions-two")
    row = ann.page.locator("tr", has=ann.page.locator("button"))
    row.locator("form[action$='sessions/end'] button").first.click()
    ann.sees("is over")
    other.go("/admin/accounts")
    other.sees("For those who look after")
    assert len(restante("operator", "sessions")) == 1
    restante("operator", "sessions", "--end-all-of", "ann")
    ann.go("/admin/accounts")
    ann.sees("For those who look after")


site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
threading.Thread(target=site.serve_forever, daemon=True).start()
with chromium() as browser:
    ann = Person(browser).sign_in("ann")
    ann.go("/admin/accounts")
    forged(ann, site)
    passwords(browser, authenticator(browser))
site.shutdown()
