"""The benchmark of the script `managed_nodes`. Usage: managed_nodes.py RELEASE_DIRECTORY [ACCOUNTS]"""

import contextlib
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

RELEASE = pathlib.Path(sys.argv[1])
ACCOUNTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
DELAY_MS = 50
ROUNDS = 3
# The defaults: a collection every 5 minutes, a lookup every 6 hours.
COLLECTIONS_PER_LOOKUP = 72
MINUTES = 3
# After this time, every target is collected and looked up at its offset in the interval.
SETTLED_AFTER = 180
REGIONS = ["ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
           "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
           "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
TARGETS = ACCOUNTS * len(REGIONS)
HUB = "999900000000"
ADDRESS = "127.0.0.1:39146"
ENVIRONMENT = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
               "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_REGION": "eu-west-1",
               "AWS_ACCESS_KEY_ID": f"AKIA{HUB}FAKE", "AWS_SECRET_ACCESS_KEY": "any"}


def get(host, path):
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@contextlib.contextmanager
def exporter(interval, lookup_interval):
    """Runs the exporter and a fake AWS. Without `lookup_interval`, there are no managed-node lookups. Yields the
    process of the exporter and the address of the fake AWS."""
    command = [RELEASE / "fake-aws", "--members", str(ACCOUNTS), "--syncs", "5", "--nodes", "1", "--delay",
               str(DELAY_MS), "127.0.0.1:0"]
    with contextlib.ExitStack() as stack:
        fake = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.callback(fake.wait, 10)
        stack.callback(fake.terminate)
        url = fake.stdout.readline().strip().removeprefix("AWS_ENDPOINT_URL=")
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        config = pathlib.Path(directory, "config.yaml")
        lookups = f"{{enabled: true, interval: {lookup_interval}}}" if lookup_interval else "{enabled: false}"
        config.write_text(f"""
interval: {interval}
regions: [{", ".join(REGIONS)}]
managed_nodes: {lookups}
organization:
  member_role: "arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter"
  exclude_accounts: ["{HUB}"]
""")
        process = subprocess.Popen(
            [RELEASE / "ssm-sync-exporter", "--config.file", config, "--web.listen-address", ADDRESS],
            env=ENVIRONMENT | {"AWS_ENDPOINT_URL": url}, stderr=subprocess.DEVNULL)
        stack.callback(process.wait, 15)
        stack.callback(process.terminate)
        yield process, url.removeprefix("http://")


def cpu(process):
    """CPU time of a process in seconds."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait(what, holds):
    began = time.perf_counter()
    while not holds():
        assert time.perf_counter() - began < 900, f"{what} takes too long"
        time.sleep(0.2)


def is_ready():
    try:
        return get(ADDRESS, "/-/ready")[0] == 200
    except OSError:
        return False


def calls(fake, operation):
    counted = json.loads(get(fake, "/_fake/calls")[1])
    return sum(call["calls"] for call in counted if call["operation"] == operation)


def metric_sum(*families):
    query = "&".join(f"collect[]={family}" for family in families)
    lines = get(ADDRESS, f"/metrics?{query}")[1].splitlines()
    return [sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(family)) for family in families]


def first_round(with_lookups):
    """CPU time and time of the first round of collections, and of the lookups after it."""
    with exporter("1h", "6h" if with_lookups else None) as (process, fake):
        began = time.perf_counter()
        wait("the first round", is_ready)
        took = time.perf_counter() - began
        if with_lookups:
            wait("the first lookups", lambda: calls(fake, "DescribeInstanceInformation") == TARGETS)
        else:
            assert calls(fake, "DescribeInstanceInformation") == 0
        ended = time.perf_counter() - began
        used = cpu(process)
        assert calls(fake, "ListResourceDataSync") == 2 * TARGETS
    print(f"first round {'with' if with_lookups else 'without'} lookups: collections in {took:.1f} s, everything in "
          f"{ended:.1f} s, {used:.2f} s of CPU", flush=True)
    return used, took


def minutes(with_lookups):
    """The number of collections in some minutes, with an interval of one minute."""
    with exporter("1m", "1m" if with_lookups else None) as (process, fake):
        began = time.perf_counter()
        wait("the first round", is_ready)
        if with_lookups:
            wait("the first lookups", lambda: calls(fake, "DescribeInstanceInformation") >= TARGETS)
        time.sleep(SETTLED_AFTER - (time.perf_counter() - began))
        families = "ssm_sync_exporter_target_collections_total", "ssm_sync_exporter_collection_overruns_total"
        before, used, lookups = metric_sum(*families), cpu(process), calls(fake, "DescribeInstanceInformation")
        time.sleep(60 * MINUTES)
        after = metric_sum(*families)
        collections, overruns = (late - early for early, late in zip(before, after))
        used, lookups = cpu(process) - used, calls(fake, "DescribeInstanceInformation") - lookups
    print(f"{MINUTES} minutes {'with' if with_lookups else 'without'} lookups: {collections:.0f} collections, "
          f"{overruns:.0f} overruns, {lookups} lookups, {used:.1f} s of CPU", flush=True)
    return collections


def main():
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


if __name__ == "__main__":
    main()
