"""Receives events at the port given, as a Standard Webhooks receiver: checks signatures with Python's own
HMAC, answers 500 while the file BROKEN is there, and writes what it was told into a file, a line each."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import sys

port, log, secret, broken = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        key = base64.b64decode(open(secret).read().strip().removeprefix("whsec_"))
        signed = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256)
        right = "v1," + base64.b64encode(signed.digest()).decode() == self.headers["webhook-signature"]
        if os.path.exists(broken):
            self.send_response(500)
            self.end_headers()
            return
        event = json.loads(body)
        with open(log, "a") as out:
            out.write(json.dumps({"id": name, "right": right, "type": event["type"], "data": event["data"]}) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
