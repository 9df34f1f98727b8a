"""The benchmark of the script `managed_nodes`. Usage: managed_nodes.py RELEASE_DIRECTORY [ACCOUNTS]"""

import contextlib
import json
import statistics
import sys
import time

from scrape import REGIONS, SYNCS, cpu, exporter, fake, get

ACCOUNTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
DELAY_MS = 50
ROUNDS = 3
# The defaults: a collection every 5 minutes, a lookup every 6 hours.
COLLECTIONS_PER_LOOKUP = 72
MINUTES = 3
# After this time, every target is collected and looked up at its offset in the interval.
SETTLED_AFTER = 180
TARGETS = ACCOUNTS * len(REGIONS)
LIST, LOOKUP = "ListResourceDataSync", "DescribeInstanceInformation"
COLLECTIONS, OVERRUNS = "ssm_sync_exporter_target_collections_total", "ssm_sync_exporter_collection_overruns_total"


@contextlib.contextmanager
def fleet(interval, lookup_interval):
    """An exporter after its first round, and the port of its fake AWS. Without `lookup_interval`, no managed nodes
    are looked up."""
    lookups = f"{{enabled: true, interval: {lookup_interval}}}" if lookup_interval else "{enabled: false}"
    with (fake(ACCOUNTS, SYNCS, "--nodes", "1", "--delay", str(DELAY_MS)) as url,
          exporter("exporter", url, REGIONS, interval, f"managed_nodes: {lookups}\n") as server):
        yield server, int(url.rsplit(":", 1)[1])


def calls(port, operation):
    counted = json.loads(get(port, "/_fake/calls")[1])
    return sum(call["calls"] for call in counted if call["operation"] == operation)


def wait_for_lookups(port):
    deadline = time.monotonic() + 900
    while calls(port, LOOKUP) < TARGETS:
        assert time.monotonic() < deadline, "the first lookups take too long"
        time.sleep(0.2)


def metric_sums(server, families):
    query = "&".join(f"collect%5B%5D={family}" for family in families)
    lines = get(server.port, f"/metrics?{query}")[1].decode().splitlines()
    return [sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(family)) for family in families]


def first_round(with_lookups):
    """CPU time of the first round of collections and of the lookups after it, and the time of the first round."""
    began = time.perf_counter()
    with fleet("1h", "6h" if with_lookups else None) as (server, port):
        took = time.perf_counter() - began
        if with_lookups:
            wait_for_lookups(port)
        ended, used = time.perf_counter() - began, cpu(server.pid)
        assert calls(port, LIST) == 2 * TARGETS and calls(port, LOOKUP) == TARGETS * with_lookups
    print(f"first round {'with' if with_lookups else 'without'} lookups: collections in {took:.1f} s, everything in "
          f"{ended:.1f} s, {used:.2f} s of CPU", flush=True)
    return used, took


def minutes(with_lookups):
    """The number of collections in some minutes, with an interval of one minute."""
    began = time.perf_counter()
    with fleet("1m", "1m" if with_lookups else None) as (server, port):
        if with_lookups:
            wait_for_lookups(port)
        time.sleep(SETTLED_AFTER - (time.perf_counter() - began))
        before, used, lookups = metric_sums(server, [COLLECTIONS, OVERRUNS]), cpu(server.pid), calls(port, LOOKUP)
        time.sleep(60 * MINUTES)
        after = metric_sums(server, [COLLECTIONS, OVERRUNS])
        collections, overruns = (late - early for early, late in zip(before, after))
        used, lookups = cpu(server.pid) - used, calls(port, LOOKUP) - lookups
    print(f"{MINUTES} minutes {'with' if with_lookups else 'without'} lookups: {collections:.0f} collections, "
          f"{overruns:.0f} overruns, {lookups} lookups, {used:.1f} s of CPU", flush=True)
    return collections


print(f"{ACCOUNTS} accounts x {len(REGIONS)} regions, answers delayed by {DELAY_MS} ms")
# Runs are interleaved, because the speed of a shared machine varies.
without, with_lookups, times = [], [], []
for _ in range(ROUNDS):
    used, took = first_round(False)
    without.append(used)
    used, took_with = first_round(True)
    with_lookups.append(used)
    times.append(took_with / took)
round_cpu, lookups_cpu = statistics.median(without), statistics.median(with_lookups) - statistics.median(without)
print(f"CPU per target, median of {ROUNDS}: {1e3 * round_cpu / TARGETS:.2f} ms a collection, "
      f"{1e3 * lookups_cpu / TARGETS:.2f} ms a lookup")
print(f"lookups at the default intervals: {100 * lookups_cpu / COLLECTIONS_PER_LOOKUP / round_cpu:.2f} % of the CPU "
      "of collections")
print(f"first round with lookups / without: {statistics.median(times):.2f}")
print(f"collections with lookups / without: {minutes(True) / minutes(False):.4f}")
