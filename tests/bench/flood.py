"""See `flood` beside this file."""

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
EACH = 1000
SCRAPES = 200
HEAD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 4000


async def idle(count):
    """One connection that asks for nothing, again and again."""
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
    """One that sends the head of a request, a byte a second."""
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
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"0\r\n\r\n"), answer[:80]
    return (time.perf_counter() - began) * 1000


def some():
    times = []
    for _ in range(SCRAPES):
        times.append(scrape())
        time.sleep(0.05)
    return sorted(times)


async def scrapes(what, others):
    """In a process of its own, or the flood would hold up the clock."""
    times = await asyncio.get_running_loop().run_in_executor(others, some)
    print(f"{what}: median {statistics.median(times):.1f} ms, 90 % within {times[SCRAPES * 9 // 10]:.1f} ms, "
          f"slowest {times[-1]:.1f} ms")


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024 for key in ["VmRSS", "VmHWM"]]


async def main():
    others = concurrent.futures.ProcessPoolExecutor(1)
    process = subprocess.Popen(
        [RELEASE / "ssm-sync-exporter", "--web.listen-address", f"127.0.0.1:{PORT}", "--log.level", "error"],
        env={"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1"})
    try:
        await asyncio.sleep(1)
        await scrapes("alone", others)
        count = [0]
        flood = [asyncio.create_task(kind(count)) for kind in (idle, slow) for _ in range(EACH)]
        await asyncio.sleep(5)
        before = count[0]
        await scrapes(f"among {EACH} idle and {EACH} slow ones", others)
        now, most = memory(process.pid)
        print(f"{now:.1f} MB resident, at most {most:.1f} MB; connections came back {count[0] - before} times meanwhile")
        for one in flood:
            one.cancel()
    finally:
        process.terminate()
        assert process.wait(15) == 0


asyncio.run(main())
