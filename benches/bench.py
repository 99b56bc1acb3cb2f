#!/usr/bin/env python3
"""Measures supervisord from outside, ours against an installed Supervisor and against the machine's limit.

    benches/bench.py target/release/supervisord --against run/venv/bin/supervisord --json run/bench.json
    benches/bench.py target/release/supervisord --only restart,rpc --quick

Each figure is the median of --rounds runs, the targets in turn, so that a machine that slows down slows all of them.
Only ratios within one run mean anything; they are never rounded in our favour. The limit is a C program that does as
little as can be done (limit.c). Standard library and a C compiler; writes below a temporary folder and to the files
that are named. Exit status 1 if a measurement failed: lost bytes or events, faults, a bound exceeded.
"""
import argparse
import json
import os
import shlex
import shutil
import sys
import time
from statistics import median

import plot
import report
from daemon import Run
from rows import SCENARIOS
from system import Failed, bounded, machine, say, workplace

OURS, ORIGINAL, LIMIT = 'Stheno', 'Supervisor', 'limit'


def measure(base, scenario, label, command, quick):
    """The figures of one run, and why there are none."""
    run = Run(base, command, quick)
    try:
        with bounded(scenario.bound_s, scenario.name):
            (scenario.limit if label == LIMIT else scenario.measure)(run)
    except (Failed, OSError, ValueError, KeyError) as error:
        return run.figures, '%s, %s: %s' % (scenario.name, label, error)
    finally:
        run.close()
    return run.figures, None


def rows_of(base, scenario, targets, rounds, quick):
    """Rows of one scenario, and its failures. A target that failed is not asked again."""
    samples, shape, failures = {}, {}, []
    for number in range(rounds):
        # The limit last: it answers with as many bytes as the others did.
        for label, command in targets[:-1][::-1 if number % 2 else 1] + targets[-1:]:
            if label == LIMIT and scenario.limit is None or any(label == failed for failed, _ in failures):
                continue
            figures, problem = measure(base, scenario, label, command, quick)
            if problem:
                say('FAILED ' + problem)
                failures.append((label, problem))
            for row, (value, unit, more) in figures.items():
                shape.setdefault(row, (unit, more))
                samples.setdefault(row, {}).setdefault(label, []).append(value)
    rows = [{'row': row, 'unit': unit, 'more': more, 'samples': samples[row],
             'figures': {label: median(values) for label, values in samples[row].items()}}
            for row, (unit, more) in shape.items()]
    return rows, [problem for _, problem in failures]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(scenario.name for scenario in SCENARIOS))
    parser.add_argument('supervisord', nargs='?', help='ours, as a command line')
    parser.add_argument('--against', metavar='COMMAND', help='an installed Supervisor, for the ratios')
    parser.add_argument('--only', metavar='NAME,…', help='of ' + ', '.join(names))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--quick', action='store_true', help='one round, less of everything: to see that it works')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    parser.add_argument('--plot', metavar='FILE', help='draw the ratios there, as SVG')
    parser.add_argument('--markdown', metavar='FILE', help='write the table there, or into its place there')
    parser.add_argument('--readme', metavar='FILE', help='write the main rows into their place there')
    parser.add_argument('--from', dest='given', metavar='FILE', help='measure nothing: use the figures of that JSON')
    options = parser.parse_args()
    wanted = (options.only or ','.join(names)).split(',')
    unknown = [name for name in wanted if name not in names]
    if unknown or not (options.given or options.supervisord):
        parser.error('no such rows: ' + ', '.join(unknown) if unknown else 'which supervisord?')
    if options.given:
        with open(options.given) as file:
            result, failures = json.load(file), []
    else:
        result, failures = run_all(options, wanted)
    print(report.table(result), end='')
    if options.markdown:
        report.put(options.markdown, 'rows', report.markdown(result))
    if options.readme:
        report.put(options.readme, 'main rows', report.markdown(result, report.MAIN_ROWS))
    for path, text in ((options.json, json.dumps(result, indent=1) + '\n'), (options.plot, plot.ratios(result))):
        if path:
            with open(path, 'w') as file:
                file.write(text)
    for problem in failures:
        print('FAILED ' + problem)
    return 1 if failures else 0


def run_all(options, wanted):
    targets = [(label, absolute(command)) for label, command in
               ((OURS, options.supervisord), (ORIGINAL, options.against)) if command] + [(LIMIT, None)]
    rounds = 1 if options.quick else options.rounds
    result = {'date': time.strftime('%Y-%m-%d'), 'machine': machine(), 'rounds': rounds, 'quick': options.quick,
              'rows': []}
    failures = []
    chosen = [scenario for scenario in SCENARIOS if scenario.name in wanted]
    with workplace('bench') as base:
        for number, scenario in enumerate(chosen):
            say('%d of %d: %s' % (number + 1, len(chosen), scenario.name))
            rows, problems = rows_of(base, scenario, targets, 1 if scenario.name == 'size' else rounds, options.quick)
            for row in rows:
                say('  ' + report.line(row))
            result['rows'] += rows
            failures += problems
    return result, failures


def absolute(command):
    """The command with its program's full path, for runs stand in folders of their own."""
    words = shlex.split(command)
    found = shutil.which(words[0])
    if found is None:
        raise SystemExit('not an executable: ' + words[0])
    return shlex.join([os.path.abspath(found)] + words[1:])


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
