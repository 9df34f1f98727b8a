"""The benchmark of the script `expectations`. Usage: expectations.py RELEASE_DIRECTORY [ACCOUNTS]"""

import contextlib
import http.client
import json
import re
import statistics
import sys
import time

import scrape
from scrape import REGIONS, SYNCS, Scrape, exporter, fake, get, goal, measure, show_memory

ACCOUNTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
RELOADS = 5
# Every kind of expectation, with literal values, patterns and placeholders.
BUCKET = """
      S3Destination: { BucketName: organization-inventory-%d, SyncFormat: JsonSerDe, Region: eu-west-1 }"""
REQUIRED = """
  - name: inventory-%d
    request:
      SyncName: inventory-%d""" + BUCKET
OTHERS = """
  - name: any-inventory
    request: { SyncName: "inventory-*", S3Destination: { BucketName: "organization-*", Region: "eu-*" } }
  - name: allowed-buckets
    presence: allowed
    managed_by: [customer]
    request: { S3Destination: { BucketName: ["organization-*", "org-{region}-{account_id}"], Region: "eu-*" } }
  - name: no-test-syncs
    presence: forbidden
    request: { SyncName: "test-*", SyncType: SyncToDestination }
  - name: lacking
    accounts: ["member-*", "!member-0"]
    request: { SyncName: "compliance-{region}", S3Destination: { BucketName: "{account_id}-compliance" } }
  - name: europe
    regions: ["eu-*"]
    request: { SyncName: inventory-0, S3Destination: { BucketName: "*-inventory-?", Prefix: inventory } }
"""


def expectations(first_bucket=0):
    """Ten expectations. All targets violate the first if `first_bucket` is not 0."""
    required = [REQUIRED % (number, number, number or first_bucket) for number in range(SYNCS)]
    quota = f"quota: {{ SyncToDestination: {SYNCS + 1} }}\n"
    return quota + "expectations:" + "".join(required) + OTHERS


def total_calls(url):
    calls = json.loads(get(int(url.rpartition(":")[2]), "/_fake/calls")[1])
    return sum(call["calls"] for call in calls)


def drifted(server):
    """How many targets violate the first expectation, as a scrape shows."""
    path = "/metrics?collect%5B%5D=ssm_sync_exporter_expectation_targets"
    status, body = get(server.port, path, {"Accept": "text/plain", "Accept-Encoding": "identity"})
    assert status == 200, status
    pattern = rb'expectation_targets\{expectation="inventory-0",state="drifted"\} (\d+)'
    return int(re.search(pattern, body)[1])


def reload(server, whole, first_bucket):
    """Reloads with other expectations. Returns how long the reload took, and how long until a scrape of their
    counts and then a whole scrape was answered; at last, the CPU time until the counts were scraped."""
    used = scrape.cpu(server.pid)
    server.configure(expectations(first_bucket))
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/-/reload")
    response = connection.getresponse()
    assert response.status == 200, response.read()
    response.read()
    connection.close()
    reloaded = time.perf_counter() - began
    targets = ACCOUNTS * len(REGIONS)
    assert drifted(server) == (targets if first_bucket else 0)
    judged, used = time.perf_counter() - began, scrape.cpu(server.pid) - used
    whole.scrape()
    return reloaded, judged, time.perf_counter() - began, used


with contextlib.ExitStack() as stack:
    url = stack.enter_context(fake(ACCOUNTS, SYNCS))
    without = stack.enter_context(exporter("without", url, REGIONS, "1h"))
    having = stack.enter_context(exporter("ten expectations", url, REGIONS, "1h", expectations()))
    for server in [without, having]:
        show_memory("before the first scrape", server)
    pairs = {coding: [Scrape(server, coding, coding) for server in [without, having]]
             for coding in ["gzip", "identity", "zstd"]}
    sizes = [show_memory("after scrapes", server) for server in [without, having]]
    for pair in pairs.values():
        measure(pair)
    series = [scrape.count_series(one.body()) for one in pairs["identity"]]
    print(f"{ACCOUNTS * len(REGIONS)} targets, {series[0]} series without and {series[1]} with ten expectations")
    for pair in pairs.values():
        for one in pair:
            one.show()
    for coding, (before, after) in pairs.items():
        goal(f"{coding}: with / without, latency", after.latency() / before.latency(), 1.5)
        goal(f"{coding}: with / without, CPU", after.cpu() / before.cpu(), 1.5)
    for what, before, after in zip(["resident", "peak resident"], *sizes):
        goal(f"{what} memory: with / without", after / before, 1.5)

    calls, took = total_calls(url), []
    for number in range(RELOADS):
        took.append(reload(having, pairs["gzip"][1], (number + 1) % 2))
    assert total_calls(url) == calls, "a reload must not call AWS"
    reloaded, judged, scraped, used = (1000 * statistics.median(times) for times in zip(*took))
    print(f"median of {RELOADS} reloads: answered after {reloaded:.0f} ms, all targets judged and their counts scraped "
          f"after {judged:.0f} ms ({used:.0f} ms of CPU), all series scraped in gzip after {scraped:.0f} ms")
    goal("seconds from a reload to its counts", judged / 1000, 1)
