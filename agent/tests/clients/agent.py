"""Asks the agent under test what has arrived. Where it listens is in the environment; see scripts/test-clients."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

WEB = os.environ["AGENT_WEB"]


def get(path, body=None):
    headers = {"content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(WEB + path, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def eventually(what, look, seconds=30):
    """The first answer of `look` that is not None; what it saw last is in the error."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except urllib.error.HTTPError as error:
            found, look.seen = None, f"{error}: {error.read()[:300]}"
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s; last: {getattr(look, 'seen', '')}")
        time.sleep(0.2)


def records(query, count=1):
    """The log records that match a query, oldest first, once there are `count` of them."""

    def look():
        body = {"size": 1000, "query": {"query_string": {"query": query}}, "sort": [{"@timestamp": "asc"}]}
        hits = json.loads(get("/logs-*/_search", body))["hits"]["hits"]
        look.seen = f"{len(hits)} of {count}"
        return hits if len(hits) >= count else None

    return [hit["_source"] for hit in eventually(f"records for {query}", look)]


def member(record, path):
    """`a.b.c` of a record, whichever dots stand in keys."""
    if path in record:
        return record[path]
    for at, character in enumerate(path):
        if character == "." and isinstance(record.get(path[:at]), dict):
            found = member(record[path[:at]], path[at + 1 :])
            if found is not None:
                return found
    return None


def trace(trace_id, count):
    """The spans of a trace by name, once there are `count` of them."""

    def look():
        spans = json.loads(get(f"/api/v2/trace/{trace_id}"))
        look.seen = f"{len(spans)} of {count}"
        return {span["name"]: span for span in spans} if len(spans) >= count else None

    return eventually(f"trace {trace_id}", look)


def sample(name, value, **labels):
    """Waits until the one series of `name` with these labels has this value."""

    def look():
        found = []
        for line in get("/metrics").splitlines():
            series, _, text = line.partition(" # ")[0].rpartition(" ")
            if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                found.append((series, float(text)))
        look.seen = found
        return found if [v for _, v in found] == [value] else None

    return eventually(f"{name}{labels} = {value}", look)
