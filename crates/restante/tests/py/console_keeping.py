"""Backups are taken, checked and rehearsed; heads are downloaded and prove a message; mail is put on legal hold,
and an auditor sees all of it and changes nothing."""
import json
import os
import pathlib
import subprocess
import tempfile

from browser import Person, chromium
from here import ALICE, deliver

PAGES = ("/admin/journal", "/admin/heads", "/admin/retention?next=1", "/admin/jobs")


def restante(*arguments):
    command = [os.environ["BINARY"], *arguments, "--data", os.environ["DATA"], "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def backups(ann):
    page = ann.page
    ann.go("/admin/journal")
    ann.sees("Journal and backup", "by hand only", "never", "All mail is accounted for.")
    ann.shot("journal-no-backup")
    page.click("text=Back up now")
    ann.job_ended("done", "records are backed up")
    ann.go("/admin/journal")
    page.click("text=Check every byte")
    ann.job_ended("done", "every byte of the backup is as it was written")
    ann.go("/admin/journal")
    page.click("text=Rehearse a restore")
    ann.job_ended("done", "the backup was restored elsewhere and verified")
    ann.shot("rehearsed")
    ann.go("/admin/journal")
    ann.sees("whole", "restored in", "What can be restored")
    ann.sees_not("never")
    # What is damaged is said, and stays said.
    backup = pathlib.Path(page.inner_text("dd code"))
    segment = next(path for path in sorted(backup.rglob("*")) if path.is_file() and path.stat().st_size > 4096)
    content = bytearray(segment.read_bytes())
    content[2000] ^= 1
    segment.write_bytes(content)
    page.click("text=Check every byte")
    ann.job_ended("the backup is damaged")
    ann.go("/admin/journal")
    ann.sees("damaged")
    ann.shot("journal-damaged")


def heads(ann, receipt):
    page = ann.page
    ann.go("/admin/heads")
    ann.sees("Signed heads", "Heads stay on this machine")
    with page.expect_download() as download:
        page.click("text=Download it")
    head = pathlib.Path(download.value.path()).read_text()
    assert head.splitlines()[0].endswith("/restante"), head
    with tempfile.TemporaryDirectory() as scratch:
        kept = pathlib.Path(scratch) / "head.txt"
        kept.write_text(head)
        assert restante("head", "verify", str(kept))["is_beginning"]
        page.fill("[name=receipt]", "no receipt")
        page.click("text=Download the proof")
        ann.sees("That is no receipt")
        page.fill("[name=receipt]", receipt)
        with page.expect_download() as download:
            page.click("text=Download the proof")
        proof = pathlib.Path(scratch) / "proof"
        proof.write_bytes(pathlib.Path(download.value.path()).read_bytes())
        key = restante("head", "key")["key"]
        assert restante("proof", "verify", str(proof), "--key", key)["proved"]
    page.fill("[name=receipt]", "r2k-00000000")
    page.click("text=Download the proof")
    ann.sees("there is no message with this receipt")


def holds(ann):
    page = ann.page
    ann.go("/admin/retention")
    ann.sees("everybody else", "No legal holds.")
    page.fill("form[action$=add-hold] [name=name]", "case-17")
    page.fill("[name=accounts]", f"{ALICE}, bob@example.test")
    page.fill("form[action$=add-hold] [name=from]", "2025-01-01")
    page.fill("form[action$=add-hold] [name=reason]", "court order 17/2026")
    page.click("button:text-is('Add a hold')")
    ann.sees("hold case-17 keeps the mail of", "court order 17/2026", "in force")
    held = restante("hold", "list")
    assert [hold["account"] for hold in held] == [ALICE, "bob@example.test"], held
    assert held[0]["from"].startswith("2025-01-01"), held
    ann.shot("holds")
    # The same, ended for one account, with a reason.
    row = page.locator("tr", has_text="bob@example.test")
    row.locator("[name=reason]").fill("case closed")
    row.locator("button").click()
    ann.sees("is over for 1 accounts", "case closed")
    assert [hold["account"] for hold in restante("hold", "list")] == [ALICE]
    page.fill("[name=of]", "example.test")
    page.fill("[name=keep]", "soon")
    page.click("form[action$=set] button")
    ann.sees("write a time like 90d")
    ann.go("/admin/retention?next=1")
    ann.sees("Nothing is over its time.")
    page.fill("[name=of]", "example.test")
    page.fill("[name=keep]", "7y")
    page.click("form[action$=set] button")
    ann.sees("mail of example.test is kept", "example.test")
    assert any(rule["of"] == "example.test" for rule in restante("retention", "show"))
    ann.go("/admin/audit")
    ann.sees("put the mail of alice@example.test on the legal hold case-17", "ended legal holds",
             "set how long mail of example.test is kept", "the proof of")


def auditor(browser):
    max_ = Person(browser).sign_in("max")
    for path in PAGES:
        answer = max_.go(path)
        assert answer.status == 200, (path, answer.status)
        buttons = max_.page.locator("main button").all_inner_texts()
        assert buttons in ([], ["Download the proof"]), (path, buttons)
    key = max_.page.get_attribute("[name=key] >> nth=0", "value")
    for path, fields in (
        ("/admin/journal/backup/take", {}),
        ("/admin/retention/end-hold", {"name": "case-17", "reason": "x"}),
        ("/admin/retention/add-hold", {"name": "x", "accounts": ALICE, "reason": "x"}),
        ("/admin/retention/set", {"of": "example.test", "keep": "1d"}),
        ("/admin/retention/purge", {}),
    ):
        status = max_.page.evaluate(
            """async ([path, fields]) => (await fetch(path, {method: "POST",
               body: new URLSearchParams(fields)})).status""",
            [path, fields | {"key": key}],
        )
        assert status == 403, (path, status)
    dan = Person(browser).sign_in("dan")
    for path in PAGES:
        assert dan.go(path).status == 403, path


def looks(browser, ann):
    state = ann.context.storage_state()
    wide, phone = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
    for kind, more in {
        "light": {"viewport": wide, "color_scheme": "light"},
        "dark": {"viewport": wide, "color_scheme": "dark"},
        "phone": {"viewport": phone, "color_scheme": "light"},
        "chinese": {"viewport": wide, "color_scheme": "light", "locale": "zh-CN"},
    }.items():
        person = Person(browser, storage_state=state, **more)
        for path in PAGES:
            assert person.go(path).status == 200, path
            person.fits()
            person.shot(f"{kind}-{path.split('?')[0].rsplit('/')[-1]}")
            if kind == "chinese":
                person.is_chinese()
        assert not person.errors, (kind, person.errors)
        person.context.close()


deliver(ALICE, "A contract")
receipt = restante("trace", ALICE)[0]["receipt"]
with chromium() as browser:
    ann = Person(browser).sign_in("ann")
    backups(ann)
    heads(ann, receipt)
    holds(ann)
    auditor(browser)
    looks(browser, ann)
    assert not ann.errors, ann.errors
