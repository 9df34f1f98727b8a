"""The benchmark of the script `fleet`. Usage: fleet.py RELEASE_DIRECTORY [ACCOUNTS [DELAY_MS]]"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

RELEASE = pathlib.Path(sys.argv[1])
ACCOUNTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
DELAY = int(sys.argv[3]) if len(sys.argv) > 3 else 50
SYNCS = 5
ROUNDS = 3
PYTHON_CALLS = 3000
CONCURRENCY = 64
REGIONS = ["ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
           "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
           "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
HUB = "999900000000"
PORT = 39145
ENVIRONMENT = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
               "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
PYTHON_LOOP = """
import sys
from concurrent.futures import ThreadPoolExecutor
import boto3
from botocore.config import Config
url, calls, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
session = boto3.Session(aws_access_key_id="AKIA100000000000FAKE", aws_secret_access_key="any", region_name="eu-west-1")
client = session.client("ssm", endpoint_url=url, config=Config(max_pool_connections=workers))
def call(number):
    client.list_resource_data_sync(SyncType=["SyncToDestination", "SyncFromSource"][number % 2])
with ThreadPoolExecutor(workers) as pool:
    list(pool.map(call, range(calls)))
"""


@contextlib.contextmanager
def fake(members, delay):
    command = [RELEASE / "fake-aws", "--members", str(members), "--syncs", str(SYNCS), "--delay", str(delay),
               "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip().removeprefix("AWS_ENDPOINT_URL=")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def get(host, path):
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def cpu(pid):
    """CPU time of a process in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {key: int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024 for key in ["VmRSS", "VmHWM"]}


def first_round(accounts, delay):
    """Runs the exporter until its first round is complete. Responses of AWS are delayed by `delay` ms. Returns
    the CPU time in seconds."""
    targets = accounts * len(REGIONS)
    with fake(accounts, delay) as url, tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory, "config.yaml")
        config.write_text(f"""
interval: 1h
concurrency: {CONCURRENCY}
regions: [{", ".join(REGIONS)}]
organization:
  member_role: "arn:{{partition}}:iam::{{account_id}}:role/SsmSyncExporter"
  exclude_accounts: ["{HUB}"]
""")
        environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "eu-west-1",
                                     "AWS_ACCESS_KEY_ID": f"AKIA{HUB}FAKE", "AWS_SECRET_ACCESS_KEY": "any"}
        began = time.perf_counter()
        process = subprocess.Popen(
            [RELEASE / "ssm-sync-exporter", "--config.file", config, "--web.listen-address", f"127.0.0.1:{PORT}"],
            env=environment, stderr=subprocess.PIPE, text=True)
        try:
            while True:
                try:
                    if get(f"127.0.0.1:{PORT}", "/-/ready")[0] == 200:
                        break
                except OSError:
                    pass
                assert process.poll() is None, process.stderr.read()
                assert time.perf_counter() - began < 600, "the first round takes too long"
                time.sleep(0.1)
            took, used, size = time.perf_counter() - began, cpu(process.pid), memory(process.pid)
            calls = json.loads(get(url.removeprefix("http://"), "/_fake/calls")[1])
        finally:
            process.terminate()
            process.wait(10)
    lists = [call for call in calls if call["operation"] == "ListResourceDataSync"]
    assert len(lists) == targets and all(call["calls"] == 2 for call in lists), "each target must be listed once for each sync type"
    assume_calls = sum(call["calls"] for call in calls if call["operation"] == "AssumeRole")
    assert assume_calls == accounts, f"{assume_calls} AssumeRole calls"
    print(f"{accounts} accounts x {len(REGIONS)} regions, {SYNCS} syncs each, responses delayed by {delay} ms: first round in "
          f"{took:.1f} s, {2 * targets} list and {assume_calls} AssumeRole calls, {used:.2f} s of CPU, "
          f"{size['VmRSS']:.0f} MB resident, at most {size['VmHWM']:.0f} MB")
    return used


def loop(command, calls):
    """Runs another program that makes `calls` list calls. Returns its CPU time and its run time in seconds."""
    with fake(1, 0) as url:
        began = time.perf_counter()
        process = subprocess.Popen([*command, url, str(calls), str(CONCURRENCY)], env=ENVIRONMENT,
                                   stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def summary(costs):
    """The median, minimum and maximum in microseconds, as text."""
    low, middle, high = (1e6 * cost for cost in [min(costs), statistics.median(costs), max(costs)])
    return f"{middle:.0f} us ({low:.0f} to {high:.0f})"


lists = 2 * len(REGIONS)
middle = statistics.median
# Rounds are interleaved, because the speed of a shared machine varies.
tenth, whole, ours, bare, python = [], [], [], [], []
for _ in range(ROUNDS):
    tenth.append(first_round(ACCOUNTS // 10, DELAY))
    whole.append(first_round(ACCOUNTS, DELAY))
print(f"ten times the targets: {middle(whole) / middle(tenth):.1f} times the CPU")
# Without delay, so that no program spends CPU on waking up.
for _ in range(ROUNDS):
    calls = lists * ACCOUNTS // 5
    ours.append(first_round(ACCOUNTS // 5, 0) / calls)
    used, took = loop([RELEASE / "examples" / "bare-loop"], calls)
    bare.append(used / calls)
    print(f"bare loop over one SDK client: {calls} list calls in {took:.1f} s, {used:.2f} s of CPU")
    used, took = loop([sys.executable, "-c", PYTHON_LOOP], PYTHON_CALLS)
    python.append(used / PYTHON_CALLS)
    print(f"boto3: {PYTHON_CALLS} list calls in {took:.1f} s, {used:.2f} s of CPU")
print(f"CPU per list call, median of {ROUNDS}: exporter {summary(ours)}, bare loop {summary(bare)}, boto3 {summary(python)}")
print(f"exporter / bare loop {middle(ours) / middle(bare):.2f}, boto3 / exporter {middle(python) / middle(ours):.1f}")
