#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reference: gi-docgen makes it, and a few things are put right after that.

    build-reference.py --output DIR --style FILE.css -- GI-DOCGEN ARGUMENT…
"""

import argparse
import pathlib
import re
import subprocess
import sys

# what the first page has for each page of the book, in its order
PAGE = re.compile(r'^ *<li><a href="([^"#:]+\.html)">([^<]+)</a></li>$', re.M)
BEFORE_GENERATOR = re.compile(r'^ *<div class="section generator">', re.M)
END_OF_TEXT = re.compile(r'\s*</div>\s*</section>\s*</section>')
# code in a line of text; what stands in a block has colours, or <pre> before it
INLINE_CODE = re.compile(r'(?<!<pre>)<code>([^<>\n]+)</code>')
# where a long name may go on in the next line
JOINT = re.compile(r'(?<=[A-Za-z])_(?=[a-z])|(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z]_)(?=[A-Z])|(?<=[A-Za-z])[.:](?=[A-Za-z])')
HEADING = re.compile(r'<h1>.*?</h1>', re.S)
TEXT = re.compile(r'>[^<]+<')
SIDEBAR = '<nav class="sidebar'
CONTENT = '<section id="main"'
# a row for an address that the project does not have
EMPTY_ROW = re.compile(r'^\s*<tr><td><em>[^<]*</em></td><td><a href=""[^>]*></a></td></tr>\n', re.M)


def add_ways_on(site, index):
    """Leads from each page of the book to all others, and to the next one; gi-docgen leads to none."""
    extra = index[index.index('<h4 id="extra"'):]
    pages = [page for page in PAGE.findall(extra[:extra.index('</ul>')]) if page[0] != 'classes_hierarchy.html']
    for number, (name, title) in enumerate(pages):
        links = ''.join(f'<a href="{other}"{" class=current" if other == name else ""}>{text}</a>\n'
                        for other, text in pages)
        book = f'<div class="section">\n<h5>The book</h5>\n<div class="links">\n{links}</div>\n</div>\n\n'
        if number + 1 < len(pages):
            way = f'Next: <a href="{pages[number + 1][0]}">{pages[number + 1][1]}</a>'
        else:
            way = '<a href="index.html">The reference</a>'
        html = (site / name).read_text(encoding='utf-8')
        generator, end = BEFORE_GENERATOR.search(html), END_OF_TEXT.search(html)
        if generator is None or end is None or end.start() < generator.start():
            continue  # another gi-docgen makes other pages
        html = (html[:generator.start()] + book + html[generator.start():end.start()]
                + f'\n<p class="way-on">{way}</p>' + html[end.start():])
        (site / name).write_text(html, encoding='utf-8')


def fit_narrow_screens(html):
    """Long names get places to break at, and the top a way to what stands beside the text on wide screens."""
    def break_up(match):
        return JOINT.sub(lambda joint: joint.group(0) + '<wbr>', match.group(0))

    html = INLINE_CODE.sub(lambda match: TEXT.sub(break_up, match.group(0)), html)
    html = HEADING.sub(lambda match: TEXT.sub(break_up, match.group(0)), html)
    if SIDEBAR not in html or CONTENT not in html:
        return html  # another gi-docgen makes other pages
    links = '<a href="index.html">Evp</a>\n<a href="#navigation">Menu and search</a>\n'
    if 'id="toc"' in html:
        links += '<a href="#toc">On this page</a>\n'
    html = html.replace(SIDEBAR, '<nav id="navigation" class="sidebar', 1)
    return html.replace(CONTENT, f'<nav class="way-in" aria-label="Ways on">\n{links}</nav>\n\n    {CONTENT}', 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=pathlib.Path, required=True)
    parser.add_argument('--style', type=pathlib.Path, required=True)
    parser.add_argument('command', nargs='+')
    arguments = parser.parse_args()

    status = subprocess.run([*arguments.command, f'--output-dir={arguments.output}'], check=False).returncode
    if status != 0:
        return status
    with (arguments.output / 'style.css').open('a', encoding='utf-8') as style:
        style.write('\n' + arguments.style.read_text(encoding='utf-8'))
    index = arguments.output / 'index.html'
    html = EMPTY_ROW.sub('', index.read_text(encoding='utf-8'))
    index.write_text(html, encoding='utf-8')
    add_ways_on(arguments.output, html)
    for page in arguments.output.glob('*.html'):
        page.write_text(fit_narrow_screens(page.read_text(encoding='utf-8')), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
