"""The rows of the yardstick: each function measures one target once and puts figures.

Where the limit is the least of a daemon, one function serves for both: only `run.programs` knows which it drives.
Lost bytes, lost or reordered events, faults and programs that do not come up are no figures but failures.
"""
import contextlib
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import time
from statistics import median
from typing import Callable, NamedTuple, Optional

from daemon import TWIDDLER, Canned, Daemon, Subject, section
from system import BEGINS, ENDS, Counters, Failed, clock_ns, memory_mb, peak_mb, run_tool, wakeups

# Lines of the flood, and its writes: as large as a program that buffers writes them.
LINE, WRITE = 200, 40_000
NO_LOGS = {'stdout_logfile': 'NONE', 'stderr_logfile': 'NONE'}


# ---- doing nothing

def idle(run):
    seconds = 3 if run.quick else 10
    subject = run.programs('still', 10)
    subject.await_ready()
    subject.await_running(10)
    # What is left to do after a start is done by then.
    time.sleep(2)
    cpu, woken = subject.cpu(), wakeups(subject.pid)
    time.sleep(seconds)
    run.put('idle: wake-ups', (wakeups(subject.pid) - woken) / seconds, '/s')
    run.put('idle: CPU', (subject.cpu() - cpu) / seconds * 1e3, 'ms/s')


def use(subject):
    """What every daemon is asked sooner or later: its programs, its logs, its configuration."""
    methods = ('supervisor.getAllProcessInfo', 'supervisor.getAllConfigInfo', 'supervisor.getState', 'supervisor.reloadConfig')
    subject.calls([(method, ()) for method in methods] * 5)


def memory(run):
    for count in (10, 500):
        subject = run.programs('still', count)
        subject.await_ready()
        subject.await_running(count)
        time.sleep(2)
        run.put('memory: %d programs, anonymous' % count, memory_mb(subject.pid)[0], 'MB')
        # RSS right after a start flatters whoever gives pages back then: it counts once calls have been answered.
        if run.command is not None:
            use(subject)
        run.put('memory: %d programs, anonymous after use' % count, memory_mb(subject.pid)[0], 'MB')
        run.put('memory: %d programs, RSS after use' % count, memory_mb(subject.pid)[1], 'MB')
        subject.stop()


# ---- starting, restarting, ending

def first_answer(run):
    walls, cpus = [], []
    for _ in range(5):
        subject = Canned(run).start(300) if run.command is None else Daemon(run, '').start()
        walls.append((subject.await_ready() - subject.launched_ns) / 1e6)
        cpus.append(subject.cpu() * 1e3)
        subject.stop()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(subject.socket)
    run.put('start: first answer', median(walls), 'ms')
    run.put('start: first answer, CPU', median(cpus), 'ms')


def start(run):
    count = 100 if run.quick else 500
    subject = run.programs('mark @', count)
    last = max(ns for ns, _ in subject.await_marks(count))
    run.put('start: %d programs up' % count, (last - subject.launched_ns) / 1e6, 'ms')
    run.put('start: %d programs up, CPU' % count, subject.cpu() * 1e3, 'ms')


def restart(run):
    count = 10 if run.quick else 50
    subject = run.programs('mark @', autorestart='true')
    subject.await_ready()
    took = []
    [(_, pid)] = subject.await_marks(1)
    for _ in range(count):
        # Not in step with anybody's ticking.
        time.sleep(random.uniform(0.05, 0.25))
        killed = clock_ns()
        os.kill(pid, 9)
        [(ns, pid)] = subject.await_marks(1, seconds=20)
        took.append((ns - killed) / 1e6)
    run.put('restart after kill -9: median', median(took), 'ms')
    run.put('restart after kill -9: p99 of %d' % count, sorted(took)[int(len(took) * 0.99) - 1], 'ms')


def shutdown(run):
    count = 100 if run.quick else 500
    subject = run.programs('mark @', count)
    subject.await_marks(count)
    subject.await_ready()
    subject.await_running(count)
    time.sleep(0.5)
    run.put('shutdown: SIGTERM to exit, %d programs' % count, subject.stop(), 'ms')
    if subject.process.returncode != 0:
        raise Failed('exit status %d' % subject.process.returncode)


# ---- logs

def copier(run, words):
    """The limit for logs: a program whose output `cat` copies to its log."""
    subject = Subject(run)
    program = subprocess.Popen(shlex.split(run.tool(words)), stdout=subprocess.PIPE)
    with open(subject.log(), 'wb') as log:
        subject.process = subprocess.Popen(['cat'], stdin=program.stdout, stdout=log)
    program.stdout.close()
    return subject


def flooded_log(how, write, total_mb, rotated):
    def measure(run):
        total = total_mb * 1_000_000 // (5 if run.quick else 1)
        part = total // 5 * 2 if rotated else 0
        words = 'flood @ %d %d %d' % (total, LINE, write)
        if run.command is None:
            subject = copier(run, words)
        else:
            subject = run.programs(words, stdout_logfile_maxbytes=part, stdout_logfile_backups=2)
            subject.await_ready()
        marks = subject.await_marks(1)
        time.sleep(0.3)
        cpu = subject.cpu()
        subject.release(marks)
        [(begun, _)] = subject.await_marks(1, BEGINS)
        [(ended, _)] = subject.await_marks(1, ENDS)
        files = [subject.log() + suffix for suffix in (('.2', '.1', '') if rotated else ('',))]
        await_bytes(files, total, rotated)
        cpu = subject.cpu() - cpu
        complete(run, files, total, part)
        run.put('logs, %s: rate' % how, total / 1e6 / ((ended - begun) / 1e9), 'MB/s', more=True)
        run.put('logs, %s: CPU' % how, cpu / (total / 1e9), 's/GB')
        if run.command is not None:
            run.put('logs, %s: peak RSS' % how, peak_mb(subject.pid), 'MB')
    return measure


def await_bytes(files, total, rotated):
    """Until the last bytes, which the program has written to its pipe, are in the log."""
    size, end = -1, time.monotonic() + 20
    while time.monotonic() < end:
        before, size = size, sum(os.path.getsize(file) for file in files if os.path.exists(file))
        if size == total or (rotated and size == before):
            return
        time.sleep(0.2 if rotated else 0.01)


def complete(run, files, total, part):
    """Fails unless the lines in the files are all, or the last of a rotated log, in order."""
    found = run_tool(run.tools, 'check', LINE, *files)
    if found['wrong'] or found['rest'] or found['next'] != total // LINE or found['bytes'] < min(total, 2 * part or total):
        raise Failed('the log is not complete: %s of %d bytes' % (found, total))


def many_loggers(run):
    count, lines, bytes_each = 100, 300 if run.quick else 1000, 100
    subject = run.programs('drip @ %d %d 10000' % (bytes_each, lines), count)
    marks = subject.await_marks(count)
    subject.await_ready()
    subject.await_running(count)
    time.sleep(0.5)
    cpu = subject.cpu()
    subject.release(marks)
    subject.await_marks(count, ENDS)
    logs = [subject.log(index) for index in range(count)]
    await_bytes(logs, count * lines * bytes_each, False)
    if any(os.path.getsize(log) != lines * bytes_each for log in logs):
        raise Failed('lines are missing')
    run.put('logs, 100 programs of 100 lines/s: CPU per 100 000 lines', (subject.cpu() - cpu) / (count * lines / 1e5), 's')


# ---- calls

# Bytes of an answer's body, as ours or the original's was: what the limit answers with.
ANSWER_BYTES = {}


def rpc(count):
    def measure(run):
        methods = ['getAllProcessInfo'] + (['getState'] if count == 10 else [])
        seconds = 0.5 if run.quick else 2
        if run.command is not None:
            daemon = Daemon(run, section('p', run.tool('still'), count), count, tcp=True).start()
            daemon.await_ready()
            daemon.await_running(count)
            time.sleep(0.5)
        for method in methods:
            for tcp in (False, True):
                label = '%s %s, %s' % (method, 'of %d' % count if 'All' in method else '', 'tcp' if tcp else 'unix')
                label = label.replace(' ,', ',')
                if run.command is None:
                    daemon = Canned(run, tcp).start(ANSWER_BYTES.get(label, 300), tcp)
                    time.sleep(0.1)
                for connections in (1, 16):
                    rates = daemon.load('supervisor.' + method, connections, seconds, tcp)
                    ANSWER_BYTES[label] = rates['body']
                    row = 'RPC %s, %d conn.: ' % (label, connections)
                    run.put(row + 'rate', rates['counted'] / rates['seconds'], '/s', more=True)
                    run.put(row + 'p99', rates['p99_ns'] / 1e6, 'ms')
                    run.put(row + 'CPU', rates['cpu_us'], 'us/call')
    return measure


def rpc_while_flooded(run):
    daemon = run.programs('flood @ 0 %d %d' % (LINE, WRITE), stdout_logfile_maxbytes='50MB', stdout_logfile_backups=2)
    daemon.await_ready()
    daemon.release(daemon.await_marks(1))
    time.sleep(0.5)
    rates = daemon.load('supervisor.getState', 1, 1 if run.quick else 5)
    run.put('RPC getState during a log flood: median', rates['p50_ns'] / 1e6, 'ms')
    run.put('RPC getState during a log flood: p99', rates['p99_ns'] / 1e6, 'ms')


# ---- events

def events(how, label, event, bytes_each, **options):
    def measure(run):
        count = 4000 if run.quick else 20_000
        counters = Counters(os.path.join(run.folder, 'counters'))
        listener = '[eventlistener:l]\ncommand=%s\nevents=%s\nbuffer_size=%d\nstartsecs=0\n' % (
            run.tool('listen ' + counters.path), event, count + 100)
        words = 'tell @ %d %s %s' % (count, how, counters.path)
        daemon = Daemon(run, section('p', run.tool(words), **NO_LOGS, **options) + listener).start()
        marks = daemon.await_marks(1)
        while not counters.read()[0]:
            time.sleep(0.01)
        time.sleep(1)
        cpu = daemon.cpu()
        daemon.release(marks)
        [(begun, _)] = daemon.await_marks(1, BEGINS)
        seen, since = -1, time.monotonic()
        while counters.read()[2] < count * bytes_each:
            if counters.read()[1] != seen:
                seen, since = counters.read()[1], time.monotonic()
            elif time.monotonic() - since > 10:
                break
            time.sleep(0.005)
        _, got, got_bytes, out_of_order, last_ns = counters.read()
        if got_bytes != count * bytes_each or out_of_order or (how == 'comm' and got != count):
            raise Failed('%d events, %d of %d bytes, %d out of order' % (got, got_bytes, count * bytes_each, out_of_order))
        run.put('events, %s: rate' % label, count / ((last_ns - begun) / 1e9), '/s', more=True)
        run.put('events, %s: CPU' % label, (daemon.cpu() - cpu) / count * 1e6, 'us each')
    return measure


def events_limit(run):
    count = 4000 if run.quick else 20_000
    counters = Counters(os.path.join(run.folder, 'counters'))
    took = run_tool(run.limit, 'pingpong', count, run.tools, 'listen', counters.path)
    run.put('events, PROCESS_COMMUNICATION: rate', count / took['seconds'], '/s', more=True)


# ---- changes

def changes(run):
    count = 50 if run.quick else 200
    pairs = [('supervisor.removeProcessGroup', ('p',)), ('supervisor.addProcessGroup', ('p',))] * count
    added = {'command': run.tool('still'), 'autostart': 'false', 'startsecs': '0', **NO_LOGS}
    twiddled = []
    for number in range(count):
        name = 'new%d' % number
        twiddled += [('twiddler.addProgramToGroup', ('g', name, added)),
                     ('twiddler.removeProcessFromGroup', ('g', name))]
    if run.command is None:
        server = Canned(run).start(130)
    else:
        still = dict(autostart='false', **NO_LOGS)
        sections = section('p', run.tool('still'), **still) + section('q', run.tool('still'), **still)
        twiddler = TWIDDLER if has_twiddler(run.command) else ''
        server = Daemon(run, sections + '[group:g]\nprograms=q\n' + twiddler).start()
    server.await_ready()
    time.sleep(0.3)
    run.put('change: removeProcessGroup + addProcessGroup', server.calls(pairs)['seconds'] / count * 1e3, 'ms')
    if run.command is None or twiddler:
        run.put('change: twiddler, add + remove a program', server.calls(twiddled)['seconds'] / count * 1e3, 'ms')


def reload(run):
    count = 300
    def sections(names, priority):
        return ''.join(section(name, run.tool('still'), autostart='false', priority=priority, **NO_LOGS) for name in names)
    names = ['p%d' % number for number in range(count)]
    daemon = Daemon(run, sections(names, 1)).start()
    daemon.await_ready()
    time.sleep(0.3)
    run.put('change: reloadConfig, 300 programs, none changed',
            median([timed(daemon, [[[], [], []]]) for _ in range(5)]), 'ms')
    third = count // 3
    daemon.write(sections(names[third:2 * third], 2) + sections(names[2 * third:] + ['q%d' % n for n in range(third)], 1))
    run.put('change: reloadConfig, 100 new, 100 changed, 100 gone', median([timed(daemon, None) for _ in range(5)]), 'ms')


def timed(daemon, expected):
    """Milliseconds of a reloadConfig, by a client that costs nothing."""
    took = daemon.calls([('supervisor.reloadConfig', ())])['seconds'] * 1e3
    if expected is not None and daemon.call('supervisor.reloadConfig') != expected:
        raise Failed('reloadConfig sees changes where there are none')
    return took


# ---- size

def interpreter(command):
    """The Python that runs it, if it is a script of Python's."""
    path = shutil.which(shlex.split(command)[0])
    with open(path, 'rb') as file:
        begin = file.readline(200)
    return begin[2:].decode().split()[0] if begin.startswith(b'#!') and b'python' in begin else None


def has_twiddler(command):
    """Ours has; the original needs supervisor_twiddler beside it."""
    python = interpreter(command)
    if python is None:
        return True
    return subprocess.run([python, '-c', 'import supervisor_twiddler'], capture_output=True).returncode == 0


PARTS = """
import json, os, sys, sysconfig, supervisor
print(json.dumps([os.path.dirname(supervisor.__file__), sysconfig.get_path('stdlib'), os.path.realpath(sys.executable)]))
"""


def footprint(run):
    executable = os.path.realpath(shutil.which(shlex.split(run.command)[0]))
    python = interpreter(run.command)
    size = os.path.getsize(executable)
    if python:
        package, library, executable = json.loads(subprocess.check_output([python, '-c', PARTS]))
        # The interpreter, its library without tests and what pip put there, and the package.
        size = tree_bytes(package) + os.path.getsize(executable) + tree_bytes(
            library, {'site-packages', 'dist-packages', 'test', 'tests', 'ensurepip', 'idlelib'})
    libraries = subprocess.run(['ldd', executable], capture_output=True, text=True).stdout
    run.put('size: what is installed', size / 1e6, 'MB')
    run.put('size: shared libraries beside libc', len(re.findall(r'=> /', libraries.replace('libc.so', ''))), '')


def tree_bytes(top, without=()):
    total = 0
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in without and not name.startswith('config-')]
        total += sum(os.lstat(os.path.join(folder, file)).st_size for file in files)
    return total


class Scenario(NamedTuple):
    """A part of the table; `limit` is None where there is none, `bound_s` is for one measurement."""
    name: str
    measure: Callable
    limit: Optional[Callable]
    bound_s: int = 120


def with_limit(name, measure, bound_s=120):
    return Scenario(name, measure, measure, bound_s)


def flooding(how, write, total_mb, rotated):
    return with_limit('logs', flooded_log(how, write, total_mb, rotated))


SCENARIOS = [
    with_limit('idle', idle),
    with_limit('memory', memory),
    with_limit('start', first_answer),
    with_limit('start', start),
    with_limit('restart', restart, 240),
    flooding('40 kB writes, rotated', WRITE, 500, True),
    flooding('40 kB writes, one file', WRITE, 500, False),
    flooding('200 B writes', LINE, 100, False),
    with_limit('loggers', many_loggers),
    with_limit('rpc', rpc(10), 180),
    with_limit('rpc', rpc(200), 180),
    Scenario('rpc', rpc_while_flooded, None),
    Scenario('events', events('comm', 'PROCESS_COMMUNICATION', 'PROCESS_COMMUNICATION', 12,
                              stdout_capture_maxbytes='1MB'), events_limit),
    Scenario('events', events('line', 'PROCESS_LOG', 'PROCESS_LOG', 12 + len(' a line like any other\n'),
                              stdout_events_enabled='true'), None),
    with_limit('changes', changes),
    Scenario('changes', reload, None),
    with_limit('shutdown', shutdown, 240),
    Scenario('size', footprint, None),
]
