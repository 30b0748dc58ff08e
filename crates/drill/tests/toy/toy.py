#!/usr/bin/env python3
"""A small mail server with the command line of `restante`, to try the drills on.

TOY_BUG plants a fault that a drill must find:
  early   answers 250 before anything is written
  nosync  writes, and never syncs (a power cut shows it, a kill does not)
  double  delivers every hundredth message twice
  verify  `verify` finds something
TOY_DRILL names the binary that holds the drills of `toy drill ...`.
"""
import asyncio, json, os, re, sys

BUG = os.environ.get("TOY_BUG", "")


def options(arguments):
    found, rest = {}, []
    it = iter(arguments)
    for argument in it:
        if argument.startswith("--") and argument != "--json":
            found.setdefault(argument[2:], []).append(next(it))
        else:
            rest.append(argument)
    return found, rest


class Store:
    def __init__(self, data):
        self.config = json.load(open(f"{data}/config.json"))
        self.path = f"{data}/journal"
        self.boxes = {}
        self.open = {}
        self.file = open(self.path, "ab")
        self.number = 0
        self.waiting = []
        self.early = []
        good = 0
        for line in open(self.path, "rb"):
            if not line.endswith(b"\n"):
                break
            try:
                record = json.loads(line)
            except ValueError:
                break
            good += len(line)
            self.apply(record)
        self.file.truncate(good)

    def apply(self, record):
        self.number += 1
        if "sent" in record:
            self.open.pop(record["sent"], None)
            return
        if record["to"].endswith("@sink.test"):
            self.open[record["id"]] = record
        else:
            self.boxes.setdefault(record["to"], []).append(record["header"])
            if BUG == "double" and self.number % 100 == 0:
                self.boxes[record["to"]].append(record["header"])

    def write(self, record):
        self.file.write(json.dumps(record).encode() + b"\n")
        self.file.flush()
        if BUG != "nosync":
            os.fdatasync(self.file.fileno())
        self.apply(record)

    def accept(self, to, message):
        header = re.search(rb"(?im)^x-load-token:.*$", message)
        identity = f"r{self.number}-{self.number:08x}"
        record = {"id": identity, "to": to, "header": header.group(0).decode().strip() if header else "",
                  "body": message.decode("latin-1")}
        if BUG == "early":
            self.early.append(record)
            if len(self.early) > 20:
                for record in self.early:
                    self.write(record)
                self.early = []
        else:
            self.write(record)
        return identity


async def smtp(store, reader, writer):
    recipients = []
    writer.write(b"220 toy ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            writer.write(b"250-toy\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n")
        elif verb == b"AUTH":
            writer.write(b"235 2.7.0 ok\r\n")
        elif verb == b"RCPT":
            recipients.append(line.split(b"<")[1].split(b">")[0].decode())
            writer.write(b"250 2.1.5 ok\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            await writer.drain()
            message = await reader.readuntil(b"\r\n.\r\n")
            identity = [store.accept(to, message) for to in recipients][0]
            recipients = []
            writer.write(f"250 2.0.0 {identity}\r\n".encode())
        elif verb == b"QUIT":
            writer.write(b"221 2.0.0 bye\r\n")
            break
        else:
            writer.write(b"250 2.0.0 ok\r\n")
        await writer.drain()
    writer.close()


async def imap(store, reader, writer):
    user, box = "", []
    writer.write(b"* OK toy\r\n")
    while line := await reader.readline():
        tag, command, *words = line.decode().split()
        if command == "LOGIN":
            user = words[0].strip('"')
        elif command == "EXAMINE":
            name = words[0].strip('"')
            box = store.boxes.get(user if name == "INBOX" else f"{user}/{name}", [])
            writer.write(f"* {len(box)} EXISTS\r\n".encode())
        elif command == "FETCH":
            for number, header in enumerate(box, 1):
                text = header + "\r\n\r\n"
                writer.write(f"* {number} FETCH (BODY[HEADER.FIELDS (X-Load-Token)] {{{len(text)}}}\r\n{text})\r\n".encode())
        elif command == "APPEND":
            size = int(line.rstrip()[:-1].split(b"{")[1])
            writer.write(b"+ go on\r\n")
            await writer.drain()
            message = await reader.readexactly(size)
            await reader.readline()
            store.accept(user + "/" + words[0].strip('"'), message)
        writer.write(f"{tag} OK done\r\n".encode())
        await writer.drain()
    writer.close()


async def relay(store):
    host, port = store.config.get("route", "127.0.0.1:1").split(":")
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
            await reader.readline()
            while True:
                for identity, record in list(store.open.items()):
                    writer.write(b"MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n" % record["to"].encode())
                    for _ in range(3):
                        await reader.readline()
                    writer.write(record["body"].encode("latin-1"))
                    if not (await reader.readline()).startswith(b"250"):
                        raise OSError
                    store.write({"sent": identity})
                await asyncio.sleep(0.01)
        except OSError:
            await asyncio.sleep(0.1)


async def serve(data):
    store = Store(data)
    base = store.config["base"]
    for port, session in ((25, smtp), (587, smtp), (143, imap)):
        await asyncio.start_server(lambda r, w, s=session: s(store, r, w), "127.0.0.1", base + port, limit=1 << 26)
    asyncio.get_running_loop().add_signal_handler(15, lambda: os._exit(0))
    await relay(store)


def main():
    command = sys.argv[1]
    if command == "drill":
        drill = os.environ["TOY_DRILL"]
        os.execv(drill, [drill, *sys.argv[2:], *(["--binary", __file__] if "guest" in sys.argv[2] else [])])
    found, rest = options(sys.argv[2:])
    data = found["data"][0]
    if command == "init":
        os.makedirs(data)
        json.dump({"base": int(found["port-base"][0])}, open(f"{data}/config.json", "w"))
    elif command == "route":
        config = json.load(open(f"{data}/config.json"))
        config["route"] = rest[2]
        json.dump(config, open(f"{data}/config.json", "w"))
    elif command == "serve":
        asyncio.run(serve(data))
    elif command == "queue":
        print(json.dumps([{"receipt": i, "to": r["to"]} for i, r in Store(data).open.items()]))
    elif command == "trace":
        print('{"attempt": "uncertain"}')
    elif command == "verify":
        sys.exit(1 if BUG == "verify" else 0)


main()
