"""Cleave and clients that others wrote: OpenTelemetry's SDK of Python sends, Cleave is asked what it has.

Started by `cargo xtask interop` with the binary and a directory. Each check prints a line; the first that fails ends
the program. What is sent is read back by Cleave's own API, Jaeger's and Tempo's, as protobuf through OpenTelemetry's own
classes, and goes on to a second Cleave, which must have the same.
"""

import gzip
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from google.rpc.status_pb2 import Status
from prometheus_client.openmetrics.parser import text_string_to_metric_families

WATCHDOG_S = 60


class Cleave:
    """A home on free ports, with a directory of its own."""

    def __init__(self, binary, directory, rules):
        os.makedirs(directory, exist_ok=True)
        config = os.path.join(directory, "cleave.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(rules)
        arguments = [binary, "up", "--config", config, "--data", os.path.join(directory, "data")]
        arguments += ["--ui", "127.0.0.1:0", "--ingress", "127.0.0.1:0"]
        self.process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        self.ui = None
        for line in self.process.stderr:
            if line.startswith("cleave: Cleave"):
                self.ui = line.split()[-1]
            if line.startswith("cleave: handlers"):
                break
        assert self.ui, "Cleave did not start"
        otlp = self.json("/api/v1/status")["otlp"]
        self.http, self.grpc = otlp.get("listen"), otlp.get("grpc")

    def read(self, path, headers=None):
        request = urllib.request.Request(self.ui + path, headers=headers or {})
        with urllib.request.urlopen(request, timeout=WATCHDOG_S) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.read(path))

    def wait_for(self, what, path, wanted):
        deadline = time.monotonic() + WATCHDOG_S
        while True:
            try:
                answer = self.json(path)
                if wanted(answer):
                    return answer
            except urllib.error.HTTPError as error:
                answer = error
            assert time.monotonic() < deadline, f"{what}: {answer}"
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=WATCHDOG_S)


def told(text):
    print(f"ok   {text}", flush=True)


def send(exporter, service):
    """A trace as an instrumented program makes it; its id in hexadecimal."""
    resource = Resource.create({"service.name": service, "deployment.environment.name": "try"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("interop", "1.0")
    with tracer.start_as_current_span("GET /cart", kind=trace.SpanKind.SERVER) as root:
        root.set_attribute("http.request.method", "GET")
        root.set_attribute("list", ["a", "b"])
        with tracer.start_as_current_span("SELECT", kind=trace.SpanKind.CLIENT) as inner:
            inner.add_event("cache miss", {"key": "cart:7"})
            inner.record_exception(KeyError("cart"))
            inner.set_status(trace.Status(trace.StatusCode.ERROR, "no such cart"))
            inner.add_link(root.get_span_context())
            inner.add_link(trace.SpanContext(0xFF, 0xEE, False))
        context = root.get_span_context()
    provider.shutdown()
    return f"{context.trace_id:032x}"


def check_own_api(cleave, id, service):
    detail = cleave.wait_for("two spans", f"/api/v1/traces/{id}", lambda it: len(it["spans"]) == 2)
    root, inner = (row["span"] for row in detail["spans"])
    assert (root["name"], root["kind"], root["handler"]) == ("GET /cart", "server", service), root
    assert inner["parent_id"] == root["span_id"]
    assert "no such cart" in inner["status"]["failed"]["message"], inner["status"]
    lines = [line["message"] for line in inner["logs"]]
    assert lines[0].startswith("cache miss") and "KeyError" in lines[1], lines
    attributes = {name: list(value.values())[0] for name, value in root["attributes"]}
    assert attributes["resource.telemetry.sdk.language"] == "python", attributes
    assert attributes["list"] == '["a","b"]', attributes


def check_tempo(cleave, id, service):
    message = TracesData()
    message.ParseFromString(cleave.read(f"/tempo/api/traces/{id}", {"Accept": "application/protobuf"}))
    (of,) = message.resource_spans
    resource = {pair.key: pair.value.string_value for pair in of.resource.attributes}
    assert resource["service.name"] == service and resource["telemetry.sdk.language"] == "python", resource
    spans = {span.name: span for scope in of.scope_spans for span in scope.spans}
    assert of.scope_spans[0].scope.name == "interop"
    assert len(spans["SELECT"].links) == 2 and spans["SELECT"].status.code == 2
    assert spans["GET /cart"].end_time_unix_nano >= spans["SELECT"].end_time_unix_nano
    query = urllib.parse.quote(f'{{resource.service.name="{service}" && status=error}}')
    found = cleave.json(f"/tempo/api/search?q={query}")["traces"]
    assert id in [trace["traceID"] for trace in found], found


def check_jaeger(cleave, id, service):
    assert service in cleave.json("/jaeger/api/v3/services")["services"]
    summaries = cleave.json(f"/jaeger/api/v3/trace-summaries?query.serviceName={service}")["summaries"]
    (summary,) = [one for one in summaries if one["traceId"] == id]
    assert (summary["spanCount"], summary["errorSpanCount"], summary["orphanSpanCount"]) == (2, 1, 0), summary
    (one,) = cleave.json(f"/jaeger/api/traces/{id}")["data"]
    assert {span["operationName"] for span in one["spans"]} == {"GET /cart", "SELECT"}


def post(cleave, body, headers):
    request = urllib.request.Request(f"http://{cleave.http}/v1/traces", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=WATCHDOG_S) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def check_bad_bodies(cleave):
    protobuf = {"Content-Type": "application/x-protobuf"}
    status, headers, body = post(cleave, b"\xff\xff\xff", protobuf)
    assert (status, headers["Content-Type"]) == (400, "application/x-protobuf")
    assert Status.FromString(body).code == 3
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.name = "no ids"
    status, _, body = post(cleave, gzip.compress(request.SerializeToString()), {**protobuf, "Content-Encoding": "gzip"})
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    assert (status, partial.rejected_spans) == (200, 1) and "trace id" in partial.error_message, partial


def main():
    binary, directory = sys.argv[1:3]
    open_doors = '[otlp]\nlisten = "127.0.0.1:0"\ngrpc = "127.0.0.1:0"\n[traces]\nsampling = "all"\n'
    second = Cleave(binary, os.path.join(directory, "second"), open_doors)
    first = None
    try:
        onward = open_doors.replace("[traces]", f'export = "http://{second.http}"\n[traces]')
        first = Cleave(binary, os.path.join(directory, "first"), onward)
        told(f"two homes: HTTP {first.http}, gRPC {first.grpc}, and on to {second.http}")
        http = f"http://{first.http}/v1/traces"
        ways = {
            "http": HttpExporter(endpoint=http),
            "http-gzip": HttpExporter(endpoint=http, compression=Compression.Gzip),
            "grpc": GrpcExporter(endpoint=first.grpc, insecure=True),
        }
        for way, exporter in ways.items():
            service = f"py-{way}"
            id = send(exporter, service)
            check_own_api(first, id, service)
            check_tempo(first, id, service)
            check_jaeger(first, id, service)
            told(f"{way}: sent by the SDK; read by Cleave's, Tempo's and Jaeger's API")
            second.wait_for("the trace to go on", f"/api/v1/traces/{id}", lambda it: len(it["spans"]) == 2)
            ours, theirs = (it.read(f"/api/v1/traces/{id}/export") for it in (first, second))
            assert ours == theirs, f"{ours}\n{theirs}"
            told(f"{way}: went on to the second home, whose export is the same to the byte")
        check_bad_bodies(first)
        told("bad bodies are answered by a Status, bad spans by partial_success")
        text = first.read("/metrics").decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        taken = [it.value for it in families["cleave_otlp_spans"].samples if it.labels == {"way": "in", "outcome": "taken"}]
        assert taken == [6.0], taken
        told(f"/metrics: {len(families)} families, read by prometheus_client's OpenMetrics parser")
        status = first.json("/api/v1/status")["otlp"]
        assert (status["received"], status["refused"], status["export"]["sent"]) == (6, 1, 6), status
        told(f"status: {json.dumps(status)}")
    finally:
        for cleave in (first, second):
            if cleave:
                cleave.stop()


main()
