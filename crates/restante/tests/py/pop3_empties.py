"""Takes all mail of alice away over POP3."""
import poplib

from here import ALICE, HOST, PASSWORD, SECONDS, port

pop = poplib.POP3(HOST, port("POP3"), timeout=SECONDS)
pop.user(ALICE)
pop.pass_(PASSWORD)
for number in range(1, pop.stat()[0] + 1):
    pop.retr(number)
    pop.dele(number)
pop.quit()
