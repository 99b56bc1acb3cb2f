#!/usr/bin/env python3
"""Everything at once, for minutes or hours: does memory grow, is a line lost, how long does a restart take?

    benches/soak.py target/release/supervisord --seconds 600

Three daemons that know each other, of which the third is killed and started again every minute. The first one is looked at. It has
programs that write numbered lines into logs that rotate, one that is killed five times a second, a chain of programs that depend on
each other, a listener for all changes of states; and all the time it is asked: a call that is repeated as fast as it is answered,
starts and stops, programs added and removed, logs read and emptied, the chain stopped and started, `supervisorctl status`, the page,
its stream and the stream of the fleet, metrics.

After a fifth of the time, in which what is kept for people fills up, memory and descriptors must stay: the median of the last quarter
of what follows is compared with that of the first. Exit status 1 if they grew by more than 1 % (and more than 64 KiB), if a line is
missing, if a call failed, or if that daemon ended. Restarts are told, and not judged: on a machine that does this at the same time they
are the machine's as well.
"""
import argparse
import glob
import http.client
import os
import subprocess
import sys
import threading
import time
from statistics import median

from daemon import Daemon, Run, free_port, request, section
from system import ENDS, Counters, Failed, children, clock_ns, machine, memory_mb, run_tool, say, workplace

LINE, LINES_A_SECOND, LOGGERS = 100, 500, 4
# Fewer looks at memory say nothing: a fifth is left out, and quarters of the rest are compared.
SAMPLES_LEAST = 10
# Growth that is none: a page of a heap here or there.
SLACK_MB = 0.066
KILL_PAUSE_S, FLEET_KILL_PAUSE_S, SAMPLE_PAUSE_S = 0.2, 60, 2
NAMES = 'one', 'two', 'three'


def configuration(run, number, ports, seconds):
    """What daemon `number` has behind its head."""
    hosts = ','.join('<%s>127.0.0.1:%d' % (name, port) for name, port in zip(NAMES, ports))
    text = ('[inet_http_server]\nport=127.0.0.1:%d\n[stheno]\nmutation=true\nmetrics=true\n'
            '[rpcinterface:supvisors]\nsupervisor.rpcinterface_factory = supvisors.plugin:make_supvisors_rpcinterface\n'
            'supvisors_list=%s\nsynchro_options=STRICT\nstats_enabled=false\n' % (ports[number], hosts))
    text += section('idle', run.tool('still'), 5)
    if number:
        return text
    quiet = {'autostart': 'false', 'stdout_logfile': 'NONE', 'stderr_logfile': 'NONE'}
    log = os.path.join(run.folder, '%(process_num)d.out')
    text += section('logger', run.tool('drip @ %d %d %d' % (LINE, seconds * LINES_A_SECOND, 1_000_000 // LINES_A_SECOND)), LOGGERS,
                    stdout_logfile=log, stdout_logfile_maxbytes='1MB', stdout_logfile_backups=1000)
    text += section('victim', run.tool('mark @'), autorestart='true', startretries=1000)
    text += section('job', run.tool('still'), 20, **quiet)
    text += section('talker', "/bin/sh -c 'while :; do echo a line to be read; sleep 0.05; done'", stopasgroup='true')
    for link in range(5):
        text += section('link%d' % link, run.tool('still'), **quiet, **({'depends_on': 'link%d' % (link - 1)} if link else {}))
    return text + ('[eventlistener:listener]\ncommand=%s\nevents=PROCESS_STATE,TICK_5\nbuffer_size=1000\n'
                   % run.tool('listen %s' % os.path.join(run.folder, 'counters')))


def calls():
    """One round of what changes something, none of which fails."""
    yield 'supervisor.getAllProcessInfo', ()
    for number in range(0, 20, 2):
        yield 'supervisor.startProcess', ('job:job_%05d' % number,)
        yield 'supervisor.stopProcess', ('job:job_%05d' % number,)
    yield 'stheno.addProgram', ('job', 'extra', {'command': 'sleep 1000', 'autostart': 'false', 'depends_on': 'link0'})
    yield 'stheno.removeProgram', ('job', 'extra')
    for link in range(5):
        yield 'supervisor.startProcess', ('link%d' % link,)
    for link in range(4, -1, -1):
        yield 'supervisor.stopProcess', ('link%d' % link,)
    yield 'supervisor.tailProcessStdoutLog', ('talker', 0, 4000)
    yield 'supervisor.clearProcessLogs', ('talker',)
    yield 'supervisor.readLog', (-2000, 0)
    yield 'supervisor.reloadConfig', ()
    yield 'supvisors.get_all_process_info', ()
    yield 'system.multicall', ([{'methodName': 'supervisor.getState', 'params': []}] * 20,)


class Soak:
    """The daemons, and the threads that give the first of them something to do."""

    def __init__(self, base, command, seconds):
        ports = [free_port() for _ in NAMES]
        self.end = time.monotonic() + seconds
        self.seconds, self.answered, self.restarts_ms, self.problems, self.samples = seconds, 0, [], [], []
        self.daemons = []
        for number, name in enumerate(NAMES):
            run = Run(base, command, False, name)
            if number == 0:
                self.counters = Counters(os.path.join(run.folder, 'counters'))
            daemon = Daemon(run, configuration(run, number, ports, seconds))
            daemon.port = ports[number]
            self.daemons.append(daemon)
        self.one = self.daemons[0]

    def is_over(self):
        return time.monotonic() >= self.end or bool(self.problems)

    def run(self):
        for daemon in self.daemons:
            daemon.start()
        self.one.await_ready()
        marks = self.one.await_marks(LOGGERS + 1)
        self.victim = self.one.call('supervisor.getProcessInfo', 'victim')['pid']
        self.one.release([mark for mark in marks if mark[1] != self.victim])
        threads = [threading.Thread(target=self.guarded, args=(work,)) for work in
                   (self.kill_victim, self.ask, self.change, self.control, self.look_at_pages, self.kill_host, self.sample,
                    lambda: self.stream('/stheno/events'), lambda: self.stream('/fleet/live'))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.problems:
            raise Failed('; '.join(self.problems))
        self.one.look()
        self.one.await_marks(LOGGERS, ENDS)

    def guarded(self, work):
        try:
            while not self.is_over():
                work()
        except (Failed, OSError, subprocess.SubprocessError, http.client.HTTPException) as error:
            if not self.is_over():
                self.problems.append('%s: %s' % (getattr(work, '__name__', 'stream'), error))

    def kill_victim(self):
        begun = clock_ns()
        os.kill(self.victim, 9)
        at, self.victim = self.one.await_marks(1)[0]
        self.restarts_ms.append((at - begun) / 1e6)
        time.sleep(KILL_PAUSE_S)

    def ask(self):
        path = self.one._file('state', request('supervisor.getState'))
        rates = run_tool(self.one.run.tools, 'load', self.one.address(), 2, 5, path)
        self.one._checked('getState', rates, 0)
        self.answered += rates['answered']

    def change(self):
        self.answered += self.one.calls(list(calls()))['answered']

    def control(self):
        ctl = os.path.join(os.path.dirname(self.one.run.command), 'supervisorctl')
        done = subprocess.run([ctl, '-s', 'unix://' + self.one.socket, 'status'], capture_output=True, text=True, timeout=60)
        if 'victim' not in done.stdout:
            raise Failed('supervisorctl: ' + done.stdout + done.stderr)
        time.sleep(1)

    def look_at_pages(self):
        for path in '/', '/metrics', '/fleet.html', '/index.html':
            connection = http.client.HTTPConnection('127.0.0.1', self.one.port, timeout=60)
            connection.request('GET', path)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise Failed('%s: %d' % (path, answer.status))
            connection.close()
        time.sleep(0.5)

    def stream(self, path):
        """Reads it for some seconds, as a page that is open."""
        connection = http.client.HTTPConnection('127.0.0.1', self.one.port, timeout=30)
        connection.request('GET', path)
        answer, until = connection.getresponse(), min(self.end, time.monotonic() + 20)
        while time.monotonic() < until and answer.read1(65536):
            pass
        connection.close()

    def kill_host(self):
        until = time.monotonic() + FLEET_KILL_PAUSE_S
        while time.monotonic() < until and not self.is_over():
            time.sleep(0.2)
        if not self.is_over():
            three = self.daemons[2]
            three.process.kill()
            three.process.wait()
            time.sleep(2)
            three.start()

    def sample(self):
        self.one.look()
        files = len(os.listdir('/proc/%d/fd' % self.one.pid))
        self.samples.append((memory_mb(self.one.pid)[0], files - len(children(self.one.pid)) * 3))
        time.sleep(SAMPLE_PAUSE_S)

    def judge(self):
        """Says what came of it; the problems."""
        if len(self.samples) < SAMPLES_LEAST:
            raise Failed('%d looks at memory are too few: take more seconds' % len(self.samples))
        problems = []
        settled = self.samples[len(self.samples) // 5:]
        quarter = len(settled) // 4
        for at, (what, unit, slack) in enumerate((('private memory', 'MB', SLACK_MB), ('descriptors', '', 8))):
            first, last = (median(sample[at] for sample in part) for part in (settled[:quarter], settled[-quarter:]))
            print('%-18s %8.2f -> %8.2f %s' % (what, first, last, unit))
            if last > first * 1.01 and last - first > slack:
                problems.append('%s grew from %.2f to %.2f' % (what, first, last))
        lines = 0
        for number in range(LOGGERS):
            path = self.one.log(number)
            files = sorted(glob.glob(path + '.*'), key=lambda name: -int(name.rpartition('.')[2])) + [path]
            found = run_tool(self.one.run.tools, 'check', LINE, *files)
            lines += found['lines']
            if found['wrong'] or found['lines'] != self.seconds * LINES_A_SECOND:
                problems.append('log %d: %s' % (number, found))
        _, events, _, disordered, _ = self.counters.read()
        times = sorted(self.restarts_ms)
        print('%-18s %8d of %d' % ('lines', lines, LOGGERS * self.seconds * LINES_A_SECOND))
        print('%-18s %8d, %.0f a second' % ('calls answered', self.answered, self.answered / self.seconds))
        print('%-18s %8d, out of order %d' % ('events', events, disordered))
        if times:
            print('%-18s %8d, median %.1f ms, 99 of 100 %.1f ms, worst %.1f ms, %d over 20 ms' % (
                'restarts', len(times), median(times), times[len(times) * 99 // 100], times[-1], sum(ms > 20 for ms in times)))
        return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('supervisord', help='what is looked at; supervisorctl stands beside it')
    parser.add_argument('--seconds', type=int, default=600)
    options = parser.parse_args()
    print('%s, %s, %d s' % (time.strftime('%Y-%m-%d'), machine(), options.seconds), flush=True)
    with workplace('soak') as base:
        soak = Soak(base, os.path.abspath(options.supervisord), options.seconds)
        try:
            soak.run()
            problems = soak.judge()
        except Failed as error:
            problems = [str(error)]
    for problem in problems:
        print('FAILED ' + problem)
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
