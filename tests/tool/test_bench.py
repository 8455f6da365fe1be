# SPDX-License-Identifier: LGPL-2.1-or-later
"""`evp bench`: what it measures, how it tells, and that it leaves nothing behind. How fast anything is, is not tested."""

import json
import math
import os
import pathlib
import pty
import resource
import select
import signal
import tempfile
import unittest
import xml.etree.ElementTree

import evptool

LOOPS = ['GMainLoop', 'EvpPollSelector', 'EvpSelectSelector', 'EvpUringProactor', 'EvpGioProactor']
WATCHERS = ['GMainLoop', 'EvpPidfdChildWatcher', 'EvpThreadedChildWatcher', 'EvpSafeChildWatcher',
            'EvpFastChildWatcher', 'EvpMultiLoopChildWatcher', 'EvpGLibChildWatcher']
SUBJECTS = {
    'ready': LOOPS, 'timers': LOOPS, 'descriptors': LOOPS, 'posts': LOOPS, 'loops': LOOPS, 'echo': LOOPS,
    'files': ['GFileInputStream', 'EvpUringProactor', 'EvpGioProactor'],
    'children': WATCHERS,
}
LOADS = {'descriptors': [0, 50], 'children': [0, 10]}  # with --quick
SVG = '{http://www.w3.org/2000/svg}'


class Bench(evptool.ToolTest):
    def bench(self, *arguments, **more):
        """The JSON, from a run that has nothing to complain about."""
        result = self.evp('bench', '--quick', '--json', *arguments, **more)
        self.assertEqual((result.status, result.err), (0, b''))
        return json.loads(result.out)

    def results(self, only, **more):
        """The results of one workload, looked at from all sides."""
        found = self.bench('--only', only, **more)['results']
        self.assertEqual({result['workload'] for result in found}, {only})
        loads = LOADS.get(only, [None])
        by_subject = {}
        for result in found:
            by_subject.setdefault(result['subject'], []).append(result['wanted_load'])
        # epoll and kqueue are there or not, the others always are
        self.assertLessEqual(set(SUBJECTS[only]), set(by_subject))
        self.assertLessEqual(set(by_subject) - set(SUBJECTS[only]), {'EvpEpollSelector', 'EvpKqueueSelector'})
        for wanted in by_subject.values():
            self.assertEqual(wanted, loads)
        for result in found:
            self.check(result)
        return found

    def check(self, result):
        common = {'workload', 'subject', 'load', 'wanted_load'}
        if 'skipped' in result:
            self.assertEqual(set(result), common | {'skipped'})
            self.assertGreater(len(result['skipped']), 10)
            # what libevp has everywhere works everywhere, as long as descriptors are small
            self.assertTrue(result['subject'] in ('EvpUringProactor', 'EvpPidfdChildWatcher')
                            or (result['subject'] == 'EvpSelectSelector' and result['load'] >= 900), result)
            return
        self.assertEqual(set(result), common | {'operations', 'cpu', 'wall', 'ratio'})
        self.assertGreater(result['operations'], 0)
        for times in (result['cpu'], result['wall']):
            self.assertEqual(set(times), {'median', 'least', 'most'})
            self.assertTrue(all(math.isfinite(value) for value in times.values()))
            self.assertTrue(0 <= times['least'] <= times['median'] <= times['most'], result)
        self.assertGreater(result['wall']['least'], 0)

    def test_ready(self):
        self.results('ready')

    def test_timers(self):
        self.results('timers')

    def test_descriptors(self):
        self.results('descriptors')

    def test_posts(self):
        self.results('posts')

    def test_loops(self):
        self.results('loops')

    def test_echo(self):
        self.results('echo')

    def test_files(self):
        self.results('files')

    def test_children(self):
        # none is left behind: see tearDown()
        for result in self.results('children'):
            self.assertEqual(result['load'], result['wanted_load'])

    def test_head(self):
        head = self.bench('--only', 'ready')
        self.assertEqual(set(head), {'version', 'glib', 'system', 'processors', 'rounds', 'unit', 'results'})
        self.assertRegex(head['version'], r'\A\d+\.\d+\.\d+\Z')
        self.assertRegex(head['glib'], r'\A2\.\d+\.\d+\Z')
        self.assertGreater(head['processors'], 0)
        self.assertEqual((head['rounds'], head['unit']), (1, 'ns'))

    def test_ratio(self):
        """Costs in relation to the yardstick's, beside the same load."""
        yardstick = None
        for result in self.results('descriptors'):
            if result['subject'] == 'GMainLoop':
                yardstick = result['cpu']['median']
                self.assertEqual(result['ratio'], 1)
            elif 'skipped' not in result:
                self.assertAlmostEqual(result['ratio'], result['cpu']['median'] / yardstick, places=3)

    def test_only(self):
        found = self.bench('--only', 'loops,ready')['results']
        self.assertEqual({result['workload'] for result in found}, {'ready', 'loops'})
        self.assertUsage(self.evp('bench', '--only', 'ready,birds'), 'birds', 'ready', 'children')
        self.assertUsage(self.evp('bench', '--only', ''), 'ready', 'children')

    def test_few_descriptors(self):
        """Fewer descriptors than idle ones shall be: it is said how many there were."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (130, 130))

        loads = {result['wanted_load']: result['load']
                 for result in self.bench('--only', 'descriptors', preexec_fn=limit)['results']}
        self.assertEqual(loads[0], 0)
        self.assertTrue(0 < loads[50] < 50, loads)
        text = self.evp('bench', '--quick', '--only', 'descriptors', preexec_fn=limit).out.decode()
        self.assertIn(f'{loads[50]} in place of 50 idle descriptors', text)

    def test_no_programs(self):
        """What cannot be measured is left out and says why."""
        result = self.evp('bench', '--quick', '--only', 'children', env={'PATH': '/nonexistent'})
        self.assertEqual((result.status, result.err), (0, b''))
        self.assertIn('EvpPidfdChildWatcher, 0: No such file or directory', result.out.decode())

    def test_table(self):
        result = self.evp('bench', '--quick', '--only', 'ready,descriptors')
        self.assertEqual((result.status, result.err), (0, b''))
        text = result.out.decode()
        time = r'\d+(\.\d+)? (ns|µs|ms|s)'
        self.assertRegex(text, r'(?m)^  SUBJECT +CPU +LEAST +MOST +WALL +RATIO$')
        self.assertRegex(text, r'(?m)^  SUBJECT +BESIDE +CPU +LEAST +MOST +WALL +RATIO$')
        self.assertRegex(text, rf'(?m)^  GMainLoop +{time} +{time} +{time} +{time} +1\.00$')
        self.assertRegex(text, rf'(?m)^  EvpPollSelector +50 +{time} +{time} +{time} +{time} +\d+\.\d\d$')

    def test_plot(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'a < b.svg')
            found = self.bench('--only', 'ready,children', '--plot', str(path))['results']
            text = path.read_text(encoding='utf-8')
        root = xml.etree.ElementTree.fromstring(text)
        self.assertEqual(root.tag, SVG + 'svg')
        _, _, width, height = (int(number) for number in root.get('viewBox').split())
        measured = [result for result in found if 'skipped' not in result]
        self.assertEqual(len(list(root.iter(SVG + 'circle'))), len(measured))
        # readable in the dark as well
        self.assertIn('prefers-color-scheme: dark', root.find(SVG + 'style').text)
        words = [''.join(element.itertext()) for element in root.iter(SVG + 'text')]
        for result in measured:
            load = '' if result['load'] is None else f", {result['load']}"
            self.assertIn(result['subject'] + load, words)
        # every panel has its units
        self.assertTrue(any(word.endswith((' ns', ' µs')) and word.startswith('1') for word in words), words)
        for element in root.iter():
            for name, limit in (('x', width), ('x1', width), ('x2', width), ('cx', width), ('y', height), ('cy', height)):
                self.assertTrue(0 <= int(element.get(name, 0)) <= limit, (element.attrib, width, height))

    def test_plot_into_what_is_there(self):
        """A link stays a link, a pipe a pipe, and what was longer before is gone."""
        with tempfile.TemporaryDirectory() as folder:
            real, link = pathlib.Path(folder, 'real'), pathlib.Path(folder, 'link')
            real.write_text('x' * 1000000)
            link.symlink_to('real')
            self.bench('--only', 'ready', '--plot', str(link))
            self.assertTrue(link.is_symlink())
            self.assertEqual(xml.etree.ElementTree.parse(real).getroot().tag, SVG + 'svg')
        reader, writer = os.pipe()
        result = self.evp('bench', '--quick', '--only', 'ready', '--plot', f'/dev/fd/{writer}', pass_fds=[writer])
        os.close(writer)
        self.assertEqual((result.status, result.err), (0, b''))
        with open(reader, encoding='utf-8') as pipe:
            self.assertEqual(xml.etree.ElementTree.parse(pipe).getroot().tag, SVG + 'svg')

    def test_plot_too_large(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, 'file.svg')
            result = self.evp('bench', '--quick', '--only', 'ready', '--plot', str(path), preexec_fn=limit)
        self.assertEqual(result.status, 1)
        self.assertIn(f'{path}”: File too large', result.err.decode())

    def test_plot_nowhere(self):
        result = self.evp('bench', '--quick', '--only', 'ready', '--plot', '/nonexistent/file.svg')
        self.assertEqual(result.status, 1)
        self.assertIn('/nonexistent/file.svg', result.err.decode())
        # the numbers are not lost by that
        self.assertIn('GMainLoop', result.out.decode())

    @unittest.skipUnless(evptool.LOCALES, 'built without translations')
    def test_languages(self):
        for language, words in [('ja', ['子プロセス', '中央値']), ('id', ['Proses anak', 'median'])]:
            with self.subTest(language=language), evptool.language(language) as env:
                result = self.evp('bench', '--quick', '--only', 'children', env=env)
                self.assertEqual((result.status, result.err), (0, b''))
                for word in words:
                    self.assertIn(word, result.out.decode())
                self.assertNotEqual(self.evp('bench', '--help', env=env).out, self.evp('bench', '--help').out)

    def test_usage(self):
        self.assertUsage(self.evp('bench', 'birds'), 'birds', 'evp bench --help')
        self.assertUsage(self.evp('bench', '--fly'), '--fly')

    def test_help(self):
        result = self.evp('bench', '--help')
        self.assertEqual((result.status, result.err), (0, b''))
        for word in ['--json', '--plot', '--only', '--quick', 'evp bench', 'Exit status', *SUBJECTS]:
            self.assertIn(word, result.out.decode())
        self.assertIn('evp bench', self.evp('--help').out.decode())

    def watch_progress(self, *arguments):
        """Starts it with a terminal for its messages; gives it when there is a progress bar for @arguments' first load."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = self.start('bench', *arguments, stderr=theirs)
        os.close(theirs)
        shown = b''
        while shown.count(b'\r[') < 2:
            self.assertTrue(select.select([ours], [], [], evptool.DEADLINE)[0], shown)
            shown += os.read(ours, 4096)
        return process, ours, shown

    def test_progress(self):
        process, terminal, shown = self.watch_progress('--quick', '--only', 'ready')
        self.assertRegex(shown.decode(), r'\r\[#*\.+\] ready: GMainLoop')
        out = process.stdout.read()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)
        while b'\r\x1b[K' not in shown.rsplit(b'\r[', 1)[1]:
            shown += os.read(terminal, 4096)
        self.assertNotIn(b'\r', out)

    def test_interrupt(self):
        """Ctrl-C: what lives is ended and reaped, and half a result is none."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                process, terminal, _ = self.watch_progress('--json', '--only', 'children')
                process.send_signal(number)
                self.assertEqual(process.stdout.read(), b'')
                self.assertEqual(process.wait(timeout=evptool.DEADLINE), 128 + number)
                self.assertEqual(self.descendants(), [])

    def test_interrupted_twice(self):
        """No more patience: the children notice it by themselves."""
        process, terminal, _ = self.watch_progress('--only', 'children')
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            select.select([process.stdout], [], [], 0.01)
        self.assertIn(process.returncode, (-signal.SIGINT, 130))
        self.assertEqual(process.stdout.read(), b'')

    def test_ignored_signals(self):
        """nohup evp bench: a hang-up is not for it."""
        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        process = self.start('bench', '--quick', '--json', '--only', 'ready', preexec_fn=ignore)
        process.send_signal(signal.SIGHUP)
        self.assertGreater(len(json.loads(process.stdout.read())['results']), 0)
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)


if __name__ == '__main__':
    evptool.main('test_bench', 'bench')
