"""Plots as SVG, from measured data alone. Readable on a light and on a dark page: the colours follow the reader's."""
import math
from html import escape

from report import gain

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .small { font-size: 11px }
.grid { stroke: #d0d7de; stroke-width: 1 } .axis { stroke: #57606a; stroke-width: 1 }
.line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 2 4 }
.s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #bc4c00; fill: #bc4c00 } .guide { stroke: #8c959f; fill: none }
.line.s0, .line.s1 { fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .grid { stroke: #30363d } .axis { stroke: #8b949e }
.s0 { stroke: #58a6ff; fill: #58a6ff } .s1 { stroke: #f0883e; fill: #f0883e }
.line.s0, .line.s1 { fill: none }
}
</style>"""


def document(width, height, parts):
    return '\n'.join(['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">'
                      % (width, height, width, height), STYLE, *parts, '</svg>']) + '\n'


def text(x, y, words, anchor='start', kind=''):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>' % (x, y, anchor, kind, escape(words))


def rule(x1, y1, x2, y2, kind):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, kind)


def short(value):
    """A power of ten, as people write it."""
    if value >= 1:
        return format(int(value), ',').replace(',', ' ')
    return '%.*f' % (-math.floor(math.log10(value)), value)


def decades(values):
    """The powers of ten around them, at least one apart."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def ratios(result):
    """A bar for each row: how many times better than Supervisor, on a logarithmic axis."""
    found = [(row['row'], gain(row)) for row in result['rows']]
    found = [(name, ratio) for name, ratio in found if ratio]
    if not found:
        return document(400, 40, [text(10, 25, 'There was no Supervisor to compare with.')])
    low, high = decades([ratio for _, ratio in found] + [1])
    left, width, step, top = 400, 420, 20, 56
    height = top + step * len(found) + 10

    def across(ratio):
        return left + width * (math.log10(ratio) - low) / (high - low)
    parts = [text(10, 22, 'How many times better than Supervisor 4.3.0', kind='title'),
             text(10, 40, '%s, %s' % (result['date'], result['machine']), kind='small')]
    for power in range(low, high + 1):
        x = across(10.0 ** power)
        parts += [rule(x, top, x, height - 10, 'axis' if power == 0 else 'grid'),
                  text(x, top - 4, short(10.0 ** power) + 'x', 'middle', 'small')]
    for number, (name, ratio) in enumerate(found):
        y = top + step * number
        begin, end = sorted((across(1), across(ratio)))
        parts += [text(left - 8, y + 14, name, 'end', 'small'),
                  '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" class="s%d"/>'
                  % (begin, y + 4, max(1, end - begin), step - 8, 0 if ratio >= 1 else 1)]
    return document(left + width + 30, height, parts)


# One panel of the curve.
PANEL_WIDTH, PANEL_HEIGHT = 300, 210
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 44, 34


def curve(title, panels, columns=3):
    """Panels of lines over the number of programs, both axes logarithmic.

    A panel: (its title, the unit, [(name of the line, [(programs, value)])]). Values of zero cannot stand on such an
    axis; a line of zeros is said in words. The dotted line in each panel grows in proportion.
    """
    rows = -(-len(panels) // columns)
    parts = [text(10, 22, title, kind='title')]
    names = list(dict.fromkeys(name for _, _, lines in panels for name, _ in lines))
    x = 10
    for number, name in enumerate(names + ['in proportion']):
        kind = 'guide dashed' if number == len(names) else 's%d' % number
        parts += [rule(x, 40, x + 24, 40, 'line ' + kind), text(x + 30, 44, name, kind='small')]
        x += 60 + 7 * len(name)
    for number, panel in enumerate(panels):
        across, down = number % columns * PANEL_WIDTH, 54 + number // columns * PANEL_HEIGHT
        parts.append('<g transform="translate(%d %d)">' % (across, down))
        parts += draw_panel(*panel, names)
        parts.append('</g>')
    return document(columns * PANEL_WIDTH + 20, 64 + rows * PANEL_HEIGHT, parts)


def draw_panel(title, unit, lines, names):
    parts = [text(LEFT, 20, '%s, %s' % (title, unit), kind='title')]
    shown = [(name, [point for point in points if point[1] > 0]) for name, points in lines]
    zeros = [name for name, points in shown if not points]
    shown = [(name, points) for name, points in shown if points]
    if zeros:
        parts.append(text(LEFT, 36, ', '.join(zeros) + ': 0 everywhere', kind='small'))
    if not shown:
        return parts
    x_low, x_high = decades([x for _, points in lines for x, _ in points])
    y_low, y_high = decades([y for _, points in shown for _, y in points])
    right, bottom = PANEL_WIDTH - RIGHT, PANEL_HEIGHT - BOTTOM

    def place(x, y):
        return (LEFT + (right - LEFT) * (math.log10(x) - x_low) / (x_high - x_low),
                bottom - (bottom - TOP) * (math.log10(y) - y_low) / (y_high - y_low))
    for power in range(x_low, x_high + 1):
        x, _ = place(10.0 ** power, 10.0 ** y_low)
        parts += [rule(x, TOP, x, bottom, 'grid'), text(x, bottom + 16, short(10.0 ** power), 'middle', 'small')]
    for power in range(y_low, y_high + 1):
        _, y = place(10.0 ** x_low, 10.0 ** power)
        parts += [rule(LEFT, y, right, y, 'grid'), text(LEFT - 6, y + 4, short(10.0 ** power), 'end', 'small')]
    # What grows in proportion, through the last point of the first line, as far as the panel reaches.
    x, y = shown[0][1][-1]
    begin = max(10.0 ** x_low, x * 10.0 ** y_low / y)
    parts.append(rule(*place(begin, y * begin / x), *place(x, y), 'guide dashed'))
    for name, points in shown:
        number = names.index(name)
        path = ' '.join('%.1f,%.1f' % place(*point) for point in points)
        parts.append('<polyline points="%s" class="line s%d"/>' % (path, number))
        parts += ['<circle cx="%.1f" cy="%.1f" r="3" class="s%d"/>' % (*place(*point), number) for point in points]
    return parts
