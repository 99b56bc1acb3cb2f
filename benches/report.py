"""Tables of what was measured. Ratios are never rounded in our favour."""
import math
import os

OURS, ORIGINAL, LIMIT = 'Stheno', 'Supervisor', 'limit'

# What the README shows: for each thing that people ask about, whichever way it comes out.
MAIN_ROWS = [
    'idle: wake-ups', 'memory: 10 programs, anonymous', 'memory: 10 programs, RSS after use',
    'memory: 500 programs, anonymous', 'memory: 500 programs, RSS after use', 'start: first answer', 'start: 500 programs up',
    'restart after kill -9: median', 'restart after kill -9: p99 of 50', 'shutdown: SIGTERM to exit, 500 programs',
    'logs, 40 kB writes, rotated: CPU', 'logs, 40 kB writes, rotated: peak RSS', 'logs, 200 B writes: CPU',
    'logs, 200 B writes: rate', 'logs, 100 programs of 100 lines/s: CPU per 100 000 lines',
    'RPC getState, unix, 16 conn.: rate', 'RPC getAllProcessInfo of 10, tcp, 1 conn.: rate',
    'RPC getAllProcessInfo of 200, unix, 1 conn.: rate', 'RPC getState during a log flood: p99',
    'events, PROCESS_COMMUNICATION: rate', 'events, PROCESS_LOG: CPU', 'change: twiddler, add + remove a program',
    'change: reloadConfig, 300 programs, none changed', 'size: what is installed',
]


def figure(value):
    """Three significant digits, thousands set apart."""
    if value is None:
        return ''
    if value == 0:
        return '0'
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return format(round(value, digits), ',.%df' % min(digits, 4)).replace(',', ' ')


def two_digits(value, rounded):
    """Two significant digits, below ten; `rounded` is math.floor or math.ceil, whichever does not flatter."""
    digits = 0 if value >= 10 else 1 if value >= 1 else 2
    # What floating point makes of 1.1 must not become 1.0 or 1.2.
    shown = rounded(round(value * 10 ** digits, 6)) / 10 ** digits
    return format(shown, ',.%df' % digits).replace(',', ' ')


def gain(row):
    """How many times better than Supervisor, whichever way the unit points; None where one is missing or zero."""
    ours, original = row['figures'].get(OURS), row['figures'].get(ORIGINAL)
    if not ours or not original:
        return None
    return ours / original if row['more'] else original / ours


def distance(row):
    """How many times the cost of the limit, or its rate over ours: 1.0 is the limit."""
    ours, limit = row['figures'].get(OURS), row['figures'].get(LIMIT)
    if not ours or not limit:
        return None
    return limit / ours if row['more'] else ours / limit


def cells(row):
    """Ours, the original, how many times better, the limit, how far from it."""
    shown = [figure(row['figures'].get(label)) for label in (OURS, ORIGINAL, LIMIT)]
    better, further = gain(row), distance(row)
    return [shown[0], shown[1], '' if better is None else two_digits(better, math.floor) + 'x',
            shown[2], '' if further is None else two_digits(further, math.ceil) + 'x']


HEADINGS = [OURS, ORIGINAL, 'better', LIMIT, 'of limit']


def line(row):
    return '%-56s %-8s %10s %10s %9s %10s %9s' % (row['row'], row['unit'], *cells(row))


def heading(result):
    return '%s, %s, median of %d%s' % (result['date'], result['machine'], result['rounds'], ', quick' * result['quick'])


def table(result):
    top = '%-56s %-8s %10s %10s %9s %10s %9s' % ('', '', *HEADINGS)
    return '\n'.join([heading(result), top] + [line(row) for row in result['rows']]) + '\n'


def markdown(result, names=None):
    """The table for docs/performance.md, or of the rows with these names."""
    lines = ['| %s | unit | %s |' % (heading(result), ' | '.join(HEADINGS)), '|---|---|' + '---:|' * len(HEADINGS)]
    for row in [row for row in result['rows'] if names is None or row['row'] in names]:
        lines.append('| %s | %s | %s |' % (row['row'], row['unit'], ' | '.join(cells(row))))
    return '\n'.join(lines) + '\n'


def put(path, name, text):
    """Writes a table to a file; into its place there, if the file has one: between two comments with that name."""
    begin, end = '<!-- begin %s -->\n' % name, '<!-- end %s -->\n' % name
    before, after = '', ''
    if os.path.exists(path):
        with open(path) as file:
            whole = file.read()
        if begin in whole and end in whole:
            before, after = whole[:whole.index(begin)] + begin, whole[whole.index(end):]
    with open(path, 'w') as file:
        file.write(before + text + after)
