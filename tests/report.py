#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what the tests really ran, case by case, from the logs of "meson test".

    report.py LABEL=…/testlog.json …

A program that speaks TAP counts as many cases as it reports; any other counts as one. A program
that crashed, timed out or stopped before it had run what it promised is one failure more. What was
skipped is listed with its reason. The last line is "N passed, N failed, N skipped".
"""

import json
import re
import sys

CASE = re.compile(r'^(not )?ok\b\s*(\d*)\s*-?\s*([^#]*?)\s*(?:#\s*(\w+)\S*\s*(.*))?$')
PLAN = re.compile(r'^1\.\.(\d+)\s*(?:#\s*skip\S*\s*(.*))?$', re.I)
BAD = {'FAIL', 'ERROR', 'TIMEOUT', 'INTERRUPT', 'UNEXPECTEDPASS'}


def tap_cases(output):
    """(cases, promised): cases are (name, 'passed' | 'failed' | 'skipped', reason)."""
    cases = []
    promised = None
    for line in output.splitlines():
        plan = PLAN.match(line)
        if plan:
            promised = int(plan.group(1))
            if promised == 0:
                cases.append(('', 'skipped', plan.group(2) or ''))
                promised = None
            continue
        case = CASE.match(line)
        if not case:
            continue
        bad, _number, name, directive, reason = case.groups()
        directive = (directive or '').lower()
        if directive.startswith('skip') and not bad:
            cases.append((name, 'skipped', reason or ''))
        elif bad and not directive.startswith('todo'):
            cases.append((name, 'failed', ''))
        else:
            cases.append((name, 'passed', ''))
    return cases, promised


def program_cases(entry):
    result = entry['result']
    output = entry.get('stdout') or ''
    if not re.search(r'^(not )?ok\b|^1\.\.\d', output, re.M):
        if result in BAD:
            return [('', 'failed', result.lower())]
        if result == 'SKIP':
            lines = (output + '\n' + (entry.get('stderr') or '')).strip().splitlines()
            return [('', 'skipped', lines[-1] if lines else '')]
        return [('', 'passed', '')]

    cases, promised = tap_cases(output)
    ran = len(cases)
    failed = any(outcome == 'failed' for _, outcome, _ in cases)
    if result in BAD and (not failed or (promised is not None and ran < promised)):
        why = {'TIMEOUT': 'timed out', 'INTERRUPT': 'interrupted'}.get(result, 'crashed or stopped early')
        if entry.get('returncode'):
            why += f", exit status {entry['returncode']}"
        cases.append(('', 'failed', why))
    return cases


def main():
    totals = {'passed': 0, 'failed': 0, 'skipped': 0}
    failures = []
    skips = []

    print('\n== Result')
    for argument in sys.argv[1:]:
        label, _, path = argument.partition('=')
        counts = {'passed': 0, 'failed': 0, 'skipped': 0}
        problem = None
        entries = []
        if path.startswith('could-not-be-'):
            problem = path.replace('-', ' ')
        else:
            try:
                with open(path, encoding='utf-8') as log:
                    entries = [json.loads(line) for line in log]
            except (OSError, ValueError) as error:
                problem = f'no log of the tests: {error}'
            if not entries and problem is None:
                problem = 'no test ran'
        if problem:
            counts['failed'] += 1
            failures.append((label, '', problem))

        for entry in entries:
            program = entry['name'].split(' / ')[-1]
            for name, outcome, reason in program_cases(entry):
                counts[outcome] += 1
                where = f'{program}: {name}' if name else program
                if outcome == 'failed':
                    failures.append((label, where, reason))
                elif outcome == 'skipped':
                    skips.append((label, where, reason or 'no reason given'))

        print(f"{label + ':':14} {counts['passed']} passed, {counts['failed']} failed, "
              f"{counts['skipped']} skipped")
        for outcome in totals:
            totals[outcome] += counts[outcome]

    if skips:
        print('\nSkipped:')
        for label, where, reason in skips:
            print(f'  [{label}] {where}: {reason}')
    if failures:
        print('\nFailed:')
        for label, where, reason in failures:
            print('  ' + ': '.join(part for part in (f'[{label}] {where}'.rstrip(), reason) if part))

    print()
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals['failed'] or totals['passed'] == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
