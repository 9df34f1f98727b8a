"""The benchmark of the script `flood`. Usage: flood.py RELEASE_DIRECTORY"""

import asyncio
import concurrent.futures
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time

RELEASE = pathlib.Path(sys.argv[1])
PORT = 39145
CONNECTIONS = 1000  # of each kind
SCRAPES = 200
HEAD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 4000


async def idle(count):
    """Opens a connection and sends nothing. Reconnects when it is closed."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            count[0] += 1
            await reader.read(1)
            writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.5)


async def slow(count):
    """Sends the head of a request, one byte per second. Reconnects when it is closed."""
    while True:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            count[0] += 1
            for byte in HEAD:
                writer.write(bytes([byte]))
                await writer.drain()
                if writer.transport.is_closing():
                    break
                await asyncio.sleep(1)
        except OSError:
            pass
        await asyncio.sleep(0.5)


def scrape():
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", PORT)) as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        response = b"".join(iter(lambda: stream.recv(65536), b""))
    assert response.startswith(b"HTTP/1.1 200 OK\r\n") and response.endswith(b"0\r\n\r\n"), response[:80]
    return (time.perf_counter() - began) * 1000


def measure():
    times = []
    for _ in range(SCRAPES):
        times.append(scrape())
        time.sleep(0.05)
    return sorted(times)


async def report_scrapes(what, executor):
    """Measures scrapes in another process, so that the flood in this one does not delay them."""
    times = await asyncio.get_running_loop().run_in_executor(executor, measure)
    print(f"{what}: median {statistics.median(times):.1f} ms, 90 % within {times[SCRAPES * 9 // 10]:.1f} ms, "
          f"slowest {times[-1]:.1f} ms")


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024 for key in ["VmRSS", "VmHWM"]]


async def main():
    executor = concurrent.futures.ProcessPoolExecutor(1)
    process = subprocess.Popen(
        [RELEASE / "ssm-sync-exporter", "--web.listen-address", f"127.0.0.1:{PORT}", "--log.level", "error"],
        env={"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"})
    try:
        await asyncio.sleep(1)
        await report_scrapes("without other connections", executor)
        count = [0]
        flood = [asyncio.create_task(kind(count)) for kind in (idle, slow) for _ in range(CONNECTIONS)]
        await asyncio.sleep(5)
        before = count[0]
        await report_scrapes(f"with {CONNECTIONS} idle and {CONNECTIONS} slow connections", executor)
        now, most = memory(process.pid)
        print(f"{now:.1f} MB resident, at most {most:.1f} MB; {count[0] - before} reconnections meanwhile")
        for task in flood:
            task.cancel()
    finally:
        process.terminate()
        assert process.wait(15) == 0


asyncio.run(main())
