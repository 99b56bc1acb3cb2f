"""What a fleet publishes, read by the libraries that people use: websockets and pyzmq.

    publish.py SUPERVISORD

A library that is not there is skipped, with a line.
"""
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = "[program:a]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n"
STATES = [10, 20, 40, 0]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Daemon:
    """A daemon of one instance that publishes by `link`."""

    def __init__(self, program, link):
        self.folder = tempfile.TemporaryDirectory()
        port, self.events = free_port(), free_port()
        self.conf = os.path.join(self.folder.name, "s.conf")
        with open(self.conf, "w") as out:
            out.write(
                "[supervisord]\nnodaemon=true\nlogfile=%(here)s/log\npidfile=%(here)s/pid\n"
                "[unix_http_server]\nfile=%(here)s/sock\n[supervisorctl]\nserverurl=unix://%(here)s/sock\n"
                "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
                f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p\n"
                "[rpcinterface:supvisors]\nsupervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n"
                f"supvisors_list=<n1>127.0.0.1:{port}\nevent_link={link}\nevent_port={self.events}\n"
                f"stats_collecting_period=1\nstats_periods=1\n{PROGRAM}"
            )
        self.program = program
        self.child = subprocess.Popen([program, "-c", self.conf], stdout=subprocess.DEVNULL)
        end = time.time() + 20
        while self.ctl("sversion").returncode or b"OPERATION" not in self.ctl("sstate").stdout:
            assert time.time() < end and self.child.poll() is None, "no start"
            time.sleep(0.05)

    def ctl(self, *words):
        return subprocess.run([self.program, "ctl", "-c", self.conf, *words], capture_output=True)

    def act(self):
        assert b"started" in self.ctl("start", "a").stdout
        assert b"stopped" in self.ctl("stop", "a").stdout

    def end(self):
        self.child.terminate()
        self.child.wait(20)
        self.folder.cleanup()


def over_websocket(daemon, websockets):
    async def read():
        uri = f"ws://u:p@127.0.0.1:{daemon.events}/event/hstats"
        async with websockets.connect(uri) as link:
            await (await link.ping())
            await asyncio.get_running_loop().run_in_executor(None, daemon.act)
            seen, statistics = [], None
            while len(seen) < len(STATES) or statistics is None:
                kind, body = json.loads(await asyncio.wait_for(link.recv(), 20))
                if kind == "event":
                    seen.append(body["state"])
                else:
                    statistics = body
            assert seen == STATES, seen
            assert len(statistics["cpu"]) >= 2 and isinstance(statistics["mem"], float), statistics

    asyncio.run(read())


def over_zeromq(daemon, zmq):
    context = zmq.Context()
    reader = context.socket(zmq.SUB)
    reader.RCVTIMEO = 20000
    reader.setsockopt(zmq.SUBSCRIBE, b"event")
    reader.setsockopt(zmq.SUBSCRIBE, b"process")
    reader.setsockopt(zmq.UNSUBSCRIBE, b"process")
    reader.connect(f"tcp://127.0.0.1:{daemon.events}")
    # What is published before the subscription has come is not repeated: act until something comes.
    while not reader.poll(500):
        daemon.act()
    kind, body = reader.recv_multipart()
    assert kind == b"event" and json.loads(body)["name"] == "a", (kind, body)
    context.destroy(linger=0)


def main(program):
    for name, link, work in (("websockets", "WS", over_websocket), ("zmq", "ZMQ", over_zeromq)):
        try:
            library = __import__(name)
        except ImportError:
            print(f"skipped: {link}, for Python has no {name}")
            continue
        daemon = Daemon(program, link)
        try:
            work(daemon, library)
            print(f"ok: {link} with {name} {library.__version__}")
        finally:
            daemon.end()


main(os.path.abspath(sys.argv[1]))
