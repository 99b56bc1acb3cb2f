#!/usr/bin/env python3
"""Measures supervisord from outside, ours against an installed Supervisor, and prints the ratios.

    benches/compare.py target/release/supervisord [--against VENV/bin/supervisord] [--programs 200] [--json FILE]

Each row is the median of --rounds runs, the two programs in turn, so that a machine that slows down slows both.
Only ratios within one run mean anything. Standard library only; writes below a temporary directory.
"""
import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import xmlrpc.client

PATIENCE = 120
BASE = """[supervisord]
logfile={dir}/log
pidfile={dir}/pid
childlogdir={dir}
nodaemon=true
silent=true
minfds={minfds}
[unix_http_server]
file={dir}/sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:p]
command=/bin/cat
numprocs={programs}
process_name=%(program_name)s_%(process_num)05d
startsecs=0
autorestart=true
stdout_logfile={dir}/out_%%(process_num)05d
stderr_logfile=NONE
"""


class UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        if self._connection and self._connection[0] == host:
            return self._connection[1]
        connection = http.client.HTTPConnection('localhost')
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(self.path)
        self._connection = host, connection
        return connection


def await_it(look, what):
    """Polls without sleeping much: what is measured is milliseconds."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        found = look()
        if found:
            return found
        time.sleep(0.0002)
    raise SystemExit('waited in vain for ' + what)


def children_of(pid):
    try:
        with open('/proc/%d/task/%d/children' % (pid, pid)) as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def cpu_ms(pid):
    with open('/proc/%d/stat' % pid) as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf('SC_CLK_TCK')


def memory_kib(pid, field):
    with open('/proc/%d/smaps_rollup' % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field + ':'))


def switches(pid):
    with open('/proc/%d/status' % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith('voluntary_ctxt_switches'))


def one_run(supervisord, programs):
    """One life of a daemon; shape: row name to figure."""
    row = {}
    with tempfile.TemporaryDirectory(prefix='stheno-bench') as folder:
        config = folder + '/conf'
        with open(config, 'w') as file:
            file.write(BASE.format(dir=folder, programs=programs, minfds=max(1024, 5 * programs + 200)))
        begin = time.perf_counter()
        daemon = subprocess.Popen([supervisord, '-n', '-c', config], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = xmlrpc.client.ServerProxy('http://localhost', UnixTransport(folder + '/sock')).supervisor

        def answers():
            try:
                return server.getState()
            except OSError:
                return None
        try:
            await_it(answers, 'an answer')
            row['exec to the first answer, ms'] = (time.perf_counter() - begin) * 1000
            await_it(lambda: len(children_of(daemon.pid)) == programs, 'all programs')
            row['%d programs up, ms' % programs] = (time.perf_counter() - begin) * 1000
            row['CPU until then, ms'] = cpu_ms(daemon.pid)
            await_it(lambda: all(p['statename'] == 'RUNNING' for p in server.getAllProcessInfo()), 'RUNNING')
            time.sleep(2)   # What was needed to start may be given back.
            row['PSS, KiB'] = memory_kib(daemon.pid, 'Pss')
            row['RSS, KiB'] = memory_kib(daemon.pid, 'Rss')
            before, used = switches(daemon.pid), cpu_ms(daemon.pid)
            time.sleep(3)
            row['wake-ups in 3 s of idling'] = switches(daemon.pid) - before
            row['CPU in 3 s of idling, ms'] = cpu_ms(daemon.pid) - used
            restarts = []
            for _ in range(5):
                old = set(children_of(daemon.pid))
                at = time.perf_counter()
                os.kill(int(next(iter(old))), signal.SIGKILL)
                await_it(lambda: set(children_of(daemon.pid)) - old, 'a restart')
                restarts.append((time.perf_counter() - at) * 1000)
                await_it(lambda: len(children_of(daemon.pid)) == programs, 'all programs')
            row['kill -9 to restarted, ms'] = statistics.median(restarts)
            for name, call, count in (('getState', server.getState, 300),
                                      ('getAllProcessInfo', server.getAllProcessInfo, 20)):
                at = time.perf_counter()
                for _ in range(count):
                    call()
                row[name + ', us a call (Python client)'] = (time.perf_counter() - at) * 1e6 / count
            at = time.perf_counter()
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(PATIENCE)
            row['SIGTERM to exit, ms'] = (time.perf_counter() - at) * 1000
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('supervisord')
    parser.add_argument('--against', help='an installed Supervisor, for the ratios')
    parser.add_argument('--programs', type=int, default=200)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', help='write the figures there')
    options = parser.parse_args()
    targets = [os.path.abspath(options.supervisord)]
    if options.against:
        targets.append(os.path.abspath(options.against))
    runs = {target: [] for target in targets}
    for number in range(options.rounds):
        for target in targets:
            print('round %d of %d: %s' % (number + 1, options.rounds, target), file=sys.stderr)
            runs[target].append(one_run(target, options.programs))
    rows = []
    for name in runs[targets[0]][0]:
        figures = [statistics.median(run[name] for run in runs[target]) for target in targets]
        ratio = figures[1] / figures[0] if len(figures) == 2 and figures[0] else None
        rows.append({'row': name, 'figures': figures, 'ratio': ratio})
    print('%-40s %12s %12s %9s' % ('', 'ours', 'Supervisor' if len(targets) == 2 else '', 'ratio'))
    for row in rows:
        shown = ['%.2f' % figure for figure in row['figures']] + ['']
        ratio = '' if row['ratio'] is None else '%.1fx' % row['ratio']
        print('%-40s %12s %12s %9s' % (row['row'], shown[0], shown[1], ratio))
    if options.json:
        with open(options.json, 'w') as file:
            json.dump({'targets': targets, 'programs': options.programs, 'rows': rows}, file, indent=1)


if __name__ == '__main__':
    main()
