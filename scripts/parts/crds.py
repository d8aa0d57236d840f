"""Checks resources of the Prometheus operator by its own definitions: crds.py FOLDER RENDERED...

FOLDER holds the operator's CustomResourceDefinitions. A field that a definition does not have is an error, as `kubectl --validate=strict`
makes it one. Rules of a definition in Kubernetes' expression language (x-kubernetes-validations) are not evaluated. Exit 1 when something
is wrong, or when no resource was found.
"""
import glob
import sys

import jsonschema
import yaml


def strict(schema):
    """The schema, with every object closed that names its fields and does not say that it takes others."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if named and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.setdefault("additionalProperties", False)
    return out


def definitions(folder):
    found = {}
    for path in glob.glob(f"{folder}/*.yaml"):
        crd = yaml.safe_load(open(path))
        for version in crd["spec"]["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}  # the API server's own
            found[f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]] = schema
    return found


known, seen, bad = definitions(sys.argv[1]), 0, []
for path in sys.argv[2:]:
    for one in yaml.safe_load_all(open(path)):
        schema = one and known.get((one["apiVersion"], one["kind"]))
        if not schema:
            if one and one["apiVersion"].startswith("monitoring.coreos.com"):
                bad.append(f"{path}: the operator has no {one['kind']} in {one['apiVersion']}")
            continue
        seen += 1
        for error in jsonschema.Draft202012Validator(schema).iter_errors(one):
            place = "/".join(str(part) for part in error.absolute_path)
            bad.append(f"{path}: {one['kind']} {one['metadata']['name']}: {place}: {error.message[:300]}")
if not seen:
    bad.append("no resource of the operator was found")
print("\n".join(bad))
sys.exit(bool(bad))
