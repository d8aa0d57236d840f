"""Asks the embedded store through other people's clients. Run by scripts/test-store-clients: AGENT ZIPKIN_JAR."""

import datetime
import http.server
import io
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile

import elasticsearch
import prometheus_api_client

AGENT, JAR = sys.argv[1:3]
TRACE = "463ac35c9f6413ad48485a3953bb6124"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, look, seconds=30):
    """The first true answer of `look`; what it saw last is in the failure."""
    until = time.monotonic() + seconds
    while True:
        try:
            last = look()
        except Exception as error:  # an agent that is not up yet answers nothing
            last, found = error, None
        else:
            found = last
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {seconds} s; last: {last!r}")
        time.sleep(0.1)


def check(what, holds, seen=None):
    if not holds:
        raise AssertionError(f"{what}: {seen!r}")
    print(f"  ok  {what}")


def start(folder):
    names = ("web", "statsd", "logs", "otlp", "zipkin")
    ports = {name: free_port() for name in names}
    config = folder / "sightline.yaml"
    config.write_text(
        f"""
data_dir: {folder}/data
web: {{listen: '127.0.0.1:{ports["web"]}'}}
metrics: {{listen_udp: '127.0.0.1:{ports["statsd"]}', listen_tcp: '127.0.0.1:{ports["statsd"]}'}}
logs: {{tcp: {{listen: '127.0.0.1:{ports["logs"]}'}}, udp: {{listen: off}}, http: {{listen: off}}}}
otlp: {{http: {{listen: '127.0.0.1:{ports["otlp"]}'}}, grpc: {{listen: off}}}}
spans: {{zipkin: {{listen: '127.0.0.1:{ports["zipkin"]}'}}}}
store: {{min_free: 0B, metrics: {{interval: 1s}}}}
"""
    )
    log = open(folder / "agent.log", "wb")
    agent = subprocess.Popen([AGENT, "run", "--config", config], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{ports['web']}"
    eventually("the agent is ready", lambda: urllib.request.urlopen(f"{url}/-/ready").status == 200)
    return agent, ports, url


def feed(ports):
    with socket.create_connection(("127.0.0.1", ports["statsd"])) as to:
        to.sendall(b"hits:3|c\nroom.temperature:21.5|g\n")
    with socket.create_connection(("127.0.0.1", ports["logs"])) as to:
        for n in range(20):
            line = {
                "message": f"request number {n}",
                "service": "kittens",
                "level": "error" if n % 5 == 0 else "info",
                "status": 500 if n % 5 == 0 else 200,
                "method": "POST" if n % 2 else "GET",
                "event.duration": n * 1_000_000,
            }
            to.sendall(json.dumps(line).encode() + b"\n")
    now = int(time.time() * 1e6)
    endpoint = {"serviceName": "kittens"}
    server = {"traceId": TRACE, "id": "a2fb4a1d1a96d312", "kind": "SERVER", "name": "get /list", "localEndpoint": endpoint}
    client = {"traceId": TRACE, "id": "b7ad6b7169203331", "parentId": server["id"], "kind": "CLIENT", "name": "select kittens"}
    spans = [
        server | {"timestamp": now, "duration": 9000, "tags": {"http.path": "/list"}},
        client | {"timestamp": now + 1000, "duration": 5000, "localEndpoint": endpoint, "remoteEndpoint": {"serviceName": "mysql"}},
    ]
    request = urllib.request.Request(
        f"http://127.0.0.1:{ports['zipkin']}/api/v2/spans", json.dumps(spans).encode(), {"content-type": "application/json"}
    )
    check("spans are accepted", urllib.request.urlopen(request).status == 202)


def prometheus(url):
    print("prometheus-api-client")
    client = prometheus_api_client.PrometheusConnect(url=url, disable_ssl=True)
    eventually("the counter is stored", lambda: client.get_current_metric_value("hits"))
    metrics = client.all_metrics()
    check("all_metrics lists ours", {"hits", "room_temperature"} <= set(metrics), metrics)
    value = client.get_current_metric_value("hits")
    check("get_current_metric_value", value[0]["value"][1] == "3", value)
    names = client.get_label_names()
    check("get_label_names", "__name__" in names, names)
    values = client.get_label_values("__name__")
    check("get_label_values", "hits" in values, values)
    answer = client.custom_query("sum(room_temperature) * 2")
    check("custom_query", answer[0]["value"][1] == "43", answer)
    # The client asks in whole seconds, and the first sample may be younger than one.
    now = datetime.datetime.now() + datetime.timedelta(seconds=2)
    before = now - datetime.timedelta(minutes=5)
    rows = client.custom_query_range("room_temperature", before, now, "1")
    check("custom_query_range", rows and rows[0]["values"][-1][1] == "21.5", rows)
    data = client.get_metric_range_data("hits", start_time=before, end_time=now)
    check("get_metric_range_data", data and data[0]["values"], data)
    try:
        client.custom_query("sum(")
    except prometheus_api_client.PrometheusApiClientException as error:
        check("a query that cannot be read is refused with its place", "parse error" in str(error), error)
    else:
        raise AssertionError("sum( was answered")


def elastic(url):
    print("elasticsearch", elasticsearch.__versionstr__)
    client = elasticsearch.Elasticsearch(f"{url}/elasticsearch")
    check("info", client.info()["tagline"] == "You Know, for Search")
    eventually("the records are stored", lambda: client.count(index="logs-*", q="service:kittens")["count"] == 20)
    text = {"query_string": {"query": "status:500 AND service:kittens"}}
    found = client.search(index="logs-*", query=text, size=3, sort=[{"@timestamp": "desc"}])
    check("search by query_string", found["hits"]["total"]["value"] == 4 and len(found["hits"]["hits"]) == 3, found)
    both = {"bool": {"filter": [{"term": {"method": "GET"}}, {"range": {"status": {"gte": 500}}}]}}
    check("bool with term and range", client.count(index="logs-*", query=both)["count"] == 2)
    aggs = {"levels": {"terms": {"field": "log.level"}}, "mean": {"avg": {"field": "event.duration"}}}
    answer = client.search(index="logs-*", query={"match_all": {}}, size=0, aggs=aggs)["aggregations"]
    levels = {bucket["key"]: bucket["doc_count"] for bucket in answer["levels"]["buckets"]}
    check("terms and avg", levels == {"info": 16, "error": 4} and answer["mean"]["value"] == 9_500_000, answer)
    over_time = {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m"}}}
    buckets = client.search(index="logs-*", size=0, aggs=over_time)["aggregations"]["t"]["buckets"]
    check("date_histogram", sum(bucket["doc_count"] for bucket in buckets) == 20, buckets)
    pages, after = [], None
    while True:
        page = client.search(index="logs-*", size=7, sort=[{"@timestamp": "asc"}, {"_seq_no": "asc"}], search_after=after)
        hits = page["hits"]["hits"]
        if not hits:
            break
        pages += [hit["_id"] for hit in hits]
        after = hits[-1]["sort"]
    check("search_after walks over all, each once", len(pages) == 20 == len(set(pages)), pages)
    searches = [{"index": "logs-*"}, {"query": text, "size": 1}, {"index": "logs-*"}, {"size": 0}]
    totals = [r["hits"]["total"]["value"] for r in client.msearch(searches=searches)["responses"]]
    check("msearch", totals == [4, 20], totals)
    caps = client.field_caps(index="logs-*", fields="*")["fields"]
    check("field_caps", {"status", "log.level", "@timestamp"} <= set(caps), list(caps)[:20])
    check("mapping", client.indices.get_mapping(index="logs-*").body)
    indices = client.cat.indices(index="logs-*", format="json").body
    check("cat indices", indices, indices)
    try:
        client.search(index="logs-*", q="status:[1 TO")
    except elasticsearch.BadRequestError as error:
        check("a query that cannot be read is refused", "column" in str(error), error)
    else:
        raise AssertionError("a broken range was answered")


class Lens(http.server.BaseHTTPRequestHandler):
    """Serves the files of Zipkin's page, and its API from the agent."""

    files, agent = None, None

    def do_GET(self):
        path = self.path.split("?")[0].removeprefix("/zipkin/")
        if path.startswith("api/v2/"):
            return self.pass_on()
        if path == "config.json":
            body = {"environment": "", "queryLimit": 10, "defaultLookback": 3_600_000, "searchEnabled": True, "dependency": {"enabled": True}}
            return self.reply(200, "application/json", json.dumps(body).encode())
        name = f"zipkin-lens/{path}" if f"zipkin-lens/{path}" in self.files.namelist() and path else "zipkin-lens/index.html"
        kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml"}
        self.reply(200, kinds.get(pathlib.Path(name).suffix, "application/octet-stream"), self.files.read(name))

    def pass_on(self):
        try:
            with urllib.request.urlopen(self.agent + self.path) as answer:
                self.reply(answer.status, answer.headers["content-type"], answer.read())
        except urllib.error.HTTPError as error:
            self.reply(error.code, "text/plain", error.read())

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def zipkin(url, folder):
    print("zipkin's page", pathlib.Path(JAR).name)
    with zipfile.ZipFile(JAR) as jar:
        inner = next(name for name in jar.namelist() if "/zipkin-lens-" in name)
        Lens.files, Lens.agent = zipfile.ZipFile(io.BytesIO(jar.read(inner))), url
    eventually("the trace is stored", lambda: json.load(urllib.request.urlopen(f"{url}/api/v2/trace/{TRACE}")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}/zipkin"
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))

    def shown(path):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000", f"--user-data-dir={folder}/browser"]
        dom = subprocess.run([browser, *options, "--dump-dom", base + path], capture_output=True, text=True, timeout=90)
        return dom.stdout

    end = int(time.time() * 1000) + 60_000
    for what, path, wanted in [
        ("a trace", f"/traces/{TRACE}", ("select kittens", "get /list", "kittens")),
        ("a search", f"/?serviceName=kittens&lookback=15m&endTs={end}&limit=10", ("kittens", "get /list")),
    ]:
        def look():
            page = shown(path)
            return page if all(word in page.lower() for word in wanted) else print(f"  ..  {len(page)} characters, not yet")

        check(f"zipkin's page shows {what}", eventually(f"zipkin's page shows {what}", look, 60))
    server.shutdown()


def main():
    with tempfile.TemporaryDirectory(prefix="sightline-clients-") as name:
        folder = pathlib.Path(name)
        agent, ports, url = start(folder)
        try:
            feed(ports)
            prometheus(url)
            elastic(url)
            zipkin(url, folder)
        except BaseException:
            print((folder / "agent.log").read_text(), file=sys.stderr)
            raise
        finally:
            agent.terminate()
            agent.wait(30)


main()
