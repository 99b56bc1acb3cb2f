#!/usr/bin/env python3
"""Holds the daemon to its budgets: instructions for each unit of work, and the size of the executable.

    benches/budgets.py instructions target/release/supervisord
    benches/budgets.py sizes full=target/release/supervisord …
    benches/budgets.py instructions target/release/supervisord --write

The budgets stand in budgets.json; --write replaces those that were measured by what was measured. Instructions may
exceed a budget by the slack stated there, sizes may not. Exit status 1 if one does, 77 if there is no valgrind.

How instructions are counted: the release executable runs under valgrind's callgrind twice, with N and with 2N units of
work, so that starting and ending cancel out. The kernel is not counted. Work comes one unit at a time, so that counts
do not depend on who is faster: 1 % between runs is much.
"""
import argparse
import json
import math
import os
import re
import shutil
import sys
import time

from daemon import TWIDDLER, Daemon, Run, section
from rows import NO_LOGS
from system import BEGINS, ENDS, Counters, Failed, bounded, build_clone_shim, say, workplace

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'budgets.json')
NO_VALGRIND = 77
# Bytes of a write in the unit of the logs: what a program with a full buffer of the C library writes.
BLOCK = 4096


class Work:
    """A daemon under callgrind, with `count` units of work to do."""

    def __init__(self, run, shim, count):
        self.run, self.shim, self.count = run, shim, count
        self.out = os.path.join(run.folder, 'callgrind')
        self.daemon = None

    def start(self, sections):
        self.daemon = Daemon(self.run, sections)
        self.daemon.start('valgrind', '-q', '--tool=callgrind', '--callgrind-out-file=' + self.out,
                          environment={'LD_PRELOAD': self.shim})
        self.daemon.await_ready()
        return self.daemon

    def instructions(self):
        self.daemon.stop()
        with open(self.out) as file:
            return int(re.search(r'^totals: (\d+)', file.read(), re.MULTILINE).group(1))


def repeated(method, programs=1):
    """A unit is a call that is the same each time, as pollers send it."""
    def work(work):
        daemon = work.start(section('p', work.run.tool('still'), programs, **NO_LOGS))
        daemon.await_running(programs)
        daemon.calls([(method, ())] * work.count)
    return work


def fresh_call(work):
    """A unit is a call that was never sent before."""
    daemon = work.start('')
    daemon.calls([('supervisor.sendRemoteCommEvent', ('news', '%06d' % number)) for number in range(work.count)])


def change(work):
    """A unit is a program added to a group and removed."""
    still = work.run.tool('still')
    daemon = work.start(section('q', still, **NO_LOGS) + '[group:g]\nprograms=q\n' + TWIDDLER)
    added = {'command': still, 'autostart': 'false', **NO_LOGS}
    calls = []
    for number in range(work.count):
        name = 'n%04d' % number
        calls += [('twiddler.addProgramToGroup', ('g', name, added)), ('twiddler.removeProcessFromGroup', ('g', name))]
    daemon.calls(calls)


def restart(work):
    """A unit is a program that was killed and is up again."""
    daemon = work.start(section('p', work.run.tool('mark @'), autorestart='true', stdout_logfile=work.run.folder + '/log',
                                stderr_logfile='NONE'))
    [(_, pid)] = daemon.await_marks(1)
    for _ in range(work.count):
        # Longer than the least time between two starts of a program.
        time.sleep(0.05)
        os.kill(pid, 9)
        [(_, pid)] = daemon.await_marks(1)


def kilobyte(work):
    """A unit is a kilobyte of a program's output, in its log."""
    blocks = work.count * 1024 // BLOCK
    daemon = work.start(section('p', work.run.tool('blocks @ %d %d' % (blocks, BLOCK)), stderr_logfile='NONE',
                                stdout_logfile=work.run.folder + '/log', stdout_logfile_maxbytes='1MB'))
    daemon.release(daemon.await_marks(1))
    daemon.await_marks(1, ENDS)


def event(work):
    """A unit is an event sent to a listener, and its answer."""
    counters = Counters(os.path.join(work.run.folder, 'counters'))
    listener = '[eventlistener:l]\ncommand=%s\nevents=PROCESS_COMMUNICATION\nstartsecs=0\n' % (
        work.run.tool('listen ' + counters.path))
    program = section('p', work.run.tool('tell @ %d step %s' % (work.count, counters.path)), stdout_capture_maxbytes='1MB',
                      **NO_LOGS)
    daemon = work.start(program + listener)
    marks = daemon.await_marks(1)
    while not counters.read()[0]:
        time.sleep(0.01)
    daemon.release(marks)
    daemon.await_marks(1, ENDS)
    while counters.read()[1] < work.count:
        time.sleep(0.01)
    # The answer to the last is on its way.
    time.sleep(0.3)


# Name, what to do, N.
UNITS = [
    ('getState', repeated('supervisor.getState'), 1000),
    ('getAllProcessInfo of 100', repeated('supervisor.getAllProcessInfo', 100), 100),
    ('call not seen before', fresh_call, 200),
    ('program added and removed', change, 100),
    ('restart', restart, 60),
    ('log kilobyte', kilobyte, 4000),
    ('event', event, 300),
]


def count_instructions(command):
    """Instructions for each unit."""
    measured = {}
    with workplace('budgets') as base:
        shim = build_clone_shim(base)
        for name, do, count in UNITS:
            totals = []
            for times in (1, 2):
                run = Run(base, command, quick=False)
                work = Work(run, shim, count * times)
                try:
                    with bounded(240, name):
                        do(work)
                        totals.append(work.instructions())
                except Failed as problem:
                    raise Failed('%s\n%s' % (problem, work.daemon.tail()))
                finally:
                    run.close()
            measured[name] = (totals[1] - totals[0]) / count
            say('%-28s %12.0f' % (name, measured[name]))
    return measured


def judge(kind, measured, budgets, slack_percent):
    """Prints the table; how many exceed their budget."""
    exceeded = 0
    for name, value in measured.items():
        budget = budgets.get(name)
        allowed = None if budget is None else budget * (100 + slack_percent) / 100
        verdict = 'no budget' if budget is None else 'ok' if value <= allowed else 'EXCEEDED'
        exceeded += verdict != 'ok'
        share = '' if budget is None else '%.0f %%' % (value * 100 / budget)
        print('%-28s %12.0f %-12s of %10s %7s  %s' % (name, value, kind, budget or '-', share, verdict))
        if verdict == 'EXCEEDED':
            slack = ' and %d %% more' % slack_percent if slack_percent else ''
            print('    %s: %.0f %s where benches/budgets.json allows %s%s. Make it less again, or raise the budget in a '
                  'commit that says why.' % (name, value, kind, budget, slack))
    return exceeded


def rounded_up(value):
    """To three digits."""
    step = 10 ** max(0, math.floor(math.log10(value)) - 2)
    return math.ceil(value / step) * step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kind', choices=['instructions', 'sizes'])
    parser.add_argument('what', nargs='+', help='the supervisord; for sizes NAME=EXECUTABLE…')
    parser.add_argument('--write', action='store_true', help='what is measured becomes the budget')
    options = parser.parse_args()
    with open(FILE) as file:
        budgets = json.load(file)
    if options.kind == 'instructions':
        if not shutil.which('valgrind'):
            print('no valgrind, so no instructions were counted: make dev installs it')
            return NO_VALGRIND
        unit, slack = 'instructions', budgets['instructions_slack_percent']
        measured = count_instructions(os.path.abspath(options.what[0]))
    else:
        unit, slack = 'bytes', 0
        measured = {name: os.path.getsize(path) for name, path in (what.split('=', 1) for what in options.what)}
    if options.write:
        budgets[unit].update({name: rounded_up(value) for name, value in measured.items()})
        with open(FILE, 'w') as file:
            file.write(json.dumps(budgets, indent=2) + '\n')
    return 1 if judge(unit, measured, budgets[unit], slack) else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Failed as problem:
        sys.exit('not measured: %s' % problem)
    except KeyboardInterrupt:
        sys.exit(130)
