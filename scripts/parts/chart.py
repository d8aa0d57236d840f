"""What every rendering of the chart has to hold, beyond the schemas: chart.py WORK RENDERED...

Writes RENDERED.core (what Kubernetes itself defines, for its schemas) and RENDERED.rules (for promtool) into place.
"""
import os
import sys

import yaml

CUSTOM = {"ServiceMonitor", "PrometheusRule"}
bad = []


def pods(document):
    if document["kind"] in ("DaemonSet", "StatefulSet", "Deployment"):
        yield document["spec"]["template"]["spec"]


def promises(name, pod):
    if not pod["securityContext"].get("runAsNonRoot") or pod.get("automountServiceAccountToken") is not False:
        bad.append(f"{name}: runs as root, or has a token that it does not need")
    for container in pod["containers"] + pod.get("initContainers", []):
        security, where = container["securityContext"], f"{name}: {container['name']}"
        if not security.get("readOnlyRootFilesystem") or security.get("allowPrivilegeEscalation") is not False:
            bad.append(f"{where}: its file system can be written, or it may gain rights")
        if security["capabilities"]["drop"] != ["ALL"]:
            bad.append(f"{where}: keeps capabilities")
        if "memory" not in container["resources"].get("limits", {}):
            bad.append(f"{where}: no bound on its memory")
    for container in pod["containers"]:
        for probe in ("readinessProbe", "livenessProbe"):
            if probe not in container:
                bad.append(f"{name}: {container['name']} has no {probe}")


for path in sys.argv[2:]:
    documents = [one for one in yaml.safe_load_all(open(path)) if one]
    for one in documents:
        name = f"{os.path.basename(path)}: {one['kind']} {one['metadata']['name']}"
        for pod in pods(one):
            promises(name, pod)
        if one["kind"] == "ConfigMap" and len(yaml.safe_dump(one)) > 1 << 20:
            bad.append(f"{name}: larger than etcd takes")
    with open(f"{path}.core", "w") as file:
        yaml.safe_dump_all([one for one in documents if one["kind"] not in CUSTOM], file)
    rules = [one["spec"] for one in documents if one["kind"] == "PrometheusRule"]
    for one in rules:
        with open(f"{path}.rules", "w") as file:
            yaml.safe_dump(one, file)
    if "full" in os.path.basename(path):
        kinds = {one["kind"] for one in documents}
        wanted = CUSTOM | {"DaemonSet", "StatefulSet", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Service"}
        bad += [f"{path}: no {kind}" for kind in wanted - kinds]
        shipped = {f for f in os.listdir("dashboards/grafana")}
        carried = {key for one in documents if one["kind"] == "ConfigMap" for key in one["data"]}
        bad += [f"{path}: the dashboard {missing} is not carried" for missing in shipped - carried]
        groups = {group["name"] for one in rules for group in one["groups"]}
        files = [f"dashboards/alerts/{f}" for f in os.listdir("dashboards/alerts") if f.endswith(".rules.yml")]
        bad += [f"{path}: the rules of {f} are not carried" for f in files
                if not {group["name"] for group in yaml.safe_load(open(f))["groups"]} <= groups]

print("\n".join(bad))
sys.exit(bool(bad))
