"""What a change costs where programs depend on each other: with ten of them, and with ten thousand in one chain and in one star (O-9).

    python3 benches/graph.py target/release/supervisord

Processor time of the daemon, microseconds each. `restart` is a start and a stop of one process; the others add a program at run time and
remove it: one that depends on nothing, one that depends on what others depend on, one that is the first to depend on something, and one of a
group on which something depends, for which the graph is made anew, twice.
"""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS = 200
# The whole graph is made anew.
ROUNDS_ANEW = 10
CONDITIONS = ("spawned", "ended", "completed", "healthy", "ready")


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Transport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, _):
        return Connection(self.path)


def configuration(folder, count, shape):
    quiet = "command=sleep 1000\nautostart=false\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
    text = (
        f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\nloglevel=error\n"
        f"[unix_http_server]\nfile={folder}/s\n[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n[stheno]\nmutation=true\n"
        f"[group:extra]\nprograms=e\n[program:e]\n{quiet}"
        f"[group:named]\nprograms=n\n[program:n]\n{quiet}[program:d]\n{quiet}depends_on=named\n"
    )
    for number in range(count):
        on = number - 1 if shape == "chain" else 0
        text += f"[program:p{number}]\n{quiet}" + (f"depends_on=p{on}\n" if number else "")
    return text


def measure(supervisord, count, shape):
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/c.conf", "w") as file:
            file.write(configuration(folder, count, shape))
        daemon = subprocess.Popen([supervisord, "-c", f"{folder}/c.conf"], stdout=subprocess.DEVNULL)
        server = xmlrpc.client.ServerProxy("http://localhost", transport=Transport(f"{folder}/s"))
        while True:
            try:
                server.supervisor.getState()
                break
            except OSError:
                time.sleep(0.05)

        def spent():
            with open(f"/proc/{daemon.pid}/stat") as file:
                return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13])) / TICKS

        def each(rounds, work):
            before = spent()
            for number in range(rounds):
                work(number)
            return (spent() - before) / rounds * 1e6

        def restart(_):
            server.supervisor.startProcess(f"p{count // 2}")
            server.supervisor.stopProcess(f"p{count // 2}")

        def added(name, group="extra", **more):
            options = {"command": "sleep 1000", "autostart": "false", "stdout_logfile": "NONE", "stderr_logfile": "NONE"}
            server.stheno.addProgram(group, name, {**options, **more})
            server.stheno.removeProgram(group, name)

        def first(number):
            on = f"p{count - 1 - number // len(CONDITIONS)}={CONDITIONS[number % len(CONDITIONS)]}"
            added(f"z{number}", depends_on=on)

        try:
            return [
                each(ROUNDS, restart),
                each(ROUNDS, lambda number: added(f"x{number}")),
                each(ROUNDS, lambda number: added(f"y{number}", depends_on="p0")),
                each(min(ROUNDS, count * len(CONDITIONS)), first),
                each(ROUNDS_ANEW, lambda number: added(f"v{number}", "named")),
            ]
        finally:
            daemon.terminate()
            daemon.wait()


def main():
    print(f"{'programs':>8} {'shape':>6} {'restart':>8} {'plain':>8} {'known':>8} {'first':>8} {'anew':>8}")
    for count in (10, 10_000, 20_000):
        for shape in ("chain", "star"):
            row = measure(sys.argv[1], count, shape)
            print(f"{count:>8} {shape:>6} " + " ".join(f"{value:8.0f}" for value in row), flush=True)


main()
