"""Validates Kubernetes objects in YAML from stdin, and prints them as a JSON list.

Usage: kubernetes_objects.py [VERSION]...

Each object must be valid for these Kubernetes versions, or for the definitions of the Prometheus
operator, without unknown keys. tests/deploy/gateway_objects.mjs validates objects of the Gateway API.
"""

import json
import sys

import yaml


class Loader(yaml.CSafeLoader):
    """Rejects duplicate keys, of which other parsers use the last."""


def mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=deep) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise SystemExit(f"{node.start_mark}: {', '.join(map(str, twice))} is a duplicate key")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


def construct(loader, node):
    data = {}
    yield data
    data.update(mapping(loader, node))


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)

def check_operator_object(document):
    """Validates an object of the Prometheus operator. The models drop unknown keys, so compare the result."""
    # Imported here because it takes seconds, and most callers do not validate.
    import pydantic
    from cloudcoil.models.prometheus_operator import v1, v1alpha1

    versions = {"monitoring.coreos.com/v1": v1, "monitoring.coreos.com/v1alpha1": v1alpha1}
    if document["apiVersion"] not in versions:
        raise SystemExit(f"unknown apiVersion {document['apiVersion']}")
    operator = versions[document["apiVersion"]]
    try:
        model = getattr(operator, document["kind"]).model_validate(document)
    except pydantic.ValidationError as error:
        raise SystemExit(f"{document['kind']}: {error}")
    known = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if known != document:
        raise SystemExit(f"{document['kind']}: unknown keys; the known part is {json.dumps(known)}")


documents = [document for document in yaml.load_all(sys.stdin, Loader) if document is not None]
for version in sys.argv[1:]:
    import kubernetes_validate

    for document in documents:
        if document["apiVersion"].startswith("monitoring.coreos.com/"):
            check_operator_object(document)
            continue
        if document["apiVersion"].startswith("gateway.networking.k8s.io/"):
            continue
        name = f"{document['kind']} {document['metadata']['name']}"
        try:
            checked = kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError as error:
            raise SystemExit(f"{name}: {error.message}")
        except kubernetes_validate.ValidationError as error:
            raise SystemExit(f"{name}, Kubernetes {version}: {error.json_path}: {error.message}")
        if checked != version:
            raise SystemExit(f"no schema for Kubernetes {version}, only for {checked}")
json.dump(documents, sys.stdout)
