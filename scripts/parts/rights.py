"""Who may do what in a secured Elasticsearch, asked of the real server: each user that `sightline setup` makes does what its
program needs, and is refused everything else.

    prove(url, passwords, sightline, folder)     passwords: name of the user -> password; fails with what is wrong
"""
import base64
import json
import subprocess
import sys
import urllib.error
import urllib.request

ROOT = __file__.rsplit("/scripts/", 1)[0]
# What an account needs that does nothing but run `sightline setup elasticsearch` (docs/stack.md says the same).
SETUP = {
    "cluster": ["monitor", "manage_index_templates", "manage_ilm", "manage_security"],
    "indices": [{"names": ["logs-*"], "privileges": ["view_index_metadata", "manage_data_stream_lifecycle"]}],
}
EVERYTHING = ["read", "index", "create", "create_doc", "write", "delete", "create_index", "delete_index", "auto_configure",
              "view_index_metadata", "maintenance", "manage", "all"]


def fail(what):
    sys.exit(f"FAILED: {what}")


class Server:
    def __init__(self, url):
        self.url = url

    def ask(self, authorization, method, path, body=None):
        """Status and answer."""
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind, "Authorization": authorization}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def role(name):
    return json.load(open(f"{ROOT}/dashboards/elasticsearch/50-role.{name}.json"))


def bulk(action, index, **document):
    # Without a sequence number the index behind a stream refuses an overwrite before anybody's rights are looked at.
    which = {"create": {}, "index": {"_id": "1", "if_seq_no": 0, "if_primary_term": 1}}.get(action, {"_id": "1"})
    line = json.dumps({action: {"_index": index, **which}}) + "\n"
    if action == "delete":
        return line
    return line + json.dumps({"doc": document} if action == "update" else document) + "\n"


RECORD = {"@timestamp": "2026-01-01T00:00:00Z", "message": "a record"}


class Proof:
    """The checks of one account, by its name in the messages."""

    def __init__(self, server, who, authorization):
        self.server, self.who, self.authorization, self.count = server, who, authorization, 0

    def ask(self, method, path, body=None):
        self.count += 1
        return self.server.ask(self.authorization, method, path, body)

    def may(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        if status >= 300 or answer.get("errors"):
            fail(f"{self.who} may not {method} {path}: {status} {answer}")
        return answer

    def may_not(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        if status != 403:
            fail(f"{self.who} is not forbidden {method} {path}: {status} {answer}")

    def may_not_bulk(self, action, index):
        """The request itself is taken; the item has to be refused for want of rights, not for another reason."""
        status, answer = self.ask("POST", "/_bulk", bulk(action, index, **RECORD))
        item = status if status != 200 else answer["items"][0][action]["status"]
        if item != 403:
            fail(f"{self.who} is not forbidden to {action} in {index}: {status} {answer}")

    def has_exactly(self, index, wanted):
        """Of everything that can be granted on an index, these privileges and no other."""
        answer = self.may("POST", "/_security/user/_has_privileges", {"index": [{"names": [index], "privileges": EVERYTHING}]})
        held = {name for name, yes in answer["index"][index].items() if yes}
        if held != set(wanted):
            fail(f"{self.who} holds {sorted(held)} on {index}, not {sorted(wanted)}")

    def administers_nothing(self):
        self.may_not("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "false"}})
        self.may_not("GET", "/_security/user")
        self.may_not("PUT", "/_security/user/intruder", {"password": "intruder-1", "roles": ["superuser"]})
        self.may_not("POST", "/_security/api_key", {"name": "intruder"})
        self.may_not("GET", "/.security-7/_search")
        self.may_not("PUT", "/_component_template/sightline-logs@mappings", {"template": {}})
        answer = self.may("POST", "/_security/user/_has_privileges", {"cluster": ["all", "manage", "manage_ilm", "manage_security", "manage_pipeline"]})
        held = [name for name, yes in answer["cluster"].items() if yes]
        if held:
            fail(f"{self.who} holds the cluster's privileges {held}")


def writer(proof, stream):
    proof.may("GET", "/")
    proof.may("GET", "/_cluster/health")
    made = proof.may("POST", "/_bulk", bulk("create", stream, **RECORD))["items"][0]["create"]
    # A field that the mapping does not know yet.
    proof.may("POST", "/_bulk", bulk("create", stream, **RECORD, labels={"order": "7"}, another="field"))
    # A stream takes nothing but new records from anybody; the index behind it would.
    for action in ("index", "update", "delete"):
        proof.may_not_bulk(action, made["_index"])
    proof.may_not("DELETE", f"/{made['_index']}/_doc/{made['_id']}")
    proof.may_not("DELETE", f"/{made['_index']}")
    for index in ("notes", "zipkin-span-2026-01-01", ".security-7"):
        proof.may_not_bulk("create", index)
    proof.may_not("GET", f"/{stream}/_search")
    proof.may_not("GET", f"/{made['_index']}/_doc/{made['_id']}")
    proof.may_not("PUT", f"/{stream}/_settings", {"index.number_of_replicas": 1})
    proof.may_not("PUT", "/_index_template/sightline-logs", {"index_patterns": ["logs-*"]})
    proof.has_exactly(stream, ["create_doc", "auto_configure", "view_index_metadata"])
    proof.has_exactly("notes", [])
    proof.administers_nothing()


def reader(proof, stream, spans):
    for index in (stream, spans):
        proof.may("GET", f"/{index}/_search")
        proof.may("GET", f"/{index}/_field_caps?fields=*")
        proof.may("POST", "/_msearch", json.dumps({"index": index}) + '\n{"size": 0}\n')
        proof.may_not_bulk("create", index)
        behind = next(iter(proof.may("GET", f"/{index}/_mapping")))
        proof.may_not_bulk("delete", behind)
        proof.may_not("DELETE", f"/{behind}")
        proof.has_exactly(index, ["read", "view_index_metadata"])
    proof.may_not("PUT", "/_index_template/sightline-logs", {"index_patterns": ["logs-*"]})
    proof.has_exactly("notes", [])
    proof.administers_nothing()


def spans_storage(proof, stream, spans):
    """What Zipkin does itself was done by the real program before; here what it may not."""
    proof.has_exactly(spans, EVERYTHING)
    proof.may_not("GET", f"/{stream}/_search")
    proof.may_not_bulk("create", stream)
    proof.has_exactly(stream, [])
    proof.has_exactly("notes", [])
    proof.may_not("GET", "/_security/user")
    proof.may_not("PUT", "/_security/user/intruder", {"password": "intruder-1", "roles": ["superuser"]})
    proof.may_not("PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "false"}})


def set_up_by_least_rights(server, elastic, url, users, sightline, folder):
    """`sightline setup` runs whole as an account that is no superuser, and mends what somebody changed."""
    word = f"{folder}/setup-password"
    open(word, "w").write("a-password-of-its-own\n")
    admin = Proof(server, "elastic", elastic)
    admin.may("PUT", "/_security/role/sightline_setup", SETUP)
    admin.may("PUT", "/_security/user/sightline_setup", {"password": "a-password-of-its-own", "roles": ["sightline_setup"]})
    admin.may("PUT", "/_security/role/sightline_writer", {"cluster": ["all"]})
    admin.may("POST", "/_security/user/zipkin/_password", {"password": "somebody-changed-it"})
    command = [sightline, "setup", "elasticsearch", "--elasticsearch", url, "--username", "sightline_setup", "--password-file", word,
               "--users", users, "--without-span-retention"]
    for changed in (["updated    role sightline_writer", "updated    user zipkin"], []):
        done = subprocess.run(command, capture_output=True, text=True)
        told = [line for line in done.stdout.splitlines() if line.startswith(("created", "updated", "FAILED"))]
        if done.returncode or told != changed:
            fail(f"setup as an account with only the rights for it: {done.stdout}{done.stderr}")
    admin.may("DELETE", "/_security/user/sightline_setup")


def prove(url, users, elastic_password, sightline, folder, spans):
    """`spans` is an index that Zipkin made."""
    server, elastic, stream = Server(url), basic("elastic", elastic_password), "logs-rights.app-test"
    password = lambda name: open(f"{users}/{name}").read().strip()
    account = lambda name: Proof(server, name, basic(name, password(name)))
    set_up_by_least_rights(server, elastic, url, users, sightline, folder)
    proofs = [account(name) for name in ("sightline_writer", "grafana_reader", "zipkin")]
    writer(proofs[0], stream)
    reader(proofs[1], stream, spans)
    spans_storage(proofs[2], stream, spans)
    # The same role as an API key, for agents that shall have no user.
    made = Proof(server, "elastic", elastic).may("POST", "/_security/api_key", {"name": "agent", "role_descriptors": {"writer": role("sightline_writer")}})
    key = Proof(server, "the API key", f"ApiKey {made['encoded']}")
    writer(key, stream)
    proofs.append(key)
    status, _ = server.ask(basic("grafana_reader", "wrong"), "GET", "/")
    if status != 401:
        fail(f"a wrong password is answered with {status}")
    print(f"ok      rights of {', '.join(proof.who for proof in proofs)}: {sum(proof.count for proof in proofs)} requests allowed or refused as meant")
    print("ok      setup as an account that is no superuser; a role and a password that were changed are put right")
