# SPDX-License-Identifier: BSD-2-Clause
"""What test_xl_seeing.sh asks of the outputs of xl top, metrics, events and usage:

    seeing.py lines SCHEMA FILE        each line of FILE is a document of the schema
    seeing.py document SCHEMA FILE     FILE is one
    seeing.py metrics FILE [NAME{LABEL=VALUE,...}[=NUMBER] ...]    Prometheus's own parser takes it, with these samples
    seeing.py csv FILE                 every row has the header's columns
    seeing.py http PORT                the server of xl metrics, and whoever tries to hold it up
    seeing.py syslog SOCKET FILE       what comes to SOCKET, until SIGTERM
"""
import csv
import datetime
import http.client
import json
import os
import re
import socket
import sys

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/schema")


def validator(name, part=None):
    import jsonschema
    with open(os.path.join(SCHEMAS, name + ".json"), encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft7Validator.check_schema(schema)
    if part:
        schema = {**schema["definitions"][part], "definitions": schema["definitions"]}
    return jsonschema.Draft7Validator(schema)


def lines(schema, path):
    name, _, part = schema.partition("#")
    check = validator(name, part)
    with open(path, encoding="utf-8") as f:
        text = f.readlines()
    assert text, "no line"
    for line in text:
        check.validate(json.loads(line))


def document(schema, path):
    with open(path, encoding="utf-8") as f:
        validator(schema).validate(json.load(f))


def when(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text):
    from prometheus_client.parser import text_string_to_metric_families
    families = list(text_string_to_metric_families(text))
    assert families
    for f in families:
        assert f.documentation and f.type in ("counter", "gauge"), f.name
        for s in f.samples:
            assert s.name.endswith("_total") == (f.type == "counter"), s.name
            assert s.value >= 0, s
    return [s for f in families for s in f.samples]


def metrics(path, *wanted):
    with open(path, encoding="utf-8") as f:
        samples = parse(f.read())
    assert len({(s.name, tuple(sorted(s.labels.items()))) for s in samples}) == len(samples), "a sample is there twice"
    for w in wanted:
        name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})?(?:=(.+))?", w, re.S).groups()
        labels = dict(x.split("=", 1) for x in labels.split(",")) if labels else {}
        found = [s for s in samples if s.name == name and labels.items() <= s.labels.items()]
        assert len(found) == 1, f"{w}: {found}"
        assert value is None or found[0].value == float(value), found


def csv_(path):
    with open(path, encoding="utf-8", newline="") as f:
        header, *rows = csv.reader(f)
    assert rows and header[0] == "time" and len(set(header)) == len(header)
    for row in rows:
        assert len(row) == len(header), row
        for key, value in zip(header, row):
            if key not in ("time", "name", "uuid", "state") and value:
                float(value)


class Raw:
    """A client that says just what it is told to."""

    def __init__(self, port, text=b""):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.s.sendall(text)

    def answer(self):
        got = b""
        while True:
            piece = self.s.recv(65536)
            if not piece:
                break
            got += piece
        self.s.close()
        return got.decode()


def get(port, path="/metrics", method="GET"):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request(method, path)
    r = c.getresponse()
    body = r.read().decode()
    c.close()
    return r, body


def silent(port):
    """The time of those who say nothing, or half of something, ends."""
    for c in [Raw(int(port), b"GET /met" if i % 2 else b"") for i in range(40)]:
        assert c.answer() == ""


def http_(port):
    port = int(port)
    r, body = get(port)
    assert r.status == 200 and r.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    parse(body)
    r, nothing = get(port, method="HEAD")
    assert r.status == 200 and int(r.getheader("Content-Length")) > 1000 and nothing == ""
    assert get(port, "/metrics?x=1")[0].status == 200
    r, text = get(port, "/")
    assert r.status == 404 and "/metrics" in text
    r, _ = get(port, method="DELETE")
    assert r.status == 405 and r.getheader("Allow") == "GET, HEAD"
    assert Raw(port, b"GET /metrics\r\n\r\n").answer().startswith("HTTP/1.1 400 ")
    assert Raw(port, b"\x00\r\n\r\n").answer().startswith("HTTP/1.1 400 ")
    assert Raw(port, b"GET /metrics HTTP/1.1\r\nA: " + b"x" * 5000).answer().startswith("HTTP/1.1 431 ")
    # A body that nobody wants does not take the answer back.
    assert Raw(port, b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n" + b"123456789").answer().startswith("HTTP/1.1 405 ")
    # One byte at a time is a request, too.
    c = Raw(port)
    for b in b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n":
        c.s.sendall(bytes([b]))
    assert c.answer().startswith("HTTP/1.1 200 ")
    # Those who say nothing, half of something, or do not read, hold nobody up, however many they are.
    slow = [Raw(port, b"GET /met" if i % 2 else b"") for i in range(40)]
    deaf = [Raw(port, b"GET /metrics HTTP/1.1\r\n\r\n") for i in range(10)]
    for _ in range(3):
        assert get(port)[0].status == 200
    for c in slow + deaf:
        c.s.close()
    # Clients that go in the middle
    for text in (b"", b"GET /metrics HTTP/1.1\r\n\r\n"):
        for _ in range(20):
            Raw(port, text).s.close()
    assert get(port)[0].status == 200


def syslog(path, to):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    with open(to, "w", encoding="utf-8") as f:
        while True:
            f.write(s.recv(4096).decode() + "\n")
            f.flush()


if __name__ == "__main__":
    {"lines": lines, "document": document, "metrics": metrics, "csv": csv_, "http": http_, "silent": silent, "syslog": syslog}[sys.argv[1]](*sys.argv[2:])
