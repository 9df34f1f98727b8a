"""Runs Datadog's OpenMetrics check with a configuration of the agent.

    python datadog_check.py CONF URL [OPTIONS]

URL replaces the endpoint of the configuration, and the JSON object OPTIONS replaces options of the
instance. The check runs twice, as counters are sent from the second time on. Prints what it
submitted the second time, as JSON.
"""

import json
import sys

import yaml
from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.stubs import aggregator

TYPES = {value: name for name, value in vars(type(aggregator)).items() if name.isupper() and isinstance(value, int)}


def main(conf, url, options="{}"):
    with open(conf, encoding="utf-8") as file:
        conf = yaml.safe_load(file)
    [instance] = conf["instances"]
    instance.update(openmetrics_endpoint=url, **json.loads(options))
    check = OpenMetricsBaseCheckV2("openmetrics", conf["init_config"] or {}, [instance])
    for _ in range(2):
        aggregator.reset()
        error = check.run()
        if error:
            sys.exit(error)
    samples = [
        {"name": name, "type": TYPES[sample.type], "value": sample.value, "tags": sorted(sample.tags)}
        for name in aggregator.metric_names
        for sample in aggregator.metrics(name)
    ]
    checks = [
        {"name": name, "status": check.status, "tags": sorted(check.tags)}
        for name in aggregator.service_check_names
        for check in aggregator.service_checks(name)
    ]
    json.dump({"samples": samples, "service_checks": checks, "warnings": check.warnings}, sys.stdout)


main(*sys.argv[1:])
