"""Prints the alert rules of Grafana's provisioning in a file as rules for Prometheus.

Usage: grafana_alert_rules.py RULES NOTIFICATIONS

Each rule is first parsed with Grafana's own models, which must know every key, and must have the
three expressions that make every series of its query fire. The models must also know the contact points
and the policies in NOTIFICATIONS, where they are commented out, and the policies must name contact points.
The result also has the settings of the contact points, as "settings".
"""

import json
import re
import sys

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.alerting import ContactPoint, NotificationPolicy, Rule

# Keys of provisioning that the models of Grafana 11 do not know.
NEWER_KEYS = {"keepFiringFor"}


def compare(path, source, encoded):
    """Fails if a key or a value of the source is lost or changed."""
    if isinstance(source, dict):
        for key, value in source.items():
            assert key in encoded, f"unknown key: {path}.{key}"
            compare(f"{path}.{key}", value, encoded[key])
    elif isinstance(source, list):
        assert len(source) == len(encoded), f"lost entries: {path}"
        for one, other in zip(source, encoded):
            compare(path, one, other)
    else:
        assert source == encoded, f"changed: {path}: {source!r}, {encoded!r}"


def compare_with_model(path, source, model):
    compare(path, source, json.loads(JSONEncoder().encode(model.from_json(source))))


def interpolated(value):
    """The settings of a contact point as Grafana reads them: $NAME is an environment variable, and $$ is $."""
    if isinstance(value, dict):
        return {key: interpolated(entry) for key, entry in value.items()}
    if not isinstance(value, str):
        return value
    environment = {"SLACK_URL": "https://slack.example.org/", "PAGERDUTY_KEY": "key"}
    parts = value.split("$$")
    return "$".join(re.sub(r"\$\{?(\w+)\}?", lambda name: environment[name[1]], part) for part in parts)


def check_notifications(text):
    """Checks what is commented out, from its first key on."""
    lines = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines()]
    document = yaml.safe_load("\n".join(lines[lines.index("apiVersion: 1"):]))
    names = {"grafana-default-email"}
    settings = {}
    for contact_point in document["contactPoints"]:
        names.add(contact_point["name"])
        for receiver in contact_point["receivers"]:
            compare_with_model(contact_point["name"], receiver, ContactPoint)
            settings[receiver["uid"]] = interpolated(receiver["settings"])
    for policy in document["policies"]:
        compare_with_model("policy", {key: value for key, value in policy.items() if key != "orgId"}, NotificationPolicy)
        for route in [policy, *policy["routes"], *policy["routes"][0]["routes"]]:
            names.remove(route["receiver"])
    assert not names, f"no policy uses {names}"
    return settings


def prometheus_rule(rule):
    known = {key: value for key, value in rule.items() if key not in NEWER_KEYS}
    compare_with_model(rule["title"], known, Rule)
    assert (rule["noDataState"], rule["execErrState"], rule["condition"]) == ("OK", "Error", "C")
    query, last, threshold = rule["data"]
    assert query["model"]["instant"] and not query["model"]["range"]
    assert (last["model"]["expression"], last["model"]["reducer"]) == ("A", "last")
    assert threshold["model"]["expression"] == "B"
    assert threshold["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [-1]}}]
    for text in rule["annotations"].values():
        assert not re.search(r"\$value\b", text), text
        # Grafana replaces these by environment variables.
        assert "${" not in text, text
    result = {
        # The title has an addition where two rules are the same alert.
        "alert": rule["title"].split(" ")[0],
        "expr": query["model"]["expr"],
        "for": rule["for"],
        "labels": rule["labels"],
        "annotations": {name: text.replace("$values.B.Value", "$value") for name, text in rule["annotations"].items()},
    }
    if "keepFiringFor" in rule:
        result["keep_firing_for"] = rule["keepFiringFor"]
    return result


register_default_plugins()
with open(sys.argv[2], encoding="utf-8") as opened:
    settings = check_notifications(opened.read())
with open(sys.argv[1], encoding="utf-8") as opened:
    document = yaml.safe_load(opened)
assert document["apiVersion"] == 1
rules = [rule for group in document["groups"] for rule in group["rules"]]
for key, maximum in [("uid", 40), ("title", 190)]:
    values = [rule[key] for rule in rules]
    assert len(set(values)) == len(values), f"{key}s are not unique"
    assert all(len(value) <= maximum for value in values)
groups = [
    {"name": group["name"], "interval": group["interval"], "rules": [prometheus_rule(rule) for rule in group["rules"]]}
    for group in document["groups"]
]
json.dump({"groups": groups, "settings": settings}, sys.stdout)
