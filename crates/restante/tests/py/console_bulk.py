"""A thief deletes hundreds; whoever looks after the server ticks some, then restores all that is found, ends
it half-way, does the rest, and takes it back."""
import re

from browser import Person, chromium
from here import ALICE, BOB, deliver, imap, ok, until

FILLED = 500


def count(user=ALICE):
    client = imap(user)
    status = ok(client.status("INBOX", "(MESSAGES)"))[0].decode()
    client.logout()
    return int(re.search(r"MESSAGES (\d+)", status)[1])


def empty(user):
    client = imap(user, "INBOX")
    ok(client.store("1:*", "+FLAGS.SILENT", "\\Deleted"))
    ok(client.expunge())
    client.logout()


def number(text, pattern):
    found = re.search(pattern, text.replace("\u202f", ""))
    assert found, (pattern, text)
    return int(found[1])


CANCEL = """async ([key, q]) => {
    const post = (path, fields) => fetch(path, {method: "POST", body: new URLSearchParams({key, ...fields})});
    const started = await post("/admin/archive/restore", {q, scope: "all", sure: "1"});
    const job = new URL(started.url).pathname;
    while (!(await (await fetch(job)).text()).includes("<progress max="));
    await post(`${job}/cancel`, {});
    return job;
}"""

deliver(BOB, "Walnuts for Bob")
deliver(ALICE, "Walnuts for Alice")
assert count() == FILLED + 1
empty(ALICE)
empty(BOB)
with chromium() as browser:
    ann = Person(browser).sign_in("ann")
    page = ann.page
    every = f"/admin/archive?q=account:{ALICE}%20is:deleted"

    def searchable():
        page.wait_for_timeout(200)
        ann.go("/admin/archive?q=subject:walnuts%20is:deleted")
        return page.locator("article.hit").count() == 2

    until("the deleted in the archive", searchable, 5 * 60)
    # Nothing is ticked: nothing is done.
    page.click("text=Restore the ticked")
    ann.sees("Nothing was selected.")
    page.check("label.all-of input")
    assert page.locator("[name=receipt]:checked").count() == 2
    page.uncheck("article:has-text('for Bob') [name=receipt]")
    ann.shot("bulk-ticked")
    page.click("text=Restore the ticked")
    ann.sees("1 messages would be put back", "Walnuts for Alice", ALICE, "INBOX")
    ann.sees_not(BOB)
    ann.shot("bulk-preview")
    assert count() == 0
    page.click("button:text-is('Do it')")
    ann.job_ended("done", "1 message is back in its mailbox")
    ann.shot("bulk-done")
    assert (count(), count(BOB)) == (1, 0)
    page.click("main button:text-is('Undo')")
    ann.job_ended("1 act taken back")
    assert count() == 0
    # All of them, ended half-way: what it says it has done is what is there.
    ann.go(every)
    page.click("text=Restore all that were found")
    ann.sees("messages would be put back", "INBOX")
    ann.shot("bulk-preview-many")
    # Faster than a hand: as soon as its page says that it restores.
    job = page.evaluate(CANCEL, [page.get_attribute("[name=key] >> nth=0", "value"), f"account:{ALICE} is:deleted"])
    ann.go(job)
    told = ann.job_ended("cancelled", "are left as they were")
    ann.shot("bulk-cancelled")
    back = number(told, r"(\d+) messages? (?:are|is) back")
    left = number(told, r"(\d+) messages are left")
    assert count() == back, (count(), told)
    assert back < FILLED + 1 and left > 0, told
    assert back + left == FILLED + 1, told
    # The rest, and nothing twice.
    ann.go(every)
    page.click("text=Restore all that were found")
    page.click("button:text-is('Do it')")
    told = ann.job_ended("done", "are back in their mailboxes")
    assert count() == FILLED + 1, (count(), told)
    page.click("main button:text-is('Undo')")
    ann.job_ended("acts taken back")
    assert count() == back
    ann.go("/admin/jobs")
    ann.sees("what the search", "cancelled", "ake acts back", "ann (console)")
    ann.shot("jobs")
    ann.go("/admin/audit")
    ann.sees("put messages back into a mailbox", "looked for")
    assert not ann.errors, ann.errors
    # An auditor sees jobs and finds mail, and restores nothing.
    max_ = Person(browser).sign_in("max")
    max_.go(every)
    assert max_.page.locator("main form[action$=restore]").count() == 0
    max_.go("/admin/jobs")
    max_.sees("cancelled")
    key = max_.page.get_attribute("[name=key] >> nth=0", "value")
    for path, fields in (
        ("/admin/archive/restore", {"q": "walnuts", "scope": "all", "sure": "1"}),
        ("/admin/jobs/1/cancel", {}),
        ("/admin/jobs/1/undo", {}),
    ):
        status = max_.page.evaluate(
            """async ([path, fields]) => (await fetch(path, {method: "POST",
               body: new URLSearchParams(fields)})).status""",
            [path, fields | {"key": key}],
        )
        assert status == 403, (path, status)
    assert count() == back
    # In Chinese, and on a phone.
    zh = Person(browser, storage_state=ann.context.storage_state(), locale="zh-CN",
                viewport={"width": 390, "height": 844})
    zh.go("/admin/jobs/3")
    zh.sees("已取消", "封邮件已恢复到邮箱", "封邮件保持原样")
    zh.fits()
    zh.shot("bulk-cancelled-chinese-phone")
