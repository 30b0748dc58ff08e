"""Mail that waits is held, purged and had back from the console; what an auditor and a domain-admin see
of it, and may not."""
import json
import os
import smtplib
import subprocess

from browser import PASSWORD as OPERATOR
from browser import Person, chromium
from here import ALICE, HOST, PASSWORD, SECONDS, message, port, tls, until


def restante(*arguments):
    command = [os.environ["BINARY"], *arguments, "--data", os.environ["DATA"], "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def submit(to, subject):
    with smtplib.SMTP(HOST, port("SUBMISSION"), timeout=SECONDS) as smtp:
        smtp.starttls(context=tls())
        smtp.login(ALICE, PASSWORD)
        assert smtp.sendmail(ALICE, [to], message(subject, sender=ALICE)) == {}


def states():
    return sorted(item["state"] for item in restante("queue", "list"))


def act(person, what, scope="selected", reason=""):
    person.page.select_option("[name=scope]", scope)
    person.page.fill("[name=reason]", reason)
    person.page.click(f"button[value={what}]")


def engineer(browser):
    ann = Person(browser).sign_in("ann")
    page = ann.page
    ann.go("/admin/queue")
    ann.sees("By sender", "By destination", "far.example.net", "wide.example.net")
    # What does not get through is marked, in words.
    row = page.locator("tr", has_text="far.example.net").first
    assert "nothing gets through" in row.inner_text(), row.inner_text()
    ann.shot("queue-waits")
    page.check("tr:has-text('To wide') [name=custody]")
    act(ann, "hold", reason="is it ours?")
    ann.sees("1 recipient held")
    assert sum(state.startswith("held") for state in states()) == 1, states()
    page.click("button:text-is('Undo')")
    ann.sees("as they were before")
    assert not any(state.startswith("held") for state in states()), states()
    # All that match is shown once more before it is done.
    ann.go("/admin/queue?to=far.example.net")
    act(ann, "purge", scope="all")
    ann.sees("6 recipients would be changed", "To far 0")
    ann.shot("queue-purge-sure")
    page.click("button:text-is('Do it')")
    # The settings want the password each time.
    ann.sees("Your password, once more")
    ann.shot("confirm")
    page.fill("[name=confirm_password]", "it is not this one")
    page.click("button:text-is('Go on')")
    ann.sees("Name, password or code is wrong.")
    assert not any(state.startswith("held") for state in states()), states()
    page.fill("[name=confirm_password]", OPERATOR)
    page.click("button:text-is('Go on')")
    ann.sees("6 recipients held until they are purged")
    ann.go("/admin/held")
    ann.sees("To far 5", "then purged")
    ann.shot("held-purge")
    ann.go("/admin/audit")
    ann.sees("purge: 6 recipients")
    restante("queue", "undo")
    assert not any(state.startswith("held") for state in states()), states()
    ann.go("/admin/queue")
    page.click("form[action$='queue/pause'] button >> nth=0")
    ann.sees("Paused")
    page.click("button:text-is('Let go on')")
    ann.sees("goes on")
    ann.go("/admin/queue?older_than=nonsense")
    ann.sees("is no time")
    assert not ann.dialogs, ann.dialogs


def form_key(person):
    return person.page.get_attribute("[name=key] >> nth=0", "value")


def forge(person, path, **fields):
    """What a form of that page would send, sent by whoever has the session."""
    fields["key"] = form_key(person)
    return person.page.evaluate(
        """async ([path, fields]) => {
            const answer = await fetch(path, {method: "POST", body: new URLSearchParams(fields)});
            return [answer.status, await answer.text()];
        }""",
        [path, fields],
    )


def auditor(browser):
    max_ = Person(browser).sign_in("max")
    max_.go("/admin/queue")
    max_.sees("To wide", "far.example.net")
    max_.shot("auditor-queue")
    assert max_.page.locator("main button:not(.search button)").count() == 0
    before = states()
    custody = restante("queue", "list")[0]["custody"]
    for fields in (
        {"act": "purge", "scope": "selected", "custody": str(custody), "sure": "1"},
        {"act": "hold", "scope": "selected", "custody": str(custody)},
        {"act": "purge", "scope": "all", "sure": "1"},
    ):
        status, said = forge(max_, "/admin/queue/change", page="/admin/queue", **fields)
        assert status == 403 and "an auditor sees everything and changes nothing" in said, (status, said)
    assert states() == before, (before, states())
    for path, fields in {
        "/admin/accounts/add": {"address": "new@example.test"},
        "/admin/accounts/remove": {"address": ALICE, "sure": "1"},
        "/admin/domains/add": {"domain": "new.test"},
        "/admin/queue/pause": {"destination": "all"},
        "/admin/queue/undo": {"change": "1"},
        "/admin/sessions/end": {"session": "1"},
    }.items():
        status, said = forge(max_, path, **fields)
        assert status == 403, (path, status, said)
    max_.go("/admin/audit")
    max_.sees("max (console)")


def domain_admin(browser):
    dan = Person(browser).sign_in("dan")
    dan.go("/admin")
    dan.sees("alice@example.test")
    dan.sees_not("x@second.test")
    for path in ("/admin/queue", "/admin/held", "/admin/audit", "/admin/sessions"):
        answer = dan.go(path)
        assert answer.status == 403, (path, answer.status)
    dan.go("/admin/domains")
    dan.sees("example.test")
    dan.sees_not("second.test")
    answer = dan.go("/admin/domains/second.test")
    assert answer.status == 403, answer.status
    dan.go("/admin/accounts")
    status, _ = forge(dan, "/admin/accounts/password", address="x@second.test")
    assert status == 403, status
    # Others' mail is not found, one's own is; of a message to both, one's own recipients.
    dan.go("/admin/trace?q=x@second.test")
    dan.sees("Nothing found.")
    dan.go("/admin/trace?q=y@second.test")
    dan.sees("To both", "bob@example.test")
    main = dan.page.inner_text("article")
    assert "second.test" not in main, main


def restante_text(*arguments):
    command = [os.environ["BINARY"], *arguments, "--data", os.environ["DATA"]]
    subprocess.run(command, capture_output=True, check=True)


# Nothing listens there: each try fails at once.
restante_text("route", "add", "*", f"{HOST}:1")
for number in range(6):
    submit(f"someone{number}@far.example.net", f"To far {number}")
submit("one@wide.example.net", "To wide")
restante_text("domain", "add", "second.test")
restante_text("account", "add", "x@second.test")
restante_text("account", "add", "y@second.test")
with smtplib.SMTP(HOST, port("SMTP"), "outside.test", timeout=SECONDS) as smtp:
    assert smtp.sendmail("a@outside.test", ["x@second.test"], message("To x alone")) == {}
    both = ["y@second.test", "bob@example.test"]
    assert smtp.sendmail("a@outside.test", both, message("To both")) == {}
until("all were tried once", lambda: all(item["attempts"] for item in restante("queue", "list")))
with chromium() as browser:
    engineer(browser)
    auditor(browser)
    domain_admin(browser)
