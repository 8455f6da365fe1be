#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws the pictures of the performance page, from what `evp bench --json` has measured.

    evp bench --json > bench.json
    doc/plot-performance.py bench.json doc/images

Costs are shown in relation to GLib's own beside nothing idle, because absolute times are those of one machine. The
axis is logarithmic: a factor has the same length everywhere.
"""

import argparse
import json
import math
import pathlib
import xml.sax.saxutils

# file, title, (workload, what it is for people) …
PICTURES = [
    ('performance-loops', 'What loops do', [
        ('ready', 'a callback that is ready'), ('timers', 'a timer, made and run'),
        ('posts', 'a callback from another thread'), ('loops', 'a loop, made and closed')]),
    ('performance-descriptors', 'A wake-up beside idle descriptors', [('descriptors', None)]),
    ('performance-io', 'Sockets and files', [('echo', 'a message, received and answered'), ('files', '4 KiB, read at random')]),
    ('performance-children', 'The end of a child beside living children', [('children', None)]),
]
LEFT, RIGHT, WIDTH, ROW = 250, 700, 800, 20

STYLE = '''
    text { font: 13px system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif; fill: #1d1d20; }
    .title { font-size: 16px; font-weight: bold; }
    .quiet { fill: #5c5c66; }
    .back { fill: #ffffff; }
    .grid { stroke: #d5d5dc; }
    .one { stroke: #77767b; stroke-width: 2; stroke-dasharray: 4 3; }
    .range { stroke: #1a5fb4; stroke-width: 3; }
    .dot { fill: #1a5fb4; }
    .yardstick-range { stroke: #77767b; stroke-width: 3; }
    .yardstick { fill: #ffffff; stroke: #77767b; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f2f2f5; }
      .quiet { fill: #b4b4be; }
      .back { fill: #1e1e22; }
      .grid { stroke: #46464e; }
      .one { stroke: #a8a8b0; }
      .range { stroke: #78aeed; }
      .dot { fill: #78aeed; }
      .yardstick-range { stroke: #a8a8b0; }
      .yardstick { fill: #1e1e22; stroke: #a8a8b0; }
    }
'''


def words(factor):
    """A factor as people read it."""
    digits = 0 if factor >= 99.5 else 1 if factor >= 9.95 else 2
    return f'{factor:.{digits}f} ×'


class Picture:
    def __init__(self, title, low, high):
        self.title, self.low, self.high = title, low, high
        self.parts = []
        self.y = 20
        self.text(20, 'start', 'title', title, 14)
        self.y += 32

    def x(self, factor):
        return round(LEFT + 10 + (math.log10(factor) - self.low) / (self.high - self.low) * (RIGHT - LEFT - 20))

    def text(self, x, anchor, kind, text, down):
        escaped = xml.sax.saxutils.escape(text)
        self.parts.append(f'<text x="{x}" y="{self.y + down}" text-anchor="{anchor}" class="{kind}">{escaped}</text>')

    def line(self, x1, x2, y1, y2, kind):
        self.parts.append(f'<line x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}" class="{kind}"/>')

    def panel(self, title, rows):
        """@rows: (name, least, median, most, whether it is GLib's)."""
        if title:
            self.text(20, 'start', 'quiet', title, 12)
            self.y += 20
        bottom = self.y + ROW * len(rows)
        for power in range(self.low, self.high + 1):
            x = self.x(10 ** power)
            self.line(x, x, self.y, bottom, 'one' if power == 0 else 'grid')
        for name, least, median, most, yardstick in rows:
            middle = self.y + ROW // 2
            kind = 'yardstick' if yardstick else 'dot'
            self.text(LEFT - 8, 'end', 'name', name, ROW // 2 + 4)
            self.line(self.x(least), self.x(most), middle, middle, 'yardstick-range' if yardstick else 'range')
            self.parts.append(f'<circle cx="{self.x(median)}" cy="{middle}" r="5" class="{kind}"/>')
            self.text(RIGHT + 80, 'end', 'quiet', words(median), ROW // 2 + 4)
            self.y += ROW
        for power in range(self.low, self.high + 1):
            self.text(self.x(10 ** power), 'middle', 'quiet', f'{10 ** power:g} ×', 16)
        self.y += 36

    def svg(self):
        self.text(20, 'start', 'quiet', 'Processor time, GLib’s own is 1. Dots: medians; lines: the least to the most.', 4)
        height = self.y + 20
        body = '\n  '.join(self.parts)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
                f'role="img">\n  <!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n  <title>{xml.sax.saxutils.escape(self.title)}</title>\n  <style>{STYLE}  </style>\n'
                f'  <rect width="{WIDTH}" height="{height}" class="back"/>\n  {body}\n</svg>\n')


def rows_of(results, workload):
    found = [result for result in results if result['workload'] == workload and 'skipped' not in result]
    unit = found[0]['cpu']['median']  # the yardstick's, beside nothing
    rows = []
    for result in found:
        name = result['subject'] if result['load'] is None else f"{result['subject']}, {result['load']}"
        cpu = {key: max(value, 1e-9) / unit for key, value in result['cpu'].items()}
        rows.append((name, cpu['least'], cpu['median'], cpu['most'], result['subject'] == found[0]['subject']))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('json', type=pathlib.Path)
    parser.add_argument('folder', type=pathlib.Path)
    arguments = parser.parse_args()
    results = json.loads(arguments.json.read_text(encoding='utf-8'))['results']
    for file, title, panels in PICTURES:
        rows = [(name, rows_of(results, workload)) for workload, name in panels]
        values = [value for _, panel in rows for row in panel for value in row[1:4]]
        picture = Picture(title, math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
        for name, panel in rows:
            picture.panel(name, panel)
        (arguments.folder / f'{file}.svg').write_text(picture.svg(), encoding='utf-8')


if __name__ == '__main__':
    main()
