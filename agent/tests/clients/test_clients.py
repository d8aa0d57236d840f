"""Python's clients against a running agent: OpenTelemetry's SDK over gRPC and HTTP, the logging module over TCP,
py_zipkin, and Elasticsearch's own client. What they send has to arrive with its ids, values and times."""

import json
import logging
import logging.handlers
import os
import socket
import time
import unittest
import urllib.request
import uuid

from elasticsearch import Elasticsearch, helpers
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from py_zipkin import Encoding
from py_zipkin.zipkin import zipkin_client_span, zipkin_span
from pythonjsonlogger.json import JsonFormatter

from agent import member, records, sample, trace

GRPC, HTTP = os.environ["AGENT_GRPC"], os.environ["AGENT_HTTP"]


def resource(service):
    return Resource.create({"service.name": service, "service.version": "1.2.3", "deployment.environment.name": "test"})


class Traces(unittest.TestCase):
    def check(self, service, exporter):
        provider = TracerProvider(resource=resource(service))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("clients", "9.9")
        with tracer.start_as_current_span("GET /kittens", kind=SpanKind.SERVER) as parent:
            parent.set_attribute("http.response.status_code", 500)
            parent.set_attribute("kittens", ["Tom", "Nic"])
            with tracer.start_as_current_span("select", kind=SpanKind.CLIENT) as child:
                child.set_attribute("server.address", "db.example")
                child.add_event("retried", {"times": 2})
            parent.set_status(Status(StatusCode.ERROR, "no kittens"))
        self.assertTrue(provider.force_flush())
        provider.shutdown()
        context = parent.get_span_context()
        spans = trace(f"{context.trace_id:032x}", 2)
        server, client = spans["GET /kittens"], spans["select"]
        self.assertEqual(server["id"], f"{context.span_id:016x}")
        self.assertEqual(client["parentId"], server["id"])
        self.assertEqual((server["kind"], client["kind"]), ("SERVER", "CLIENT"))
        self.assertEqual(server["localEndpoint"]["serviceName"], service)
        self.assertEqual(client["remoteEndpoint"]["serviceName"], "db.example")
        tags = server["tags"]
        self.assertEqual(tags["http.response.status_code"], "500")
        self.assertEqual(json.loads(tags["kittens"]), ["Tom", "Nic"])
        self.assertEqual((tags["otel.status_code"], tags["error"]), ("ERROR", "no kittens"))
        self.assertEqual(tags["service.version"], "1.2.3")
        self.assertEqual(tags["otel.scope.name"], "clients")
        self.assertIn("retried", client["annotations"][0]["value"])
        self.assertEqual(server["timestamp"], parent.start_time // 1000)
        self.assertEqual(server["duration"], max(1, (parent.end_time - parent.start_time) // 1000))

    def test_grpc(self):
        self.check("otel-grpc", GrpcSpans(endpoint=GRPC, insecure=True))

    def test_http(self):
        self.check("otel-http", HttpSpans(endpoint=f"{HTTP}/v1/traces"))

    def test_http_gzip(self):
        self.check("otel-gzip", HttpSpans(endpoint=f"{HTTP}/v1/traces", compression=Compression.Gzip))


class Logs(unittest.TestCase):
    def check(self, service, exporter):
        provider = LoggerProvider(resource=resource(service))
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        tracer = TracerProvider().get_tracer("clients")
        at = time.time_ns()
        with tracer.start_as_current_span("request") as span:
            provider.get_logger("clients.kittens").emit(
                timestamp=at,
                severity_number=SeverityNumber.WARN,
                body=f"no kittens for {service}",
                attributes={"http.request.method": "GET", "kittens": 3, "password": "hunter2"},
            )
        provider.shutdown()
        (record,) = records(f"service.name:{service}")
        context = span.get_span_context()
        for path, value in [
            ("message", f"no kittens for {service}"),
            ("log.level", "warn"),
            ("log.logger", "clients.kittens"),
            ("service.version", "1.2.3"),
            ("service.environment", "test"),
            ("trace.id", f"{context.trace_id:032x}"),
            ("span.id", f"{context.span_id:016x}"),
            ("http.request.method", "GET"),
            ("labels.kittens", "3"),
            ("labels.password", "[redacted]"),
        ]:
            self.assertEqual(member(record, path), value, f"{path} in {record}")
        self.assertTrue(record["@timestamp"].startswith(time.strftime("%Y-%m-%dT%H:%M:", time.gmtime(at // 10**9))))

    def test_grpc(self):
        self.check("otel-logs-grpc", GrpcLogs(endpoint=GRPC, insecure=True))

    def test_http(self):
        self.check("otel-logs-http", HttpLogs(endpoint=f"{HTTP}/v1/logs"))


class Metrics(unittest.TestCase):
    def check(self, service, make, temporality):
        wanted = {Counter: temporality, Histogram: temporality}
        reader = PeriodicExportingMetricReader(make(wanted), export_interval_millis=3_600_000)
        provider = MeterProvider([reader], resource=resource(service))
        meter = provider.get_meter("clients")
        name = service.replace("-", "_")
        counter = meter.create_counter(f"{name}.meals", unit="1")
        timing = meter.create_histogram(f"{name}.wait", unit="s")
        gauge = meter.create_gauge(f"{name}.hungry")
        for meals, hungry in [(3, 9), (4, 5)]:
            counter.add(meals, {"kind": "fish"})
            timing.record(0.25 * meals)
            gauge.set(hungry)
            self.assertTrue(provider.force_flush())
            # Whatever the temporality: what is exposed is the sum of all.
            sample(f"{name}_hungry", hungry)
        sample(f"{name}_meals_total", 7, kind="fish")
        sample(f"{name}_wait_seconds_count", 2)
        sample(f"{name}_wait_seconds_sum", 1.75)
        provider.shutdown()

    def test_grpc_cumulative(self):
        self.check(
            "cumulative-grpc",
            lambda wanted: GrpcMetrics(endpoint=GRPC, insecure=True, preferred_temporality=wanted),
            AggregationTemporality.CUMULATIVE,
        )

    def test_http_delta(self):
        self.check(
            "delta-http",
            lambda wanted: HttpMetrics(endpoint=f"{HTTP}/v1/metrics", preferred_temporality=wanted),
            AggregationTemporality.DELTA,
        )

    def test_grpc_delta(self):
        self.check(
            "delta-grpc",
            lambda wanted: GrpcMetrics(endpoint=GRPC, insecure=True, preferred_temporality=wanted),
            AggregationTemporality.DELTA,
        )

    def test_http_cumulative(self):
        self.check(
            "cumulative-http",
            lambda wanted: HttpMetrics(endpoint=f"{HTTP}/v1/metrics", preferred_temporality=wanted),
            AggregationTemporality.CUMULATIVE,
        )


class JsonLines(logging.handlers.SocketHandler):
    """The standard library's handler for TCP, with lines instead of pickles."""

    def makePickle(self, record):  # noqa: N802, the name is the library's
        return (self.format(record) + "\n").encode()


class Logging(unittest.TestCase):
    def test_the_logging_module_over_tcp(self):
        host, port = os.environ["AGENT_LINES"].rsplit(":", 1)
        handler = JsonLines(host, int(port))
        fields = "%(asctime)s %(levelname)s %(name)s %(message)s %(process)d %(threadName)s"
        handler.setFormatter(JsonFormatter(fields, static_fields={"service": "python-logging"}))
        logger = logging.getLogger("kittens.feeding")
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        logger.warning("no fish for %s", "Tom", extra={"request_id": "py-1", "status": 503})
        try:
            raise ValueError("empty bowl")
        except ValueError:
            logger.exception("cannot feed")
        handler.close()
        found = {record["message"]: record for record in records("service.name:python-logging", 2)}
        warning, error = found["no fish for Tom"], found["cannot feed"]
        for path, value in [
            ("log.level", "warn"),
            ("log.logger", "kittens.feeding"),
            ("http.request.id", "py-1"),
            ("http.response.status_code", 503),
            ("status", 503),
            ("process.pid", os.getpid()),
            ("process.thread.name", "MainThread"),
        ]:
            self.assertEqual(member(warning, path), value, f"{path} in {warning}")
        self.assertEqual(member(error, "log.level"), "error")
        self.assertIn("ValueError: empty bowl", member(error, "error.stack_trace"))

    def test_a_line_without_its_newline(self):
        host, port = os.environ["AGENT_LINES"].rsplit(":", 1)
        with socket.create_connection((host, int(port))) as stream:
            stream.sendall(b'{"service":"python-raw","msg":"one"}{"service":"python-raw","msg":"two"}\r\nplain ')
            time.sleep(0.05)
            stream.sendall(b"python-raw-text")
        self.assertEqual(sorted(r["message"] for r in records("service.name:python-raw", 2)), ["one", "two"])
        (plain,) = records('message:"plain python-raw-text"')
        self.assertTrue(member(plain, "event.dataset").endswith(".unparsed"))


class Zipkin(unittest.TestCase):
    def test_py_zipkin(self):
        def post(payload):
            url = os.environ["AGENT_ZIPKIN"] + "/api/v2/spans"
            request = urllib.request.Request(url, payload.encode(), {"content-type": "application/json"})
            self.assertEqual(urllib.request.urlopen(request, timeout=10).status, 202)

        arguments = dict(service_name="py-zipkin", transport_handler=post, encoding=Encoding.V2_JSON)
        with zipkin_span(span_name="get", sample_rate=100, **arguments) as server:
            server.update_binary_annotations({"http.path": "/kittens"})
            with zipkin_client_span(service_name="py-zipkin", span_name="select"):
                pass
            trace_id = server.zipkin_attrs.trace_id
        spans = trace(trace_id, 2)
        self.assertEqual(spans["select"]["parentId"], spans["get"]["id"])
        self.assertEqual(spans["get"]["tags"]["http.path"], "/kittens")
        self.assertEqual(spans["get"]["localEndpoint"]["serviceName"], "py-zipkin")
        self.assertEqual(spans["get"]["traceId"], trace_id.rjust(32, "0"))


class Bulk(unittest.TestCase):
    def test_elasticsearch_client(self):
        client = Elasticsearch(os.environ["AGENT_BULK"])
        self.assertIn("version", client.info())
        marks = [uuid.uuid4().hex for _ in range(500)]
        service = f"es-client-{uuid.uuid4().hex}"
        source = {"@timestamp": "2026-01-01T00:00:00Z", "service": service}
        actions = [
            {"_op_type": "create", "_index": "logs-shippers-default", "_id": mark, "_source": source | {"message": mark}}
            for mark in marks
        ]
        self.assertEqual(helpers.bulk(client, actions), (500, []))
        # What is no document is answered for itself, and the rest is taken.
        delete = {"_op_type": "delete", "_index": "logs-shippers-default", "_id": "1"}
        last = actions[0] | {"_id": "last", "_source": source | {"message": "last"}}
        taken, errors = helpers.bulk(client, [delete, last], raise_on_error=False)
        self.assertEqual((taken, len(errors)), (1, 1))
        found = records(f"service.name:{service}", 501)
        self.assertEqual(sorted(r["message"] for r in found), sorted([*marks, "last"]))
        self.assertTrue(found[0]["@timestamp"].startswith("2026-01-01T00:00:00"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
