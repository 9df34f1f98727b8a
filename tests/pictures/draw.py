"""The rest of the script `draw`. Usage: draw.py DEMO PROMETHEUS PROMTOOL NODE MODULES CHROMIUM"""

import hashlib
import http.client
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from PIL import Image, PngImagePlugin

import history

DEMO, PROMETHEUS, PROMTOOL, NODE, MODULES, CHROMIUM = sys.argv[1:]
HERE = pathlib.Path(__file__).parent
GRAFANA = HERE.parent.parent / "deploy/grafana"
# What the demo shows is settled after so many seconds.
SETTLED = 20
# The dashboard that each picture shows.
PICTURES = {"fleet": "fleet", "fleet-more": "fleet", "sync": "sync"}
MAX_BYTES = 300_000


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def scrape_demo():
    """Two scrapes of the demo, a minute apart, and the time of the second."""
    demo = subprocess.Popen([DEMO, "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        found = (re.search(r"http://([\d.:]+)/metrics", line) for line in demo.stdout)
        address = next(match[1] for match in found if match)
        time.sleep(SETTLED)
        first = get(address, "/metrics")[1]
        time.sleep(history.MINUTE)
        return first, get(address, "/metrics")[1], int(time.time())
    finally:
        demo.terminate()
        demo.wait(10)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_prometheus(directory):
    config = directory / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1m}\n")
    address = f"127.0.0.1:{free_port()}"
    prometheus = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
         "--storage.tsdb.retention.time=30d", f"--web.listen-address={address}"],
        stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if get(address, "/-/ready")[0] == 200:
                return prometheus, address
        except OSError:
            pass
        time.sleep(0.1)
    prometheus.terminate()
    sys.exit("Prometheus is not ready after a minute")


def save(source, name):
    """Saves a picture with 256 colours and the checksum of its dashboard, which a test compares."""
    checksum = hashlib.sha256((GRAFANA / f"{PICTURES[name]}.json").read_bytes()).hexdigest()
    text = PngImagePlugin.PngInfo()
    text.add_text("Dashboard-SHA256", checksum)
    target = GRAFANA / f"{name}.png"
    with Image.open(source) as image:
        colours = image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=20,
                                                dither=Image.Dither.NONE)
        colours.save(target, optimize=True, pnginfo=text)
    size = target.stat().st_size
    print(f"{target.relative_to(HERE.parent.parent)}: {size // 1000} kB")
    assert size < MAX_BYTES, f"{target} has {size} bytes"


with tempfile.TemporaryDirectory() as directory:
    directory = pathlib.Path(directory)
    first, second, now = scrape_demo()
    samples = directory / "history"
    with samples.open("w", encoding="utf-8") as file:
        history.History(first, second, now).write(file)
    subprocess.run([PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", samples, directory / "data"],
                   check=True, stdout=subprocess.DEVNULL)
    prometheus, address = start_prometheus(directory)
    try:
        subprocess.run([NODE, HERE / "draw.mjs", MODULES, shutil.which(CHROMIUM), f"http://{address}", str(now),
                        directory], check=True)
    finally:
        prometheus.terminate()
        prometheus.wait(30)
    for name in PICTURES:
        save(directory / f"{name}.png", name)
