"""RFC 1939: DELE counts after QUIT; UIDL, TOP, RSET, CAPA, STLS; one session at a time."""
import poplib

from here import ALICE, HOST, PASSWORD, SECONDS, port, tls


def connect(sign_in=True):
    pop = poplib.POP3(HOST, port("POP3"), timeout=SECONDS)
    if sign_in:
        pop.user(ALICE)
        pop.pass_(PASSWORD)
    return pop


pop = connect(sign_in=False)
capabilities = pop.capa()
assert {"TOP", "UIDL", "STLS", "USER"} <= set(capabilities), capabilities
pop.stls(context=tls())
pop.user(ALICE)
pop.pass_(PASSWORD)
assert pop.stat()[0] == 3
uids = [line.split()[1] for line in pop.uidl()[1]]
assert len(set(uids)) == 3, uids
top = b"\n".join(pop.top(1, 0)[1])
assert b"Subject: Mail 1" in top and b"The body" not in top, top
sizes = [int(line.split()[1]) for line in pop.list()[1]]
assert sum(sizes) == pop.stat()[1]
assert sizes[0] == len(b"\r\n".join(pop.retr(1)[1])) + 2

# The connection breaks: nothing is gone.
pop.dele(1)
pop.dele(2)
pop.close()

pop = connect()
assert [line.split()[1] for line in pop.uidl()[1]] == uids
pop.dele(3)
pop.rset()
assert pop.stat()[0] == 3
pop.dele(2)
try:
    pop.retr(2)
    raise AssertionError("a marked message was shown")
except poplib.error_proto as error:
    assert b"-ERR" in error.args[0], error
pop.quit()

pop = connect()
assert [line.split()[1] for line in pop.uidl()[1]] == [uids[0], uids[2]]
pop.quit()

try:
    bad = connect(sign_in=False)
    bad.user(ALICE)
    bad.pass_("wrong")
    raise AssertionError("a wrong password was taken")
except poplib.error_proto as error:
    assert error.args[0].startswith(b"-ERR"), error
