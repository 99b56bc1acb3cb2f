#!/usr/bin/env python3
"""What the system refuses: one row a fault, each against a daemon of its own.

    faults.py target/release/supervisord [-k WORD] [-j JOBS]

strace fails system calls of a daemon that is at work, once or every third time, while programs are killed, write, are
reloaded, and clients ask. Other rows take the disk, descriptors, memory or the processor from it, or set the clock. After each fault the same must hold:

- the daemon lives and answers, and ends when it is told to, with status 0;
- every process that it calls RUNNING is a child that lives, and it has no other child;
- no byte that a program wrote is lost, but where the row says so.

Ends with `N passed, N failed`; exit status 0 if nothing failed. Rows that need what is not there (strace, root, cc) are
skipped, which is said.
"""

import argparse
import concurrent.futures
import http.client
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import xmlrpc.client

# How long any condition may take: a machine may be busy.
PATIENCE = 30.0
# Processes of each daemon that are to be there at the end.
PROCESSES = ["victim", "chat", "cat", "witness"]

CONF = """
[unix_http_server]
file={dir}/s
[supervisord]
logfile={dir}/d.log
pidfile={dir}/d.pid
childlogdir={dir}
nodaemon=true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:victim]
command=sleep 1000
startsecs=0
startretries=100
restartpause=0.05
backoff_max=1
autorestart=true
[program:chat]
command=sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done'
startsecs=0
startretries=100
restartpause=0.05
backoff_max=1
autorestart=true
stdout_logfile={logs}/chat.log
stdout_logfile_maxbytes={maxbytes}
stdout_logfile_backups=99
[program:cat]
command=cat
startsecs=0
startretries=100
restartpause=0.05
backoff_max=1
autorestart=true
stdout_logfile={logs}/cat.log
[eventlistener:witness]
command=sh -c 'while echo READY && read -r head; do head -c "${{head##*len:}}" > /dev/null; printf "RESULT 2\\nOK"; done'
events=PROCESS_STATE,REMOTE_COMMUNICATION
startsecs=0
startretries=100
restartpause=0.05
backoff_max=1
autorestart=true
"""


class Unix(xmlrpc.client.Transport):
    """XML-RPC over a socket file, a connection each call."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        class Connection(http.client.HTTPConnection):
            def connect(inner):
                inner.sock = socket.socket(socket.AF_UNIX)
                inner.sock.settimeout(5)
                inner.sock.connect(self.path)

        return Connection("localhost")


def wait_for(what, look, patience=PATIENCE):
    """Looks until there is an answer."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def children(pid):
    """The children of a process that are alive."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.add(int(entry))
    return found


class Daemon:
    """A daemon with its folder, removed at the end with all that it left."""

    def __init__(self, program, logs=None, prefix=(), maxbytes="2KB", open_to_all=False, **how):
        self.dir = tempfile.mkdtemp(prefix="stheno-faults-")
        if open_to_all:
            os.chmod(self.dir, 0o777)
        self.logs = logs or self.dir
        with open(f"{self.dir}/conf", "w") as conf:
            conf.write(CONF.format(dir=self.dir, logs=self.logs, maxbytes=maxbytes))
        out = open(f"{self.dir}/out", "w")
        how = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, **how}
        self.child = subprocess.Popen([*prefix, program, "-n", "-c", f"{self.dir}/conf"], **how)
        self.strace = None
        wait_for("all programs", self.all_run)

    def call(self, method, *params):
        """A call, tried again: a fault may meet the first ones."""
        problem = None
        for _ in range(20):
            try:
                server = xmlrpc.client.ServerProxy("http://localhost", transport=Unix(f"{self.dir}/s"))
                return getattr(server, method)(*params)
            except xmlrpc.client.Fault as fault:
                return fault
            except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, xmlrpc.client.ResponseError) as error:
                problem = error
                assert self.child.poll() is None, f"the daemon ended with {self.child.returncode}"
                time.sleep(0.05)
        raise AssertionError(f"no answer to {method}: {problem!r}")

    def pids(self):
        """Pids of what is RUNNING, by name."""
        infos = self.call("supervisor.getAllProcessInfo")
        return {info["name"]: info["pid"] for info in infos if info["statename"] == "RUNNING"}

    def states(self):
        """The states of all processes."""
        return {info["statename"] for info in self.call("supervisor.getAllProcessInfo")}

    def all_run(self):
        assert self.child.poll() is None, f"the daemon ended: {open(self.dir + '/out').read()[-400:]}"
        return os.path.exists(f"{self.dir}/s") and len(self.pids()) == len(PROCESSES)

    def inject(self, calls, error, when):
        """From now on system calls fail, of the daemon alone: strace follows no children."""
        self.strace = subprocess.Popen(
            ["strace", "-p", str(self.child.pid), "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"],
            stderr=subprocess.PIPE,
        )
        line = self.strace.stderr.readline().decode()
        assert "attached" in line, f"strace: {line}"

    def heal(self):
        """Whatever it was is over."""
        if self.strace:
            self.strace.send_signal(signal.SIGINT)
            self.strace.wait()
            self.strace = None

    def work(self, patience=PATIENCE):
        """What a daemon does, some of it at a time when it cannot: then nothing is waited for beyond `patience`."""
        for _ in range(4):
            before = self.pids().get("victim")
            if before:
                os.kill(before, signal.SIGKILL)
            is_back = lambda: self.pids().get("victim") not in (None, before)
            self.await_or_go_on("the victim to be restarted", is_back, patience)
        for text in ("one\n", "two\n"):
            self.call("supervisor.sendProcessStdin", "cat", text)
            self.call("supervisor.sendRemoteCommEvent", "kind", text)
        self.child.send_signal(signal.SIGUSR2)
        self.call("supervisor.reloadConfig")
        self.call("supervisor.stopProcess", "cat")
        self.await_or_go_on("cat to be stopped", lambda: "cat" not in self.pids(), patience)
        self.call("supervisor.startProcess", "cat", False)
        self.call("supervisor.readProcessStdoutLog", "chat", 0, 100)
        self.call("supervisor.readLog", 0, 100)

    def await_or_go_on(self, what, look, patience):
        try:
            wait_for(what, look, patience)
        except AssertionError:
            if patience == PATIENCE:
                raise

    def hold(self, loses=False):
        """What must hold after every fault."""
        wait_for("all programs", self.all_run)
        # What was kept while it could not be written is tried again once a second.
        time.sleep(1.2)
        self.call("supervisor.stopProcess", "chat")
        pids = wait_for("a quiet moment", self.quiet)
        assert set(pids) == set(PROCESSES) - {"chat"}, pids
        # A machine that is busy may be late with it.
        wait_for(f"the lines of chat: {self.missing(loses)}", lambda: not self.missing(loses))
        self.child.send_signal(signal.SIGTERM)
        status = self.child.wait(PATIENCE)
        assert status == 0, f"exit status {status}"
        left = [pid for pid in pids.values() if os.path.exists(f"/proc/{pid}")]
        assert not left, f"orphans: {left}"

    def quiet(self):
        """The pids, once the children of the daemon are exactly those that it calls RUNNING."""
        pids = self.pids()
        return pids if children(self.child.pid) == set(pids.values()) else None

    def missing(self, loses):
        """What is wrong with the lines that were written, if anything."""
        names = [name for name in os.listdir(self.logs) if name.startswith("chat.log")]
        names.sort(key=lambda name: -int(name.rsplit(".", 1)[1]) if name != "chat.log" else 1)
        text = "".join(open(f"{self.logs}/{name}").read() for name in names)
        numbers = [int(number) for number in re.findall(r"^line (\d+)$", text, re.M)]
        if loses:
            return None
        if len(numbers) < 20:
            return f"{len(numbers)} lines"
        if text != "".join(f"line {number}\n" for number in range(1, len(numbers) + 1)):
            return f"lines are lost: {text[:200]!r}"
        return None

    def remove(self):
        self.heal()
        if self.child.poll() is None:
            left = children(self.child.pid)
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        if os.environ.get("KEEP"):
            print("kept", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def injected(calls, error, when, loses=False):
    def row(program):
        daemon = Daemon(program)
        try:
            daemon.inject(calls, error, when)
            daemon.work(1)
            daemon.heal()
            daemon.work()
            daemon.hold(loses)
        finally:
            daemon.remove()

    return row


# System calls, and how each may fail. EIO loses what it hits, and so may a peer that is gone.
ERRORS = [
    ("accept4", "EMFILE ENFILE ENOMEM ECONNABORTED EINTR EPROTO"),
    ("recvfrom", "EINTR EAGAIN ENOMEM ECONNRESET"),
    ("sendto", "EINTR EAGAIN EPIPE ECONNRESET"),
    ("read", "EINTR EAGAIN ENOMEM"),
    ("write", "EINTR EAGAIN ENOSPC EDQUOT"),
    ("writev", "EINTR ENOSPC"),
    # ENOSYS is also what a call gets that strace lets go of half way.
    ("epoll_wait", "EINTR ENOSYS"),
    ("epoll_ctl", "ENOMEM ENOSPC"),
    ("pipe2", "EMFILE ENFILE"),
    ("clone,clone3,fork,vfork", "EAGAIN ENOMEM"),
    ("wait4,waitid", "EINTR"),
    ("openat", "EMFILE EINTR ENOSPC EACCES"),
    ("rename,renameat,renameat2", "ENOSPC EROFS EACCES"),
    ("unlink,unlinkat", "EACCES EROFS"),
    ("statx,newfstatat,fstat", "EACCES ENOMEM"),
    ("lseek,pread64", "EINTR"),
    ("getsockopt,setsockopt", "ENOBUFS"),
    ("fcntl", "EINTR"),
    ("inotify_init1,inotify_add_watch", "EMFILE ENOSPC"),
    ("mmap,brk", "ENOMEM"),
    ("close", "EINTR EIO"),
    ("read", "EIO"),
    ("write", "EIO"),
]


def needs_root(row):
    row.needs_root = True
    return row


def tmpfs(options):
    path = tempfile.mkdtemp(prefix="stheno-disk-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], check=True)
    return path


@needs_root
def full_disk(program):
    """Logs on a disk that is full for a moment: what fits in 64 KiB is kept."""
    disk = tmpfs("size=256k")
    daemon = None
    try:
        daemon = Daemon(program, logs=disk, maxbytes="0")
        ballast = os.open(f"{disk}/ballast", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(ballast, bytes(4096)):
                pass
        except OSError:
            os.close(ballast)
        daemon.work()
        # Once more it is tried in vain: that is done once a second.
        time.sleep(1)
        os.remove(f"{disk}/ballast")
        daemon.work()
        daemon.hold()
    finally:
        if daemon:
            daemon.remove()
        subprocess.run(["umount", "-l", disk])
        os.rmdir(disk)


@needs_root
def read_only_disk(program):
    """Nothing can be rotated, cleared or begun anew on it; what is open is written to a full end."""
    disk = tmpfs("size=1m")
    daemon = None
    try:
        daemon = Daemon(program, logs=disk)
        # The files that are open for writing forbid it; so whoever looks is told instead.
        subprocess.run(["mount", "-o", "bind", disk, disk], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)
        daemon.work()
        subprocess.run(["umount", disk], check=True)
        daemon.work()
        daemon.hold()
    finally:
        if daemon:
            daemon.remove()
        subprocess.run(["umount", "-l", disk], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", disk], stderr=subprocess.DEVNULL)
        os.rmdir(disk)


def limited(what, number, maxbytes="2KB", loses=False):
    def row(program):
        daemon = Daemon(program, maxbytes=maxbytes)
        try:
            soft, hard = resource.prlimit(daemon.child.pid, what)
            resource.prlimit(daemon.child.pid, what, (number, hard))
            # Some of it cannot be done now; what matters is that it can afterwards.
            for _ in range(2):
                pid = daemon.pids().get("victim") if number > 20 else None
                if pid:
                    os.kill(pid, signal.SIGKILL)
                # Nothing tells what could not be done.
                time.sleep(0.3)
            assert daemon.child.poll() is None, "the daemon ended"
            resource.prlimit(daemon.child.pid, what, (soft, hard))
            daemon.work()
            daemon.hold(loses)
        finally:
            daemon.remove()

    return row


def grown(what, field, room):
    """What the daemon has of something, and a little more: what others ask for beyond that is not to be had."""

    def row(program):
        daemon = Daemon(program)
        try:
            status = open(f"/proc/{daemon.child.pid}/status").read()
            taken = int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)[1]) << 10
            soft, hard = resource.prlimit(daemon.child.pid, what)
            resource.prlimit(daemon.child.pid, what, (taken + room, hard))
            for _ in range(3):
                for text in ("x" * 900_000, "y" * 300_000):
                    try:
                        server = xmlrpc.client.ServerProxy("http://localhost", transport=Unix(f"{daemon.dir}/s"))
                        server.supervisor.sendRemoteCommEvent("kind", text)
                    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
                        pass  # It may be refused; what matters is who goes on.
            daemon.work()
            resource.prlimit(daemon.child.pid, what, (soft, hard))
            daemon.work()
            daemon.hold()
        finally:
            daemon.remove()

    return row


@needs_root
def no_more_processes(program):
    """RLIMIT_NPROC, which binds nobody but root: no program can be started for a while."""
    # Of a user of its own, whose processes are all counted.
    as_user = ["setpriv", f"--reuid={60000 + os.getpid() % 5000}", "--clear-groups"]
    daemon = Daemon(program, prefix=as_user, open_to_all=True)

    def limit(processes):
        subprocess.run([*as_user, "prlimit", "--pid", str(daemon.child.pid), f"--nproc={processes}:"], check=True)

    try:
        before = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        limit(1)
        subprocess.run([*as_user, "kill", "-9", str(daemon.pids()["victim"])], check=True)
        wait_for("a start that fails", lambda: "BACKOFF" in daemon.states())
        limit(before if before != resource.RLIM_INFINITY else "unlimited")
        daemon.work()
        daemon.hold()
    finally:
        daemon.remove()


# The clock that can be set, some seconds from where it is: as many as the file says that is shared with the test.
# It is read in user space, where neither strace nor a namespace reaches.
STEPPED_CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile int64_t *offset;
__attribute__((constructor)) static void begin(void) {
    int fd = open(getenv("STEPPED_CLOCK"), O_RDONLY | O_CLOEXEC);
    void *at = fd < 0 ? MAP_FAILED : mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) offset = at;
    if (fd >= 0) close(fd);
}
int clock_gettime(clockid_t id, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, id, time);
    if (!result && id == CLOCK_REALTIME && offset) time->tv_sec += *offset;
    return result;
}
"""


def clock_steps(program):
    """The wall clock is set, back and forth, by seconds and by years: what is decided goes by another."""
    folder = tempfile.mkdtemp(prefix="stheno-clock-")
    daemon = None
    try:
        with open(f"{folder}/c.c", "w") as source:
            source.write(STEPPED_CLOCK)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", f"{folder}/c.so", f"{folder}/c.c"], check=True)
        with open(f"{folder}/offset", "wb") as file:
            file.write(bytes(8))
        environment = {**os.environ, "LD_PRELOAD": f"{folder}/c.so", "STEPPED_CLOCK": f"{folder}/offset"}
        daemon = Daemon(program, env=environment)
        for step in (3600, -86400, 2**31 - 1 - int(time.time()) - 5, -int(time.time()) + 5, 40 * 365 * 86400, 0):
            with open(f"{folder}/offset", "r+b") as file:
                file.write(step.to_bytes(8, "little", signed=True))
            infos = daemon.call("supervisor.getAllProcessInfo")
            away = [info["now"] - time.time() - step for info in infos if info["now"] < 2**31 - 1]
            assert all(abs(seconds) < 60 for seconds in away), f"the step by {step} is not seen: {away}"
            # The least of the steps would hold it up for longer than anything is waited for.
            daemon.work()
        daemon.hold()
    finally:
        if daemon:
            daemon.remove()
        shutil.rmtree(folder)


def closed(*numbers):
    def row(program):
        redirections = " ".join(f"{number}>&-" for number in numbers)
        daemon = Daemon(program, prefix=["sh", "-c", f'exec "$@" {redirections}', "sh"])
        try:
            daemon.work()
            daemon.hold()
        finally:
            daemon.remove()

    return row


def stopped(program):
    """SIGSTOP, for as long as everything happens at once."""
    daemon = Daemon(program)
    try:
        before = daemon.pids()
        daemon.child.send_signal(signal.SIGSTOP)
        os.kill(before["victim"], signal.SIGKILL)
        os.kill(before["cat"], signal.SIGKILL)
        # Nothing tells of what nobody does meanwhile.
        time.sleep(1)
        daemon.child.send_signal(signal.SIGCONT)
        wait_for("both to be restarted", lambda: not set(before.values()) & {daemon.pids().get(name) for name in ("victim", "cat")})
        daemon.work()
        daemon.hold()
    finally:
        daemon.remove()


def stopped_and_continued(program):
    """SIGSTOP and SIGCONT by the hundred, to the daemon and to what it runs; and a program that stays stopped is stopped."""
    daemon = Daemon(program)
    try:
        for _ in range(200):
            for pid in (daemon.child.pid, *daemon.pids().values()):
                os.kill(pid, signal.SIGSTOP)
                os.kill(pid, signal.SIGCONT)
        daemon.work()
        held = daemon.pids()["cat"]
        os.kill(held, signal.SIGSTOP)
        assert daemon.pids()["cat"] == held, "a program that is stopped has not ended"
        # It does not hear of its stop signal before it goes on.
        daemon.call("supervisor.stopProcess", "cat", False)
        os.kill(held, signal.SIGCONT)
        wait_for("cat to be stopped", lambda: "cat" not in daemon.pids())
        daemon.call("supervisor.startProcess", "cat", False)
        daemon.work()
        daemon.hold()
    finally:
        daemon.remove()


def storm(program):
    """Signals by the thousand, the child's among them."""
    daemon = Daemon(program)
    try:
        for _ in range(2000):
            daemon.child.send_signal(signal.SIGCHLD)
            daemon.child.send_signal(signal.SIGUSR2)
        daemon.work()
        daemon.hold()
    finally:
        daemon.remove()


def rows():
    strace = shutil.which("strace") is not None
    for calls, errors in ERRORS:
        for error in errors.split():
            for when, times in (("1", "once"), ("2+3", "every third time")):
                if error == "ENOMEM" and calls == "mmap,brk" and when != "1":
                    continue  # Without memory there is no going on.
                if calls == "close" and when != "1":
                    continue  # strace leaves open what Linux closes whatever it answers: a pipe that never ends.
                if calls == "read" and error == "EAGAIN" and when != "1":
                    continue  # Whoever is told that nothing is there waits to be told otherwise, which Linux then does.
                yield f"{calls.split(',')[0]} {error} {times}", injected(calls, error, when, error == "EIO") if strace else None
    yield "a full disk", full_disk
    yield "a read-only disk", read_only_disk
    yield "RLIMIT_NOFILE 12", limited(resource.RLIMIT_NOFILE, 12)
    yield "RLIMIT_NOFILE 30", limited(resource.RLIMIT_NOFILE, 30)
    yield "RLIMIT_FSIZE 300", limited(resource.RLIMIT_FSIZE, 300)
    yield "RLIMIT_AS", grown(resource.RLIMIT_AS, "VmSize", 6 << 20)
    yield "RLIMIT_DATA", grown(resource.RLIMIT_DATA, "VmData", 6 << 20)
    yield "RLIMIT_STACK 128 kB", limited(resource.RLIMIT_STACK, 128 << 10)
    yield "RLIMIT_NPROC 1", no_more_processes
    yield "clock steps", clock_steps if shutil.which("cc") else None
    yield "stdin closed", closed(0)
    yield "stdout closed", closed(1)
    yield "stderr closed", closed(2)
    yield "stdout and stderr closed", closed(1, 2)
    yield "all three closed", closed(0, 1, 2)
    yield "SIGSTOP", stopped
    yield "SIGSTOP and SIGCONT", stopped_and_continued
    yield "a storm of signals", storm


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("-k", default="", help="rows whose names hold this")
    parser.add_argument("-j", type=int, default=8, help="daemons at a time; they mostly wait")
    args = parser.parse_args()
    program = os.path.abspath(args.program)
    chosen = [(name, row) for name, row in rows() if args.k in name]
    passed = failed = skipped = 0

    def run(name, row):
        if row is None or (getattr(row, "needs_root", False) and os.geteuid() != 0):
            return name, None
        try:
            row(program)
            return name, ""
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1].lineno
            return name, f"{error} (line {where})" if isinstance(error, AssertionError) else repr(error)

    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for name, problem in pool.map(lambda row: run(*row), chosen):
            word = "skipped" if problem is None else "FAILED" if problem else "ok"
            print(f"{name:40} {word}{': ' + problem if problem else ''}", flush=True)
            skipped += problem is None
            failed += bool(problem)
            passed += problem == ""
    if skipped:
        print(f"SKIPPED: {skipped} rows, for want of strace, cc or root")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
