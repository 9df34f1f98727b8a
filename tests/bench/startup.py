"""The benchmark of the script `startup`. Usage: startup.py RELEASE_DIRECTORY"""

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
ACCOUNT = "111122223333"
REGIONS = ["eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
           "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1"]
PORT = 39144
STARTS = 20
ROUNDS = 10


def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def create_syncs(url):
    host = url.removeprefix("http://")
    for region in REGIONS:
        for number in range(5):
            body = json.dumps({"SyncName": f"sync-{number}", "S3Destination": {
                "BucketName": "bucket", "SyncFormat": "JsonSerDe", "Region": region}})
            connection = http.client.HTTPConnection(host)
            connection.request("POST", "/", body, {
                "X-Amz-Target": "AmazonSSM.CreateResourceDataSync",
                "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
                "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIA{ACCOUNT}FAKE/20260101/{region}/ssm/aws4_request, "
                                 "SignedHeaders=host, Signature=0"})
            assert connection.getresponse().status == 200
            connection.close()


def start(config, environment):
    began = time.perf_counter()
    process = subprocess.Popen(
        [RELEASE / "ssm-sync-exporter", "--config.file", config, "--web.listen-address", f"127.0.0.1:{PORT}"],
        env=environment, stderr=subprocess.DEVNULL)
    while True:
        try:
            if get("/-/healthy")[0] == 200:
                return process, (time.perf_counter() - began) * 1000
        except OSError:
            time.sleep(0.0005)


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {key: int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024 for key in ["VmRSS", "VmHWM"]}


fake = subprocess.Popen([RELEASE / "fake-aws", "127.0.0.1:0", ACCOUNT], stdout=subprocess.PIPE, text=True)
try:
    url = fake.stdout.readline().strip().removeprefix("AWS_ENDPOINT_URL=")
    create_syncs(url)
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory, "config.yaml")
        config.write_text(f"interval: 1s\nregions: [{', '.join(REGIONS)}]\n")
        environment = {
            "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}FAKE", "AWS_SECRET_ACCESS_KEY": "any"}
        times = []
        for _ in range(STARTS):
            process, took = start(config, environment)
            times.append(took)
            process.terminate()
            assert process.wait(10) == 0
        print(f"start to /-/healthy, {STARTS} starts: median {statistics.median(times):.1f} ms, "
              f"worst {max(times):.1f} ms")
        process, _ = start(config, environment)
        try:
            for _ in range(ROUNDS):
                time.sleep(1)
                metrics = get("/metrics")[1]
            syncs = metrics.count("aws_ssm_resource_data_sync_info{")
            assert syncs == 5 * len(REGIONS), syncs
            now = memory(process.pid)
            print(f"10 targets of 5 syncs, after {ROUNDS} rounds and scrapes: {now['VmRSS']:.1f} MB resident, "
                  f"at most {now['VmHWM']:.1f} MB")
        finally:
            process.terminate()
            process.wait(10)
finally:
    fake.terminate()
