#!/usr/bin/env python3
"""How long the same stack takes with this supervisor, with dinit and with s6-rc, where they are installed.

    python3 benches/stack.py target/release/supervisord

A database that needs four seconds to become ready, a migration that runs once behind it, a web server behind both, two workers behind
both, and a sidecar that needs nothing. Each says that it is ready through descriptor 3, which all three know: `ready=fd:3`,
`ready-notification = pipefd:3`, `notification-fd`. Up is when the last of them says so, from the start of the supervisor on; down is when
the last has ended, from the request on. Medians of five, in seconds.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from statistics import median

ROUNDS = 5
# What it takes to be ready, in seconds; who is needed for it.
STACK = {
    "db": (4.0, []),
    "migrate": (0.1, ["db"]),
    "web": (0.1, ["db", "migrate"]),
    "worker0": (0.0, ["db", "migrate"]),
    "worker1": (0.0, ["db", "migrate"]),
    "sidecar": (0.0, []),
}
ONESHOT = "migrate"
PATIENCE = 30


def script(folder, name):
    """A program of the stack. It leaves a file when it is ready, and takes a tenth of a second to end."""
    delay, _ = STACK[name]
    path = f"{folder}/{name}.sh"
    ready = f"sleep {delay}\ndate +%s.%N > {folder}/{name}.new\nmv {folder}/{name}.new {folder}/{name}.up\n"
    stay = f"echo >&3\nexec 3>&-\ntrap 'sleep 0.1; date +%s.%N > {folder}/{name}.down; exit 0' TERM\nsleep 1000 &\nwait\n"
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + ready + ("" if name == ONESHOT else stay))
    os.chmod(path, 0o755)
    return path


class Ours:
    name = "this"

    def __init__(self, folder):
        with open(f"{folder}/c.conf", "w") as file:
            file.write(f"[supervisord]\nnodaemon=true\nshutdown_parallel=true\nlogfile={folder}/log\npidfile={folder}/pid\n")
            for name, (_, needs) in STACK.items():
                on = ", ".join(f"{need}={'completed' if need == ONESHOT else 'ready'}" for need in needs)
                kind = "type=oneshot\n" if name == ONESHOT else "ready=fd:3\n"
                file.write(f"[program:{name}]\ncommand={script(folder, name)}\nkillasgroup=true\n{kind}")
                file.write(f"depends_on={on}\n" if on else "")
        self.process = subprocess.Popen([sys.argv[1], "-c", f"{folder}/c.conf"], stdout=subprocess.DEVNULL)

    def end(self):
        self.process.send_signal(signal.SIGTERM)


class Dinit:
    name = "dinit"

    def __init__(self, folder):
        for name, (_, needs) in STACK.items():
            kind = "scripted" if name == ONESHOT else "process"
            ready = "" if name == ONESHOT else "ready-notification = pipefd:3\n"
            with open(f"{folder}/{name}", "w") as file:
                file.write(f"type = {kind}\ncommand = {script(folder, name)}\n{ready}")
                file.writelines(f"depends-on = {need}\n" for need in needs)
        with open(f"{folder}/boot", "w") as file:
            file.write("type = internal\n" + "".join(f"depends-on = {name}\n" for name in STACK))
        words = ["dinit", "--user", "--quiet", "--services-dir", folder, "--socket-path", f"{folder}/socket"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    def end(self):
        self.process.send_signal(signal.SIGTERM)


class S6:
    name = "s6-rc"

    def __init__(self, folder):
        source = f"{folder}/source"
        for name, (_, needs) in STACK.items():
            where = f"{source}/{name}"
            os.makedirs(f"{where}/dependencies.d")
            for need in needs:
                open(f"{where}/dependencies.d/{need}", "w").close()
            write(f"{where}/type", "oneshot" if name == ONESHOT else "longrun")
            path = script(folder, name)
            if name == ONESHOT:
                write(f"{where}/up", path)
            else:
                write(f"{where}/notification-fd", "3")
                write(f"{where}/run", f"#!/bin/sh\nexec {path}")
                os.chmod(f"{where}/run", 0o755)
        os.makedirs(f"{source}/all/contents.d")
        write(f"{source}/all/type", "bundle")
        for name in STACK:
            open(f"{source}/all/contents.d/{name}", "w").close()
        os.makedirs(f"{folder}/scan")
        self.live = f"{folder}/live"
        subprocess.run(["s6-rc-compile", f"{folder}/compiled", source], check=True)
        self.process = subprocess.Popen(["s6-svscan", f"{folder}/scan"], stderr=subprocess.DEVNULL)
        while not os.path.exists(f"{folder}/scan/.s6-svscan/control"):
            time.sleep(0.002)
        subprocess.run(["s6-rc-init", "-c", f"{folder}/compiled", "-l", self.live, f"{folder}/scan"], check=True)
        self.change = subprocess.Popen(["s6-rc", "-l", self.live, "-u", "change", "all"])
        self.scan = f"{folder}/scan"

    def end(self):
        self.change.wait()
        subprocess.run(["s6-rc", "-l", self.live, "-da", "change"], check=True)
        subprocess.run(["s6-svscanctl", "-t", self.scan], check=True)


def write(path, text):
    with open(path, "w") as file:
        file.write(text + "\n")


def times(folder, ending, names):
    """The moments at which each was so far."""
    end = time.monotonic() + PATIENCE
    paths = [f"{folder}/{name}.{ending}" for name in names]
    while not all(os.path.exists(path) and os.path.getsize(path) for path in paths):
        if time.monotonic() > end:
            raise SystemExit(f"not {ending}: {[path for path in paths if not os.path.exists(path)]}")
        time.sleep(0.005)
    found = []
    for path in paths:
        with open(path) as file:
            found.append(float(file.read()))
    return found


def measure(kind):
    ups, downs = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            begun = time.time()
            subject = kind(folder)
            ups.append(max(times(folder, "up", STACK)) - begun)
            time.sleep(0.5)
            begun = time.time()
            subject.end()
            downs.append(max(times(folder, "down", [name for name in STACK if name != ONESHOT])) - begun)
            subject.process.wait(PATIENCE)
    return median(ups), median(downs)


def main():
    print(f"{'':>6} {'up':>6} {'down':>6}")
    for kind, needs in ((Ours, None), (Dinit, "dinit"), (S6, "s6-rc-compile")):
        if needs and not shutil.which(needs):
            print(f"{kind.name:>6}  is not installed")
            continue
        up, down = measure(kind)
        print(f"{kind.name:>6} {up:6.2f} {down:6.2f}", flush=True)


main()
