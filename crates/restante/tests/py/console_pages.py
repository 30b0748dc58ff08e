"""An operator signs in, finds a message, reads it; every page is looked at in light and dark, on a phone
and in Chinese."""
import json
import os
import subprocess

from browser import BASE, Person, chromium
from here import ALICE, BOB, deliver, until

PAGES = {
    "overview": "/admin",
    "trace": f"/admin/trace?q={BOB}",
    "queue": "/admin/queue",
    "held": "/admin/held",
    "accounts": "/admin/accounts",
    "aliases": "/admin/aliases",
    "domains": "/admin/domains",
    "audit": "/admin/audit",
    "sessions": "/admin/sessions",
    "you": "/admin/you",
    "authenticator": "/admin/you/authenticator",
}


def trace(*arguments):
    command = [os.environ["BINARY"], "trace", "--data", os.environ["DATA"], "--json", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def stories(ann):
    """From a sign-in to the words of a message, without a hand on the mouse where keys do."""
    page = ann.page
    ann.go("/admin/trace")
    assert page.url.startswith(f"{BASE}/admin/sign-in?next="), page.url
    page.fill("[name=name]", "ann")
    page.fill("[name=password]", "not the password at all")
    page.keyboard.press("Enter")
    ann.sees("Name, password or code is wrong.")
    ann.shot("sign-in-wrong")
    ann.sign_in("ann")
    ann.sees("Accepting mail", "Mail per minute", "Every recipient")
    assert page.locator("svg.plot polyline").count() == 3
    page.click("nav >> text=Trace")
    page.fill("[name=q]", "alice@example.test")
    page.keyboard.press("Enter")
    ann.sees("Invoice 4711", "delivered")
    ann.sees("synced to disk, answered")
    page.click("text=Read its text")
    ann.sees("Please pay by Friday.", "stranger@outside.test")
    ann.shot("message-text")
    page.click("text=Back to its story")
    # It was signed in just now, so that the password is not asked for again.
    receipt = trace(ALICE)[0]["receipt"]
    with page.expect_download() as download:
        page.click("text=Download the message")
    assert download.value.suggested_filename == f"{receipt}.eml", download.value.suggested_filename
    assert b"Please pay by Friday." in open(download.value.path(), "rb").read()
    page.reload()
    ann.sees("looked at the text of it", "looked at all of it")
    # Whoever looks is seen.
    ann.go("/admin/audit")
    ann.sees("ann (console)", "looked for “alice@example.test”", "(all)", "signed in from 127.0.0.1")
    assert not ann.errors, ann.errors


def tables(ann):
    page = ann.page
    ann.go("/admin/accounts")
    page.fill("[name=address]", "dora@example.test")
    page.click("form[action$='accounts/add'] button")
    ann.sees("account dora@example.test added", "Shown only now:")
    made = page.inner_text("code.secret")
    assert len(made) == 23, made
    page.reload()
    ann.sees_not(made)
    row = page.locator("tr", has_text="dora@example.test")
    row.locator("[name=storage]").fill("5GiB")
    row.locator("form[action$=quota] button").click()
    ann.sees("5.0 GiB")
    row = page.locator("tr", has_text="dora@example.test")
    row.locator("form[action$=quota] button").click()
    assert "no limit" in page.locator("tr", has_text="dora@example.test").inner_text()
    row.locator("form[action$=remove] button").click()
    ann.sees("stays in the archive")
    page.click("form[action$=remove] button")
    assert page.locator("tr", has_text="dora@example.test").count() == 0
    ann.go("/admin/aliases")
    page.fill("[name=alias]", "team@example.test")
    page.fill("[name=targets]", f"{ALICE}, {BOB}")
    page.click("form[action$='aliases/add'] button")
    ann.sees("mail for team@example.test goes to")
    ann.go("/admin/domains")
    page.fill("[name=domain]", "second.test")
    page.click("form[action$='domains/add'] button")
    ann.sees("mail for second.test is local")
    page.fill("[name=domain]", "second.test")
    page.click("form[action$='domains/add'] button")
    ann.sees("That was not done", "exists already")
    ann.go("/admin/domains/example.test")
    ann.sees("v=spf1 mx -all", "unknown")
    ann.shot("dns")
    assert not ann.errors, ann.errors


def looks(browser, ann):
    """Each page fits, has one heading, and is kept as a picture."""
    state = ann.context.storage_state()
    mail = f"/admin/mail/{trace(ALICE)[0]['receipt']}"
    pages = PAGES | {"story": mail}
    wide, phone = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
    for kind, more in {
        "light": {"viewport": wide, "color_scheme": "light"},
        "dark": {"viewport": wide, "color_scheme": "dark"},
        "phone": {"viewport": phone, "color_scheme": "light"},
        "chinese": {"viewport": wide, "color_scheme": "light", "locale": "zh-CN"},
    }.items():
        person = Person(browser, storage_state=state, **more)
        for name, path in pages.items():
            answer = person.go(path)
            assert answer.status == 200, (path, answer.status)
            assert person.page.locator("h1").count() == 1, path
            assert person.page.locator("main").count() == 1, path
            person.fits()
            person.shot(f"{kind}-{name}")
            if kind == "chinese":
                person.is_chinese()
            unnamed = person.page.evaluate(
                """() => [...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select')]
                .filter((one) => !one.labels.length && !one.ariaLabel).map((one) => one.outerHTML)"""
            )
            assert not unnamed, (path, unnamed)
        language = person.page.locator("html").get_attribute("lang")
        assert language == ("zh-Hans" if kind == "chinese" else "en"), language
        assert not person.errors, (kind, person.errors)
        person.context.close()


def without_script(browser, ann):
    person = Person(browser, storage_state=ann.context.storage_state(), java_script_enabled=False)
    person.go(f"/admin/trace?q={ALICE}")
    person.sees("Invoice 4711")
    person.page.click("text=简体中文")
    person.sees("邮件追踪", "起始时间")
    person.go("/admin")
    person.sees("正在接收邮件")


deliver(ALICE, "Invoice 4711", "Please pay by Friday.")
for number in range(3):
    deliver(BOB, f"Minutes of meeting {number}")
with chromium() as browser:
    ann = Person(browser)
    stories(ann)
    tables(ann)
    looks(browser, ann)
    without_script(browser, ann)
    # Whoever signs out is out, and so is a copy of the cookie.
    state = ann.context.storage_state()
    ann.go("/admin")
    ann.page.click("text=Sign out")
    ann.sees("For those who look after this mail server.")
    thief = Person(browser, storage_state=state)
    thief.go("/admin/accounts")
    thief.sees("For those who look after this mail server.")
