"""What the yardstick needs of the machine: a folder, the C programs, marks of time, samples of /proc, a clean end."""
import contextlib
import ctypes
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_CHILD_SUBREAPER = 36
# Tags of marks; tools.c has the same.
RUNS, BEGINS, ENDS, LAUNCHED = range(4)


class Failed(Exception):
    """A measurement that means nothing, and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- a clean beginning and end

@contextlib.contextmanager
def workplace(what):
    """A scratch folder with the C programs in it. At its end, however that comes, every descendant is killed.

    Orphans become children of this process (a child subreaper), so none is out of reach. What the harness cannot do
    once it is killed itself, PR_SET_PDEATHSIG does: see tools.c.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    base = tempfile.mkdtemp(prefix='stheno-%s-' % what, dir=_roomy())
    os.chmod(base, 0o755)
    try:
        for source in ('tools', 'limit'):
            _compile(source + '.c', os.path.join(base, source), ['-static'], [])
        yield base
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        kill_descendants()
        shutil.rmtree(base, ignore_errors=True)


def _roomy():
    """Memory where it has room: a disk's moods are not the daemon's."""
    try:
        if shutil.disk_usage('/dev/shm').free > 4 << 30:
            return '/dev/shm'
    except OSError:
        pass
    return None


def _compile(source, target, *choices):
    compiler = os.environ.get('CC', 'cc')
    if not shutil.which(compiler):
        raise SystemExit('the yardstick needs a C compiler: %s is not there' % compiler)
    for extra in choices:
        command = [compiler, '-O2', '-o', target, *extra, os.path.join(HERE, source)]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode == 0:
            return
    raise SystemExit('%s\n%s' % (' '.join(command), built.stderr))


def build_clone_shim(folder):
    """See clone_shim.c; returns its path."""
    path = os.path.join(folder, 'clone_shim.so')
    _compile('clone_shim.c', path, ['-shared', '-fPIC', '-ldl'])
    return path


def kill_descendants():
    """Until none is left; a new one may come while the old are killed."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        found = descendants(os.getpid())
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    say('some descendants do not end: %s' % found)


def children(pid):
    try:
        with open('/proc/%d/task/%d/children' % (pid, pid)) as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def descendants(pid):
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


@contextlib.contextmanager
def bounded(seconds, what):
    """Raises Failed if the block takes longer."""
    def late(*_):
        raise Failed('%s: not done after %d s' % (what, seconds))
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_tool(path, *words, seconds=150):
    """Runs a C program that prints JSON."""
    done = subprocess.run([path, *map(str, words)], capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise Failed('%s: %s' % (words[0], done.stderr.strip()))
    return json.loads(done.stdout)


# ---- marks

def clock_ns():
    """The clock of the marks."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Board:
    """Where programs leave marks; see tools.c for its shape."""
    MARK = struct.Struct('=QII')

    def __init__(self, path, places):
        self.path = path
        with open(path, 'wb') as file:
            file.truncate((places + 1) * self.MARK.size)
        with open(path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._read = 0
        self._unclaimed = {tag: [] for tag in (RUNS, BEGINS, ENDS, LAUNCHED)}

    def take(self, count, tag, seconds, what, look=lambda: None):
        """The next `count` marks with that tag: (ns, pid) each. Calls `look` while it waits."""
        end = time.monotonic() + seconds
        waiting = self._unclaimed[tag]
        while self._collect() or len(waiting) < count:
            look()
            if time.monotonic() > end:
                raise Failed('%s: %d of %d after %d s' % (what, len(waiting), count, seconds))
            time.sleep(0.001)
        taken = waiting[:count]
        del waiting[:count]
        return taken

    def _collect(self):
        used = min(struct.unpack_from('=Q', self._map)[0], len(self._map) // self.MARK.size - 1)
        while self._read < used:
            ns, pid, tag = self.MARK.unpack_from(self._map, (self._read + 1) * self.MARK.size)
            if ns == 0:
                return
            self._unclaimed[tag].append((ns, pid))
            self._read += 1


class Counters:
    """What the event listener counts; see tools.c for its shape."""
    SHAPE = struct.Struct('=5Q')

    def __init__(self, path):
        self.path = path
        with open(path, 'wb') as file:
            file.truncate(4096)
        with open(path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def read(self):
        """(ready, events, bytes, out of order, time of the last event in ns)"""
        return self.SHAPE.unpack_from(self._map)


# ---- samples

def cpu_s(pid):
    """CPU seconds that a process of one thread has used, to the nanosecond where the kernel counts them."""
    with open('/proc/%d/schedstat' % pid) as file:
        exact = int(file.read().split()[0]) / 1e9
    if exact > 0:
        return exact
    with open('/proc/%d/stat' % pid) as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _field(pid, file, name):
    with open('/proc/%d/%s' % (pid, file)) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ':'))


def memory_mb(pid):
    """(anonymous, RSS) in units of 10^6 bytes. Anonymous memory is the process's own: nobody else has it, and the kernel
    cannot take it back. The rest of RSS are pages of files, the program's above all, which come and go."""
    return tuple(_field(pid, 'smaps_rollup', name) * 1024 / 1e6 for name in ('Anonymous', 'Rss'))


def peak_mb(pid):
    return _field(pid, 'status', 'VmHWM') * 1024 / 1e6


def wakeups(pid):
    """How often it has woken from sleep."""
    return _field(pid, 'status', 'voluntary_ctxt_switches')


def files_max():
    """Descriptors that a process may be allowed here. Raises the bound as far as the kernel lets us."""
    wanted = 200_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, wanted))
        return wanted
    except (ValueError, OSError):
        return hard


def machine():
    """One line on where this was measured."""
    with open('/proc/cpuinfo') as file:
        model = next((line.split(':')[1].strip() for line in file if line.startswith('model name')), os.uname().machine)
    return '%d x %s, Linux %s, load %.2f' % (os.cpu_count(), model, os.uname().release, os.getloadavg()[0])
