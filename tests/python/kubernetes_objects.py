"""Reads documents of YAML from stdin as Kubernetes would and prints them as a list of JSON.

Usage: kubernetes_objects.py [VERSION]...

Each has to be an object as these versions of Kubernetes describe it, or the definitions
of the Prometheus operator, with no key that they do not know.
"""

import json
import sys

import yaml


class Loader(yaml.CSafeLoader):
    """Refuses a key that stands twice, of which others take the last."""


def mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=deep) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise SystemExit(f"{node.start_mark}: {', '.join(map(str, twice))} stands there twice")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


def construct(loader, node):
    data = {}
    yield data
    data.update(mapping(loader, node))


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, construct)

def check_of_operator(document):
    """Models made of the definitions check values, and drop keys that they do not know."""
    # Not at the top: it takes seconds, and most who call do not check.
    import pydantic
    from cloudcoil.models.prometheus_operator import v1 as operator

    if document["apiVersion"] != "monitoring.coreos.com/v1":
        raise SystemExit(f"{document['apiVersion']} is not known")
    try:
        model = getattr(operator, document["kind"]).model_validate(document)
    except pydantic.ValidationError as error:
        raise SystemExit(f"{document['kind']}: {error}")
    known = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if known != document:
        raise SystemExit(f"{document['kind']}: only this is known of it: {json.dumps(known)}")


documents = [document for document in yaml.load_all(sys.stdin, Loader) if document is not None]
for version in sys.argv[1:]:
    import kubernetes_validate

    for document in documents:
        if document["apiVersion"].startswith("monitoring.coreos.com/"):
            check_of_operator(document)
            continue
        name = f"{document['kind']} {document['metadata']['name']}"
        try:
            checked = kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError as error:
            raise SystemExit(f"{name}: {error.message}")
        except kubernetes_validate.ValidationError as error:
            raise SystemExit(f"{name}, Kubernetes {version}: {error.json_path}: {error.message}")
        if checked != version:
            raise SystemExit(f"Kubernetes {version} is not known, only {checked}")
json.dump(documents, sys.stdout)
