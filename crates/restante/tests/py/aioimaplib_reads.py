"""aioimaplib: commands under way side by side, and pushes while it idles."""
import asyncio

import aioimaplib

from here import ALICE, HOST, PASSWORD, SECONDS, message, port


async def signed_in():
    client = aioimaplib.IMAP4(host=HOST, port=port("IMAP"), timeout=SECONDS)
    await client.wait_hello_from_server()
    ok(await client.login(ALICE, PASSWORD))
    return client


def ok(answer):
    assert answer.result == "OK", answer
    return answer.lines


async def main():
    client, other = await signed_in(), await signed_in()
    for number in range(10):
        ok(await other.append(message(f"note {number}").encode(), mailbox="INBOX"))
    assert b"10 EXISTS" in ok(await client.select("INBOX"))
    assert ok(await client.search("ALL"))[0] == b"1 2 3 4 5 6 7 8 9 10"
    # Two commands at once, which it sends without waiting for the first answer.
    flags, sizes = await asyncio.gather(
        client.uid("fetch", "1:5", "(FLAGS)"), client.uid("fetch", "6:10", "(RFC822.SIZE)")
    )
    assert len([line for line in ok(flags) if b"FLAGS" in line]) == 5, flags
    assert len([line for line in ok(sizes) if b"RFC822.SIZE" in line]) == 5, sizes
    whole = ok(await client.fetch("1", "(RFC822)"))
    assert bytes(whole[1]) == message("note 0").encode(), whole
    assert ok(await client.uid_search("SUBJECT", '"note 3"'))[0] == b"4"
    ok(await client.uid("store", "2", "+FLAGS", "(\\Deleted)"))

    await client.idle_start(timeout=SECONDS)
    ok(await other.append(message("pushed").encode(), mailbox="INBOX"))
    pushed = await client.wait_server_push(timeout=SECONDS)
    while b"11 EXISTS" not in pushed:
        pushed = await client.wait_server_push(timeout=SECONDS)
    client.idle_done()
    ok(await client.noop())

    assert any(b"INBOX" in line for line in ok(await client.list('""', "*")))
    ok(await client.getquotaroot("INBOX"))
    assert b'(("" "/"))' in ok(await client.namespace())[0]
    assert b"2 EXPUNGE" in ok(await client.expunge())
    ok(await client.uid("copy", "1", "Trash"))
    ok(await client.close())
    ok(await client.logout())
    ok(await other.logout())


asyncio.run(main())
