#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every link inside the book leads somewhere: files and anchors. Nothing is fetched.

    check-links.py --site DIR     the built reference, with the pages
    check-links.py --source DIR   README.md and its like, which are read where they are
    check-links.py --self-test
"""

import argparse
import html.parser
import pathlib
import re
import sys
import tempfile
import urllib.parse

LINK = re.compile(r'(?<!\!)\[[^\]\[]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)')
CODE = re.compile(r'^```.*?^```$|`[^`\n]*`', re.M | re.S)


class Page(html.parser.HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors = set()
        self.links = []
        self.pictures_without_text = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        for name in ('id', 'name'):
            if attributes.get(name):
                self.anchors.add(attributes[name])
        for name in ('href', 'src'):
            if attributes.get(name):
                self.links.append(attributes[name])
        if tag == 'img' and 'alt' not in attributes:
            self.pictures_without_text.append(attributes.get('src'))


def check_site(site):
    pages = {path: Page(path.read_text(encoding='utf-8')) for path in sorted(site.rglob('*.html'))}
    complaints = []
    number = 0
    for path, page in pages.items():
        complaints += [f'{path.name}: the picture {picture} has no text' for picture in page.pictures_without_text]
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith('javascript:'):
                continue
            number += 1
            target = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if not target.is_file():
                complaints.append(f'{path.name}: {link} is not there')
            elif parts.fragment and target in pages:
                if urllib.parse.unquote(parts.fragment) not in pages[target].anchors:
                    complaints.append(f'{path.name}: {link}: no such place on the page')
    return complaints, number


def anchors_of_markdown(text):
    """The anchors that a forge makes of the headings."""
    headings = re.findall(r'^#+ (.*)$', CODE.sub('', text), re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def check_source(source):
    complaints = []
    number = 0
    for path in [*sorted(source.glob('*.md')), *sorted((source / 'doc').glob('*.md'))]:
        text = path.read_text(encoding='utf-8')
        for match in LINK.finditer(CODE.sub('', text)):
            link = match.group(1) or match.group(2)
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
            if path.parent.name == 'doc' and target.suffix == '.html':
                continue  # of the built site, and checked there
            number += 1
            if not target.exists():
                complaints.append(f'{path.name}: {link} is not there')
            elif parts.fragment and target.suffix == '.md':
                if parts.fragment not in anchors_of_markdown(target.read_text(encoding='utf-8')):
                    complaints.append(f'{path.name}: {link}: no such heading')
    return complaints, number


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder).resolve()
        (site / 'a.html').write_text('<h1 id="top">A</h1><a href="b.html#end">b</a><a href="#top">a</a>'
                                     '<a href="https://example.org/">out</a><img src="c.svg" alt="c">')
        (site / 'b.html').write_text('<a href="a.html" name="end">a</a>')
        (site / 'c.svg').write_text('<svg/>')
        assert check_site(site) == ([], 4), check_site(site)
        (site / 'b.html').write_text('<a href="d.html">d</a><img src="c.svg">')
        assert len(check_site(site)[0]) == 3, check_site(site)
        (site / 'doc').mkdir()
        (site / 'README.md').write_text('# A b\n[x](#a-b) [y](doc/y.md) `[z](none)`\n')
        (site / 'doc' / 'y.md').write_text('[z](z.html)\n')
        assert check_source(site) == ([], 2), check_source(site)
        (site / 'README.md').write_text('[x](#a-b) [y](doc/z.md)\n')
        assert len(check_source(site)[0]) == 2, check_source(site)
    print('check-links: self-test passed')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--site', type=pathlib.Path)
    parser.add_argument('--source', type=pathlib.Path)
    parser.add_argument('--self-test', action='store_true')
    arguments = parser.parse_args()

    if arguments.self_test:
        self_test()
        return 0
    complaints, number = (check_site(arguments.site.resolve()) if arguments.site
                          else check_source(arguments.source.resolve()))
    if number == 0:
        complaints.append('no link was found')
    for complaint in complaints:
        print(complaint)
    print(f'{number} links, {len(complaints)} complaints')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
