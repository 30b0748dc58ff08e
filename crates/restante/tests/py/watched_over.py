"""Reads the server's numbers with Prometheus' own parser, and receives them as an OTLP collector that
takes nothing but what the protocol's definition has."""
import http.server
import imaplib
import os
import ssl
import threading
import urllib.error
import urllib.request

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from here import ALICE, HOST, deliver, port, tls, until

received = []


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        received.append(json_format.Parse(body, ExportMetricsServiceRequest()))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def get(path):
    url = f"https://{HOST}:{port('HTTPS')}{path}"
    with urllib.request.urlopen(url, context=tls(), timeout=30) as answer:
        return answer.read().decode()


def numbers():
    found = {}
    for family in text_string_to_metric_families(get("/metrics")):
        assert family.documentation, family.name
        for sample in family.samples:
            key = (sample.name, *sample.labels.values())
            assert key not in found, key
            found[key] = sample.value
    return found


collecting = int(open(os.path.join(os.environ["DATA"], "..", "collector")).read())
server = http.server.ThreadingHTTPServer(("127.0.0.1", collecting), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()

before = numbers()
deliver(ALICE, "one")
deliver(ALICE, "two")
client = imaplib.IMAP4(HOST, port("IMAP"), timeout=30)
try:
    client.login(ALICE, "wrong")
    raise AssertionError("a wrong password was taken")
except imaplib.IMAP4.error:
    pass

now = numbers()
grew = lambda *key: now[key] - before[key]
assert grew("restante_accepted_messages_total", "smtp") == 2, now
assert grew("restante_recipients_total", "delivered") == 2, now
assert grew("restante_accepted_bytes_total") > 200, now
assert grew("restante_sign_ins_total", "refused") == 1, now
assert grew("restante_sync_seconds_count") >= 2, now
assert now["restante_sync_seconds_bucket", "+Inf"] == now["restante_sync_seconds_count",], now
assert now["restante_connections", "imap"] == 1, now
assert grew("restante_connections_total", "smtp") == 2, now
assert now["restante_accepting",] == 1, now
assert now["restante_queue_recipients", "queued"] == 0, now
assert now["process_resident_memory_bytes",] > 1 << 20, now
assert now["restante_certificate_end_seconds", "tls/certificate.pem"] > now["process_start_time_seconds",], now
client.shutdown()

assert "ready" in get("/readyz") and "alive" in get("/healthz")


def accepted_over_otlp():
    for request in list(received):
        for resource in request.resource_metrics:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            assert names["service.name"] == "restante", names
            for metric in resource.scope_metrics[0].metrics:
                if metric.name == "restante_accepted_messages_total":
                    assert metric.sum.is_monotonic
                    for point in metric.sum.data_points:
                        if point.attributes[0].value.string_value == "smtp" and point.as_double >= 2:
                            assert point.time_unix_nano > point.start_time_unix_nano > 0
                            return True
    return False


until("the numbers over OTLP", accepted_over_otlp)
histograms = [m for m in received[-1].resource_metrics[0].scope_metrics[0].metrics if m.HasField("histogram")]
assert len(histograms) == 1
point = histograms[0].histogram.data_points[0]
assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
assert sum(point.bucket_counts) == point.count > 0
