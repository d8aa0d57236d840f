"""Runs the agent that a package installed, as its unit does, with the configuration that the package brings: installed_agent.py ROOT

Only the ports are others than in that configuration, and the folder of its data is below ROOT. What is sent has to be answered, nothing
may listen beyond loopback, and SIGTERM has to end it well.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

root = sys.argv[1]
unit = open(f"{root}/usr/lib/systemd/system/sightline.service").read()
command = re.search("^ExecStart=(.*)$", unit, re.M)[1].split()
keys = {"WEB__LISTEN", "METRICS__LISTEN_UDP", "METRICS__LISTEN_TCP", "LOGS__TCP__LISTEN", "LOGS__UDP__LISTEN", "LOGS__HTTP__LISTEN",
        "OTLP__HTTP__LISTEN", "OTLP__GRPC__LISTEN", "SPANS__ZIPKIN__LISTEN"}


def free_port():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1]


def get(path):
    return urllib.request.urlopen(f"http://127.0.0.1:{ports['WEB__LISTEN']}{path}", timeout=5).read().decode()


def until(what, probe):
    for _ in range(150):
        try:
            if probe():
                return
        except OSError:
            pass
        if agent.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"{what}: not within 15 s; the agent said: {open(f'{root}/said').read()}")


def beyond_loopback(process):
    """Addresses, as the kernel writes them, on which the process listens and which are not loopback."""
    held = {os.readlink(f"/proc/{process}/fd/{one}") for one in os.listdir(f"/proc/{process}/fd")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in open(f"/proc/net/{table}").read().splitlines()[1:]:
            local, _, state, inode = (line.split()[i] for i in (1, 2, 3, 9))
            if f"socket:[{inode}]" in held and state in ("0A", "07") and local.split(":")[0] not in ("0100007F", "0" * 24 + "01000000"):
                yield f"{table} {local}"


ports = {key: free_port() for key in keys}
words = [f"{root}{word}" if word.startswith(("/usr", "/etc")) else word for word in command]
environment = {f"SIGHTLINE_{key}": f"127.0.0.1:{port}" for key, port in ports.items()}
agent = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(f"{root}/said", "w"),
                         env={"PATH": "/usr/bin:/bin", **environment, "SIGHTLINE_DATA_DIR": f"{root}/var/lib/sightline"})
try:
    until("it is ready", lambda: get("/-/ready"))
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"packaged.count:3|c", ("127.0.0.1", ports["METRICS__LISTEN_UDP"]))
    until("a counter arrives", lambda: "packaged_count 3" in get("/metrics"))
    if found := list(beyond_loopback(agent.pid)):
        sys.exit(f"it listens beyond loopback: {found}")
    agent.send_signal(signal.SIGTERM)
    if status := agent.wait(20):
        sys.exit(f"after SIGTERM it ends with {status}: {open(f'{root}/said').read()}")
finally:
    if agent.poll() is None:
        agent.kill()
        agent.wait()
if not os.listdir(f"{root}/var/lib/sightline"):
    sys.exit("it kept nothing where the unit says")
