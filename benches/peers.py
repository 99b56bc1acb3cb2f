#!/usr/bin/env python3
"""The same battery for this supervisor and for others that are used as the first process of a container.

    benches/peers.py target/release/supervisord [--against run/venv/bin/supervisord] [--markdown docs/performance.md]

Peers are taken where they are installed (Debian: tini dumb-init dinit s6 runit). Each runs as process 1 of a PID name space
of its own, which needs root. A dash means that the peer has no such thing: tini and dumb-init run one program, once.
"""
import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from statistics import median

import report
from daemon import Run, Subject
from system import RUNS, Failed, bounded, clock_ns, descendants, say, workplace

COUNT = 10
ORPHANS = 1000
# Whoever has not ended by then is said to need at least so long.
PATIENCE = 60
# A row, and its unit.
ROWS = [('executables', 'MB'), ('memory with 10 programs (PSS)', 'MB'), ('10 programs up', 'ms'),
        ('restart after kill -9', 'ms'), ('1 000 orphans reaped', 'ms'), ('10 programs down', 'ms'),
        ('3 deaf programs down', 's'), ('exit status when the program exits with 3', '')]

# As a program: orphans a thousand processes that end at once, then waits until none is left over.
ORPHANER = r'''
import os, sys, time
def left():
    count = 0
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name) as file:
                count += file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            pass
    return count
begun = time.monotonic()
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
while left() and time.monotonic() < begun + 30:
    time.sleep(0.002)
with open(sys.argv[2] + ".new", "w") as file:
    file.write("%f %d" % ((time.monotonic() - begun) * 1e3, left()))
os.rename(sys.argv[2] + ".new", sys.argv[2])
time.sleep(600)
'''


class Peer:
    """Somebody who runs programs. `files` are its executables, `own` the names of its own processes."""
    name, programs_max = '', 10_000
    restarts = True

    def files(self):
        """Paths of what has to be in an image; empty if it is not installed."""
        return [path for path in map(shutil.which, self.executables) if path]

    def is_here(self):
        return len(self.files()) == len(self.executables)

    def command(self, folder, programs, essential=False):
        """Writes what it needs into a folder; gives its command line. `essential`: the first one's end is its own."""
        raise NotImplementedError


class Supervisor(Peer):
    """Ours, or the original."""

    def __init__(self, name, command):
        self.name, self.words = name, shlex.split(command)

    def files(self):
        if self.name == report.OURS:
            return [self.words[0]]
        # Python itself and its library are needed, too, and not counted.
        site = os.path.join(os.path.dirname(self.words[0]), '..', 'lib')
        return [os.path.join(where, name) for where, _, names in os.walk(site) if '/supervisor' in where
                for name in names if name.endswith('.py')]

    def is_here(self):
        return True

    def command(self, folder, programs, essential=False):
        options = 'essential=true\n' if essential and self.name == report.OURS else ''
        with open(os.path.join(folder, 'conf'), 'w') as file:
            file.write('[supervisord]\nnodaemon=true\nlogfile=%s/log\npidfile=%s/pid\n' % (folder, folder))
            for number, words in enumerate(programs):
                file.write('[program:p%d]\ncommand=%s\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\nautorestart=%s\n%s'
                           % (number, words.replace('%', '%%'), 'false' if essential else 'true', options))
        return self.words + ['-c', os.path.join(folder, 'conf')]


class One(Peer):
    """What runs one program: tini, dumb-init."""
    programs_max, restarts = 1, False

    def __init__(self, name):
        self.name, self.executables = name, [name]

    def command(self, folder, programs, essential=False):
        return [self.files()[0], '--', *shlex.split(programs[0])]


class S6(Peer):
    """s6-svscan with a folder a program."""
    name = 's6'
    executables = ['s6-svscan', 's6-supervise', 's6-svscanctl']

    def command(self, folder, programs, essential=False):
        for number, words in enumerate(programs):
            where = os.path.join(folder, 'scan', 'p%d' % number)
            os.makedirs(where)
            script(os.path.join(where, 'run'), 'exec ' + words)
        where = os.path.join(folder, 'scan', '.s6-svscan')
        os.makedirs(where)
        script(os.path.join(where, 'SIGTERM'), 's6-svscanctl -t ' + os.path.join(folder, 'scan'))
        script(os.path.join(where, 'finish'), 'exit 0')
        return [self.files()[0], os.path.join(folder, 'scan')]


class Runit(Peer):
    """runsvdir with a folder a program; HUP is what ends it together with its programs."""
    name, ends_by = 'runit', signal.SIGHUP
    executables = ['runsvdir', 'runsv']

    def command(self, folder, programs, essential=False):
        for number, words in enumerate(programs):
            where = os.path.join(folder, 'service', 'p%d' % number)
            os.makedirs(where)
            script(os.path.join(where, 'run'), 'exec ' + words)
        return [self.files()[0], os.path.join(folder, 'service')]


class Dinit(Peer):
    """dinit with a file a program; `boot` waits for all of them."""
    name = 'dinit'
    executables = ['dinit']

    def command(self, folder, programs, essential=False):
        where = os.path.join(folder, 'dinit.d')
        os.makedirs(where)
        for number, words in enumerate(programs):
            with open(os.path.join(where, 'p%d' % number), 'w') as file:
                file.write('type = process\ncommand = %s\nrestart = %s\nsmooth-recovery = true\nrestart-delay = 0\n'
                           'restart-limit-count = 0\n' % (words, 'false' if essential else 'true'))
        with open(os.path.join(where, 'boot'), 'w') as file:
            file.write('type = internal\n' + ''.join('depends-on = p%d\n' % n for n in range(len(programs))))
        return [self.files()[0], '--container', '--services-dir', where]


def script(path, body):
    with open(path, 'w') as file:
        file.write('#!/bin/sh\n%s\n' % body)
    os.chmod(path, 0o755)


class Trial(Subject):
    """A peer as process 1 of a name space, with programs of tools.c."""

    def __init__(self, run, peer, programs, essential=False):
        super().__init__(run)
        self.peer = peer
        where = os.path.join(run.folder, 'peer')
        shutil.rmtree(where, ignore_errors=True)
        os.makedirs(where)
        words = peer.command(where, programs, essential)
        self.launch('/usr/bin/unshare', '--pid', '--fork', '--mount-proc', '--kill-child', *words)

    def first(self):
        """The pid, as seen from here, of process 1 there."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            below = descendants(self.pid)
            if below:
                return below[0]
            time.sleep(0.001)
        raise Failed('nothing was started')

    def own(self):
        """Its own processes: all that are not programs of tools.c, sleep or Python."""
        return [pid for pid in descendants(self.pid) if executable(pid) != self.run.tools]

    def end(self, how=None):
        """Sends the signal that ends it; gives the seconds until it has ended."""
        begun = time.monotonic()
        os.kill(self.first(), how or getattr(self.peer, 'ends_by', signal.SIGTERM))
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        return time.monotonic() - begun

    def close(self):
        """Ends all of it, however far it is; --kill-child takes the name space along."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def executable(pid):
    try:
        return os.readlink('/proc/%d/exe' % pid)
    except OSError:
        return ''


def pss_mb(pid):
    try:
        with open('/proc/%d/smaps_rollup' % pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith('Pss:')) * 1024 / 1e6
    except (OSError, StopIteration):
        return 0.0


def measure(run, peer, rounds):
    """A value for each of ROWS; None where there is none."""
    count = min(COUNT, peer.programs_max)
    mark = run.tool('mark @')
    found = {}

    def put(row, value):
        found.setdefault(row, []).append(value)

    put('executables', sum(os.path.getsize(path) for path in peer.files()) / 1e6)
    for _ in range(rounds):
        if count == COUNT:
            trial = Trial(run, peer, [mark] * count)
            last = max(ns for ns, _ in trial.await_marks(count, seconds=PATIENCE))
            put('10 programs up', (last - trial.launched_ns) / 1e6)
            time.sleep(1)
            put('memory with 10 programs (PSS)', sum(pss_mb(pid) for pid in trial.own()))
            put('10 programs down', trial.end() * 1e3)
            trial.close()
        else:
            trial = Trial(run, peer, [mark])
            trial.await_marks(1, seconds=PATIENCE)
            put('memory with 10 programs (PSS)', sum(pss_mb(pid) for pid in trial.own()))
            trial.close()

        if peer.restarts:
            trial = Trial(run, peer, [mark])
            trial.await_marks(1, RUNS, PATIENCE)
            for _ in range(5):
                # Whoever counts a short run as a failed start has none here.
                time.sleep(1.2)
                [program] = [pid for pid in descendants(trial.pid) if executable(pid) == run.tools]
                killed = clock_ns()
                os.kill(program, 9)
                [(ns, _)] = trial.await_marks(1, seconds=20)
                put('restart after kill -9', (ns - killed) / 1e6)
            trial.close()

        result = os.path.join(run.folder, 'orphans')
        orphaner = os.path.join(run.folder, 'orphaner.py')
        with open(orphaner, 'w') as file:
            file.write(ORPHANER)
        trial = Trial(run, peer, ['%s -S %s %d %s' % (sys.executable, orphaner, ORPHANS, result)])
        end = time.monotonic() + PATIENCE
        while not os.path.exists(result) and time.monotonic() < end:
            time.sleep(0.01)
        with open(result) as file:
            took, left = file.read().split()
        put('1 000 orphans reaped', float(took) if left == '0' else float('inf'))
        os.unlink(result)
        trial.close()

    if count > 1:
        deaf = os.path.join(run.folder, 'deaf')
        script(deaf, 'trap "" TERM HUP INT\n%s &\nwhile :; do wait; sleep 1; done' % mark)
        trial = Trial(run, peer, [deaf] * 3)
        trial.await_marks(3, seconds=PATIENCE)
        put('3 deaf programs down', trial.end())
        trial.close()

    exits = os.path.join(run.folder, 'exits')
    script(exits, '%s &\nsleep 1.5\nexit 3' % mark)
    trial = Trial(run, peer, [exits], essential=True)
    trial.await_marks(1, seconds=PATIENCE)
    try:
        put('exit status when the program exits with 3', float(trial.process.wait(6)))
    except subprocess.TimeoutExpired:
        # It goes on without the program: there is no status.
        pass
    trial.close()
    return {row: median(values) for row, values in found.items()}


def cell(value):
    if value is None:
        return '-'
    return 'never' if value == float('inf') else report.figure(value)


def markdown(result):
    names = list(result['peers'])
    lines = ['| %s, %s | unit | %s |' % (result['date'], result['machine'], ' | '.join(names)),
             '|---|---|' + '---:|' * len(names)]
    for row, unit in ROWS:
        lines.append('| %s | %s | %s |' % (row, unit, ' | '.join(cell(result['peers'][name].get(row)) for name in names)))
    return '\n'.join(lines) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('supervisord', help='ours, as a command line')
    parser.add_argument('--against', metavar='COMMAND', help='an installed Supervisor')
    parser.add_argument('--only', metavar='NAME,…', help='these peers alone')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    parser.add_argument('--markdown', metavar='FILE', help='write the table there, or into its place there')
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit('peers.py needs root, for PID name spaces')
    from bench import absolute
    from system import machine
    peers = [Supervisor(report.OURS, absolute(options.supervisord))]
    if options.against:
        peers.append(Supervisor(report.ORIGINAL, absolute(options.against)))
    peers += [One('tini'), One('dumb-init'), Dinit(), S6(), Runit()]
    wanted = options.only.split(',') if options.only else [peer.name for peer in peers]
    result = {'date': time.strftime('%Y-%m-%d'), 'machine': machine(), 'peers': {}}
    status = 0
    for peer in peers:
        if peer.name not in wanted:
            continue
        if not peer.is_here():
            say('%s: not installed' % peer.name)
            continue
        with workplace('peers') as base:
            run = Run(base, '', False)
            try:
                with bounded(600, peer.name):
                    result['peers'][peer.name] = measure(run, peer, options.rounds)
            except Failed as failed:
                print('FAILED %s: %s' % (peer.name, failed))
                status = 1
            finally:
                run.close()
        say(peer.name + ': ' + json.dumps(result['peers'].get(peer.name)))
    print(markdown(result), end='')
    if options.markdown:
        report.put(options.markdown, 'peers', markdown(result))
    if options.json:
        with open(options.json, 'w') as file:
            file.write(json.dumps(result, indent=1) + '\n')
    return status


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
