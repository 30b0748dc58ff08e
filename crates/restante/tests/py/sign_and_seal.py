"""Signs a message by python3-dkim, changes it as a list does, and has it sealed by two lists.

Writes signed.eml, sealed.eml and sealed-by-another.eml beside the message; prints the key records.
"""

import base64
import os
import subprocess
import sys

import dkim

path = sys.argv[1]
folder = os.path.dirname(path)
with open(path, "rb") as file:
    message = file.read()

key_path = os.path.join(folder, "key.pem")
subprocess.run(["openssl", "genrsa", "-traditional", "-out", key_path, "2048"], check=True,
               stderr=subprocess.DEVNULL)
with open(key_path, "rb") as file:
    key = file.read()
public = subprocess.run(["openssl", "rsa", "-in", key_path, "-pubout", "-outform", "DER"],
                        check=True, capture_output=True).stdout
record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
for domain in ("outside.test", "list.test", "another.test"):
    print(f"s1._domainkey.{domain} {record}")


def write(name, octets):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(octets)


signed = dkim.sign(message, b"s1", b"outside.test", key,
                   include_headers=[b"from", b"subject", b"date", b"message-id"]) + message
write("signed.eml", signed)
for domain, name in ((b"list.test", "sealed.eml"), (b"another.test", "sealed-by-another.eml")):
    changed = signed.replace(b"Subject: ", b"Subject: [list] ")
    found = (b"Authentication-Results: " + domain
             + b"; dkim=pass header.d=outside.test; dmarc=pass header.from=outside.test\r\n")
    seal = dkim.arc_sign(found + changed, b"s1", domain, key, domain,
                         include_headers=[b"from", b"subject", b"date", b"message-id"])
    write(name, b"".join(seal) + changed)
