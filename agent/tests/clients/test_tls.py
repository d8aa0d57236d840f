"""Receivers that are not open to everybody: TLS with and without client certificates, bearer tokens, networks.
The handshakes are those of OpenSSL (Python's ssl) and of gRPC's BoringSSL."""

import os
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import agent
import certificates

TOKEN = "Bearer s3cret"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


# They would win over what a test says.
for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]:
    os.environ.pop(variable, None)


def setUpModule():  # noqa: N802, the name is unittest's
    global FOLDER, PROCESS, LINES, CLOSED, HTTP, GRPC
    FOLDER = Path(tempfile.mkdtemp(prefix="sightline-tls."))
    certificates.write(FOLDER)
    web, LINES, CLOSED, HTTP, GRPC = free_ports(5)
    server = f"certificate: {FOLDER}/server.pem, key: {FOLDER}/server.key"
    mutual = f"{server}, client_ca: {FOLDER}/ca.pem"
    Path(FOLDER, "sightline.yaml").write_text(f"""
data_dir: {FOLDER}/data
web: {{listen: '127.0.0.1:{web}'}}
metrics: {{listen_udp: '', listen_tcp: ''}}
spans: {{zipkin: {{listen: off}}}}
logs:
  tcp: {{listen: '127.0.0.1:{LINES}', tls: {{{mutual}}}}}
  udp: {{listen: off}}
  http: {{listen: '127.0.0.1:{CLOSED}', access: {{allow: [192.0.2.0/24]}}}}
otlp:
  http: {{listen: '127.0.0.1:{HTTP}', tls: {{{server}}}, access: {{tokens: [s3cret]}}}}
  grpc: {{listen: '127.0.0.1:{GRPC}', tls: {{{mutual}}}, access: {{tokens: [s3cret]}}}}
""")
    command = [os.environ["SIGHTLINE_BIN"], "run", "--config", FOLDER / "sightline.yaml"]
    with open(FOLDER / "log", "wb") as log:
        PROCESS = subprocess.Popen(command, stdout=log, stderr=log)
    agent.WEB = f"http://127.0.0.1:{web}"

    def ready():
        try:
            return agent.get("/-/ready")
        except (urllib.error.URLError, ConnectionError) as error:
            ready.seen = f"{error}; {(FOLDER / 'log').read_text()}"
            return None

    agent.eventually("the agent is ready", ready)


def tearDownModule():  # noqa: N802
    PROCESS.terminate()
    PROCESS.wait()
    subprocess.run(["rm", "-rf", FOLDER], check=True)
    agent.WEB = os.environ["AGENT_WEB"]


def trusting(certificate=None):
    context = ssl.create_default_context(cafile=FOLDER / "ca.pem")
    if certificate:
        context.load_cert_chain(FOLDER / f"{certificate}.pem", FOLDER / f"{certificate}.key")
    return context


def count(start):
    lines = [line for line in agent.get("/metrics").splitlines() if line.startswith(start)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def rises(test, start, act):
    before = count(start)
    act()

    def risen():
        risen.seen = before
        return True if count(start) > before else None

    agent.eventually(f"{start} rises", risen, 10)


class Lines(unittest.TestCase):
    def send(self, context, text):
        with socket.create_connection(("127.0.0.1", LINES), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as stream:
                stream.sendall(f'{{"service":"tls-lines","message":"{text}"}}\n'.encode())
                stream.unwrap()

    def test_who_has_a_certificate_is_heard_and_nobody_else(self):
        self.send(trusting("client"), "welcome")
        refused = 'sightline_connections_refused_total{receiver="logs_tcp",reason="handshake"}'
        for context, text in [(trusting(), "no certificate"), (trusting("stranger"), "unknown certificate")]:

            def intrude():
                # With TLS 1.3 a client may have ended before it hears of the refusal.
                try:
                    self.send(context, text)
                except (ssl.SSLError, ConnectionError):
                    pass

            rises(self, refused, intrude)
        found = agent.records("service.name:tls-lines")
        self.assertEqual([record["message"] for record in found], ["welcome"])

    def test_a_client_that_does_not_know_the_authority_goes_away(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.send(ssl.create_default_context(), "never sent")

    def test_plain_text_and_silence_are_no_handshake(self):
        def plain():
            with socket.create_connection(("127.0.0.1", LINES), timeout=10) as stream:
                stream.sendall(b'{"message":"in the clear"}\n')
                stream.recv(100)

        rises(self, "sightline_connections_refused_total", plain)


class Otlp(unittest.TestCase):
    def span(self, exporter):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("tls").start_as_current_span("behind tls") as span:
            pass
        provider.shutdown()
        agent.trace(f"{span.get_span_context().trace_id:032x}", 1)

    def test_http(self):
        url, ca = f"https://127.0.0.1:{HTTP}/v1/traces", str(FOLDER / "ca.pem")
        self.span(HttpSpans(endpoint=url, certificate_file=ca, headers={"authorization": TOKEN}))
        for authorization in [None, "Bearer wrong", "s3cret"]:
            headers = {"content-type": "application/x-protobuf"}
            headers |= {"authorization": authorization} if authorization else {}
            request = urllib.request.Request(url, b"", headers)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, context=trusting(), timeout=10)
            self.assertEqual(refused.exception.code, 401, authorization)

    def credentials(self, certificate):
        read = lambda name: (FOLDER / name).read_bytes()  # noqa: E731
        return grpc.ssl_channel_credentials(
            read("ca.pem"), read(f"{certificate}.key"), read(f"{certificate}.pem")
        )

    def call(self, certificate, metadata):
        with grpc.secure_channel(f"localhost:{GRPC}", self.credentials(certificate)) as channel:
            export = channel.unary_unary(EXPORT, lambda raw: raw, lambda raw: raw)
            return export(b"", timeout=10, metadata=metadata)

    def test_grpc(self):
        endpoint = f"https://localhost:{GRPC}"
        headers = (("authorization", TOKEN),)
        self.span(GrpcSpans(endpoint=endpoint, credentials=self.credentials("client"), headers=headers))
        self.assertEqual(self.call("client", headers), b"")
        with self.assertRaises(grpc.RpcError) as refused:
            self.call("client", None)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
        with self.assertRaises(grpc.RpcError) as refused:
            self.call("stranger", headers)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAVAILABLE)


class Networks(unittest.TestCase):
    def test_a_peer_from_elsewhere_is_closed_at_once(self):
        def knock():
            with socket.create_connection(("127.0.0.1", CLOSED), timeout=10) as stream:
                try:
                    stream.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                    self.assertEqual(stream.recv(100), b"")
                except ConnectionError:
                    pass

        rises(self, 'sightline_connections_refused_total{receiver="logs_http",reason="not_allowed"}', knock)


if __name__ == "__main__":
    unittest.main(verbosity=2)
