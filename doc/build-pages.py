#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pages of the book with the examples in them.

    build-pages.py --output DIR --depfile FILE PAGE…

A line that is nothing but a link to an example becomes the example, without its licence line:

    [examples/c/hello.c](../examples/c/hello.c)

Where the pages are read as they are it is a link, and nothing is ever copied by hand. Pictures lie in images/, and
beside the pages in the built site.
"""

import argparse
import pathlib
import re
import sys

LANGUAGES = {'.c': 'c', '.py': 'python', '.js': 'js', '.vala': 'vala', '.sh': 'sh', '.txt': 'text'}
INCLUDE = re.compile(r'^\[(examples/[^\]]+)\]\(\.\./(examples/[^)]+)\)$', re.M)
ELSEWHERE = re.compile(r'\]\(\.\./[^)]*\)')
LINTER = re.compile(r'[ \t]*# noqa.*$', re.M)
HEAD = re.compile(r'\A(?:#!.*\n)?(?:/\* SPDX.*\*/|(?://|#) SPDX.*)\n')


def example(path):
    """The code of an example, as a fenced block."""
    code = path.read_text(encoding='utf-8')
    without_head = HEAD.sub('', code)
    if without_head == code:
        raise ValueError(f'{path} does not begin with its licence')
    return f'```{LANGUAGES[path.suffix]}\n{LINTER.sub("", without_head).strip()}\n```'


def build(page, seen):
    """The text of a page with all examples; adds what it read to seen."""
    def include(match):
        if match.group(1) != match.group(2):
            raise ValueError(f'{page}: the link {match.group(1)} goes to {match.group(2)}')
        path = page.parent.parent / match.group(2)
        seen.append(path)
        return example(path)

    text = INCLUDE.sub(include, page.read_text(encoding='utf-8')).replace('](images/', '](')
    left = ELSEWHERE.search(text)
    if left:
        raise ValueError(f'{page}: {left.group(0)[1:]} leads out of the book; an example has a line of its own')
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=pathlib.Path, required=True)
    parser.add_argument('--depfile', type=pathlib.Path)
    parser.add_argument('pages', nargs='+', type=pathlib.Path)
    arguments = parser.parse_args()

    seen = []
    try:
        for page in arguments.pages:
            (arguments.output / page.name).write_text(build(page, seen), encoding='utf-8')
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f'build-pages.py: {error}')
    if arguments.depfile:
        outputs = ' '.join(str(arguments.output / page.name) for page in arguments.pages)
        inputs = ' '.join(str(path) for path in sorted(set(seen)))
        arguments.depfile.write_text(f'{outputs}: {inputs}\n', encoding='utf-8')


if __name__ == '__main__':
    main()
