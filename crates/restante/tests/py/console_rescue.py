"""A thief empties a mailbox over IMAP; whoever looks after the server finds the mail in the archive and puts
it back, and so all that the thief's session did."""
import datetime

from browser import Person, chromium
from here import ALICE, BOB, deliver, imap, ok, until


def subjects(user):
    client = imap(user, "INBOX")
    found = ok(client.search(None, "ALL"))[0].split()
    told = [ok(client.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1] for number in found]
    client.logout()
    return sorted(one.decode().strip().removeprefix("Subject: ") for one in told)


for number in range(3):
    deliver(ALICE, f"Contract {number}", f"The contract number {number} is about walnuts.")
deliver(BOB, "Lunch", "At noon.")
BEFORE = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
# The sign-in takes longer than the smallest time there is.
thief = imap(ALICE, "INBOX")
ok(thief.store("1:*", "+FLAGS", "\\Deleted"))
ok(thief.expunge())
thief.logout()
deliver(ALICE, "Came since")
assert subjects(ALICE) == ["Came since"], subjects(ALICE)
with chromium() as browser:
    ann = Person(browser).sign_in("ann")
    page = ann.page

    def found():
        ann.go("/admin/archive?q=walnuts")
        return page.locator("article.hit").count() == 3

    until("the contracts in the archive", found)
    ann.sees("taken out of INBOX", "walnuts")
    ann.shot("archive")
    ann.go("/admin/archive?q=%22")
    ann.sees("Archive")
    # One act, from where the message was found.
    ann.go("/admin/archive?q=subject:Contract")
    page.click("article.hit >> text=Restore >> nth=0")
    ann.sees("deleted INBOX")
    ann.shot("acts")
    # All of the thief's session, in one go.
    ann.go(f"/admin/history?account={ALICE}")
    ann.sees("IMAP", "127.0.0.1")
    ann.shot("history")
    page.locator("tr", has_text="deleted").locator("button:text-is('Take back')").click()
    ann.sees("acts would be taken back")
    ann.shot("history-sure")
    page.click("button:text-is('Do it')")
    ann.sees("taken back", "3 messages as before")
    assert subjects(ALICE) == ["Came since", "Contract 0", "Contract 1", "Contract 2"], subjects(ALICE)
    ann.shot("history-undone")
    # An undo is taken back as everything else.
    page.click(".notice button:text-is('Undo')")
    page.click("button:text-is('Do it')")
    ann.sees("taken back")
    assert subjects(ALICE) == ["Came since"], subjects(ALICE)
    # A mailbox as of a time, and back to it.
    ann.go(f"/admin/accounts/{ALICE}?mailbox=INBOX&at={BEFORE}")
    ann.sees("Contract 2", "taken out")
    ann.sees_not("Came since")
    ann.shot("mailbox-then")
    page.click("text=Put back what was taken out since")
    ann.sees("3 messages as before", "Came since", "Contract 0")
    ann.go("/admin/audit")
    ann.sees("looked for “walnuts”", "took act", "the mailbox INBOX of alice@example.test")
    ann.go("/admin")
    ann.sees("Accounted for")
    assert not ann.errors, ann.errors
    # An auditor sees it, and cannot.
    max_ = Person(browser).sign_in("max")
    max_.go(f"/admin/history?account={ALICE}")
    max_.sees("IMAP")
    assert max_.page.locator("main form[action$=undo]").count() == 0
    # Who looks after domains finds what is theirs, and restores nothing in bulk.
    dan = Person(browser).sign_in("dan")
    dan.go("/admin/archive?q=walnuts")
    dan.sees("Contract 2")
    assert dan.page.locator("main form[action$=restore]").count() == 0
    assert dan.go("/admin/history").status == 403
