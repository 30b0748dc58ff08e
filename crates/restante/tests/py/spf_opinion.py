"""What python3-spf says: a line `IP HELO MAILFROM` in ("-" and "~" for nothing), a word out."""

import os
import sys

import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = ["127.0.0.1"]
resolver.port = int(os.environ["DNS_PORT"])
dns.resolver.default_resolver = resolver

import spf  # noqa: E402

for line in sys.stdin:
    ip, helo, sender = line.rstrip("\n").split(" ")
    word, _ = spf.check2(i=ip, s="" if sender == "-" else sender, h=helo)
    print(word)
