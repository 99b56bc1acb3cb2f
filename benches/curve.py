#!/usr/bin/env python3
"""What ten thousand programs cost: the same measurements with 10, 100, 1000, 5000 and 10 000 of them, as one curve.

    benches/curve.py target/release/supervisord --json docs/scale.json --plot docs/scale.svg
    benches/curve.py target/release/supervisord --against run/venv/bin/supervisord --counts 10,100,1000
    benches/curve.py --from docs/scale.json --plot docs/scale.svg --markdown run/scale.md

Each figure is the median of --rounds runs. The plot and the table come from the measured data alone. An installed
Supervisor is measured up to --against-max programs: beyond that it takes minutes to start and to end.
"""
import argparse
import json
import os
import random
import sys
import time
from statistics import median

import plot
import report
from bench import ORIGINAL, OURS, absolute
from daemon import FILES, OWN_FILES, Daemon, Run, section
from rows import NO_LOGS
from system import Failed, bounded, clock_ns, machine, memory_mb, say, wakeups, workplace

COUNTS = [10, 100, 1000, 5000, 10_000]
# For one count, seconds; of Supervisor's 1000 programs a minute is spent in starting and ending.
BOUND_S = 300
IDLE_S = 5
RESTARTS = 15
CHANGES = 30
INFO_CALLS = 30

# What is measured, its unit, and the title of its panel.
PANELS = [
    ('start_ms', 'ms', 'exec to all up'),
    ('start_cpu_ms', 'ms', 'CPU until then'),
    ('idle_wakeups', '/s', 'idle: wake-ups'),
    ('idle_cpu_ms', 'ms/s', 'idle: CPU'),
    ('anonymous_mb', 'MB', 'memory (anonymous)'),
    ('info_ms', 'ms', 'getAllProcessInfo'),
    ('change_ms', 'ms', 'a program removed and added'),
    ('restart_ms', 'ms', 'kill -9 to restarted'),
    ('shutdown_ms', 'ms', 'SIGTERM to exit'),
]


def measure(run, count):
    """One life of a daemon with that many programs. Its figures: shape as in PANELS."""
    still = section('extra', run.tool('still'), autostart='false', **NO_LOGS)
    # One pipe less each than usual, and no logs, for descriptors are short: two a program. Where even that is more than
    # may be open (ulimit -Hn), as few as possible close their output once they run, which leaves one.
    muted = max(0, 2 * count + OWN_FILES - FILES)
    options = dict(autorestart='true', redirect_stderr='true', **NO_LOGS)
    programs = section('p', run.tool('mark @'), count - muted, **options)
    if muted:
        programs = section('mute', run.tool('mute @'), muted, priority=1, **options) + programs
    daemon = Daemon(run, programs + still, count, files_each=2).start()
    marks = daemon.await_marks(count, seconds=BOUND_S)
    figures = {'start_ms': (max(ns for ns, _ in marks) - daemon.launched_ns) / 1e6, 'start_cpu_ms': daemon.cpu() * 1e3}
    daemon.await_ready(BOUND_S)
    daemon.await_running(count)
    time.sleep(2)
    figures['anonymous_mb'] = memory_mb(daemon.pid)[0]
    cpu, woken = daemon.cpu(), wakeups(daemon.pid)
    time.sleep(IDLE_S)
    figures['idle_wakeups'] = (wakeups(daemon.pid) - woken) / IDLE_S
    figures['idle_cpu_ms'] = (daemon.cpu() - cpu) / IDLE_S * 1e3
    figures['info_ms'] = daemon.calls([('supervisor.getAllProcessInfo', ())] * INFO_CALLS)['p50_ns'] / 1e6
    pairs = [('supervisor.removeProcessGroup', ('extra',)), ('supervisor.addProcessGroup', ('extra',))]
    figures['change_ms'] = daemon.calls(pairs * CHANGES)['seconds'] / CHANGES * 1e3
    took = []
    for _, pid in random.sample(marks, min(RESTARTS, count)):
        killed = clock_ns()
        os.kill(pid, 9)
        [(ns, _)] = daemon.await_marks(1, seconds=30)
        took.append((ns - killed) / 1e6)
        time.sleep(0.02)
    figures['restart_ms'] = median(took)
    figures['shutdown_ms'] = daemon.stop(BOUND_S)
    return figures


def measure_all(options):
    given = (OURS, options.supervisord, max(options.counts)), (ORIGINAL, options.against, options.against_max)
    targets = [(label, absolute(command), most) for label, command, most in given if command]
    result = {'date': time.strftime('%Y-%m-%d'), 'machine': machine(), 'rounds': options.rounds, 'targets': {}}
    with workplace('curve') as base:
        for count in options.counts:
            samples = {label: [] for label, _, most in targets if count <= most}
            for _ in range(options.rounds):
                for label, command, most in targets:
                    if count > most:
                        continue
                    run = Run(base, command, quick=False)
                    try:
                        with bounded(BOUND_S, '%s, %d programs' % (label, count)):
                            samples[label].append(measure(run, count))
                    finally:
                        run.close()
                    say('%s, %d programs: %s' % (label, count, ', '.join(
                        '%s %s' % (name, report.figure(samples[label][-1][name])) for name, _, _ in PANELS)))
            for label, runs in samples.items():
                figures = {name: median(one[name] for one in runs) for name, _, _ in PANELS}
                result['targets'].setdefault(label, {})[str(count)] = figures
    return result


def points(result, label, name):
    return [(int(count), figures[name]) for count, figures in result['targets'][label].items()]


def draw(result):
    title = 'What the number of programs costs: %s, %s' % (result['date'], result['machine'])
    return plot.curve(title, [(shown, unit, [(label, points(result, label, name)) for label in result['targets']])
                              for name, unit, shown in PANELS])


def markdown(result):
    """One table a target: a row for each measurement, and how it grows from its second last count to its last."""
    lines = ['%s, %s, median of %d.' % (result['date'], result['machine'], result['rounds']), '']
    for label, by_count in result['targets'].items():
        counts = list(by_count)
        headings = ' | '.join(format(int(count), ',').replace(',', ' ') for count in counts)
        lines += ['| %s | unit | %s | growth |' % (label, headings),
                  '|---|---|' + '---:|' * (len(counts) + 1)]
        for name, unit, shown in PANELS:
            values = [by_count[count][name] for count in counts]
            cells = ' | '.join(report.figure(value) for value in values)
            lines.append('| %s | %s | %s | %s |' % (shown, unit, cells, growth(counts, values)))
        lines.append('')
    return '\n'.join(lines[:-1]) + '\n'


def growth(counts, values):
    """`5.1x for 5x`: of the figure and of the number of programs, from 1000 on where there are as many."""
    begin = counts.index('1000') if '1000' in counts[:-1] else 0
    if not values[begin]:
        return ''
    return '%sx for %dx' % (report.figure(values[-1] / values[begin]), int(counts[-1]) / int(counts[begin]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('supervisord', nargs='?', help='ours, as a command line')
    parser.add_argument('--against', metavar='COMMAND', help='an installed Supervisor')
    parser.add_argument('--against-max', type=int, default=1000, metavar='N')
    parser.add_argument('--counts', type=lambda text: [int(count) for count in text.split(',')], default=COUNTS,
                        metavar='N,…')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    parser.add_argument('--plot', metavar='FILE', help='draw them there, as SVG')
    parser.add_argument('--markdown', metavar='FILE', help='write the table there, or into its place there')
    parser.add_argument('--from', dest='given', metavar='FILE', help='measure nothing: use the figures of that JSON')
    options = parser.parse_args()
    if options.given:
        with open(options.given) as file:
            result = json.load(file)
    elif options.supervisord:
        result = measure_all(options)
    else:
        parser.error('which supervisord?')
    print(markdown(result))
    if options.markdown:
        report.put(options.markdown, 'scale', markdown(result))
    for path, text in ((options.json, json.dumps(result, indent=1) + '\n'), (options.plot, draw(result))):
        if path:
            with open(path, 'w') as file:
                file.write(text)


if __name__ == '__main__':
    try:
        main()
    except Failed as problem:
        sys.exit('not measured: %s' % problem)
    except KeyboardInterrupt:
        sys.exit(130)
