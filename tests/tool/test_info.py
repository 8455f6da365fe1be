# SPDX-License-Identifier: LGPL-2.1-or-later
"""`evp info`: what works here, what the defaults become, and why."""

import json
import os
import unittest

import evptool


class Info(evptool.ToolTest):
    def info(self, **env):
        """The JSON, from a run that has nothing to complain about."""
        result = self.evp('info', '--json', env=env)
        self.assertEqual((result.status, result.err), (0, b''))
        return json.loads(result.out)

    def test_json(self):
        info = self.info()
        self.assertEqual(set(info), {'version', 'capabilities', 'defaults'})
        self.assertEqual(set(info['capabilities']), {'epoll', 'kqueue', 'pidfd', 'io-uring', 'timerfd'})
        for capability in info['capabilities'].values():
            self.assertEqual(set(capability), {'works', 'reason'})
            # a reason for what does not work, and only for that
            self.assertEqual(capability['works'], capability['reason'] is None)
        self.assertEqual(list(info['defaults']), ['policy', 'loop', 'selector', 'proactor', 'child-watcher'])
        for default in info['defaults'].values():
            self.assertEqual(set(default), {'type', 'reason'})

    def test_defaults(self):
        # Rules: P-1, W-67
        info = self.info()
        defaults = {name: default['type'] for name, default in info['defaults'].items()}
        self.assertEqual(defaults['policy'], 'EvpDefaultEventLoopPolicy')
        self.assertEqual(defaults['loop'], 'EvpSelectorEventLoop')
        works = {name: capability['works'] for name, capability in info['capabilities'].items()}
        self.assertEqual(defaults['child-watcher'],
                         'EvpPidfdChildWatcher' if works['pidfd'] else 'EvpThreadedChildWatcher')
        if works['epoll']:
            self.assertEqual(defaults['selector'], 'EvpEpollSelector')

    def test_text(self):
        result = self.evp('info')
        self.assertEqual((result.status, result.err), (0, b''))
        info = self.info()
        text = result.out.decode()
        self.assertIn(info['version'], text)
        for name in info['capabilities']:
            self.assertRegex(text, rf'(?m)^  {name} +(yes|no: .+)$')
        for default in info['defaults'].values():
            self.assertIn(default['type'] or '-', text)

    def test_variables(self):
        # Rules: P-1, W-67
        for variable, value, name, expected in [
                ('EVP_POLICY', 'selector', 'policy', 'EvpSelectorEventLoopPolicy'),
                ('EVP_POLICY', 'main-context', 'policy', 'EvpMainContextEventLoopPolicy'),
                ('EVP_SELECTOR', 'poll', 'selector', 'EvpPollSelector'),
                ('EVP_SELECTOR', 'select', 'selector', 'EvpSelectSelector'),
                ('EVP_CHILD_WATCHER', 'threaded', 'child-watcher', 'EvpThreadedChildWatcher'),
                ('EVP_CHILD_WATCHER', 'safe', 'child-watcher', 'EvpSafeChildWatcher'),
                ('EVP_CHILD_WATCHER', 'fast', 'child-watcher', 'EvpFastChildWatcher'),
                ('EVP_CHILD_WATCHER', 'multi-loop', 'child-watcher', 'EvpMultiLoopChildWatcher'),
                ('EVP_CHILD_WATCHER', 'glib', 'child-watcher', 'EvpGLibChildWatcher'),
                ('EVP_POLICY', 'proactor', 'policy', 'EvpProactorEventLoopPolicy')]:
            with self.subTest(variable=variable, value=value):
                default = self.info(**{variable: value})['defaults'][name]
                self.assertEqual(default['type'], expected)
                self.assertIn(f'{variable}={value}', default['reason'])
                self.assertIn(f'{variable}={value}', self.evp('info', env={variable: value}).out.decode())

    def test_unknown_values(self):
        """A warning that lists what there is; then the default, and not the variable is the reason."""
        usual = self.info()['defaults']
        for variable, name, known in [('EVP_POLICY', 'policy', 'main-context'),
                                      ('EVP_SELECTOR', 'selector', 'epoll'),
                                      ('EVP_CHILD_WATCHER', 'child-watcher', 'multi-loop')]:
            with self.subTest(variable=variable):
                result = self.evp('info', '--json', env={variable: 'bird'})
                self.assertEqual(result.status, 0)
                self.assertIn(f'{variable}=bird', result.err.decode())
                self.assertIn(known, result.err.decode())
                self.assertEqual(json.loads(result.out)['defaults'][name], usual[name])

    def test_policy_of_a_module(self):
        # Rules: P-1, P-3
        default = self.info(EVP_MODULE_PATH=os.environ['EVP_TEST_MODULE_DIR'],
                            EVP_POLICY='from-a-module')['defaults']['policy']
        self.assertEqual(default['type'], 'ModulePolicy')
        self.assertIn('from-a-module', default['reason'])

    def test_proactor(self):
        """The best that works, or the one that was asked for, and why."""
        # Rules: V-9, V-14
        info = self.info(EVP_POLICY='proactor')
        uring = info['capabilities']['io-uring']
        self.assertEqual(info['defaults']['loop']['type'], 'EvpProactorEventLoop')
        proactor = info['defaults']['proactor']
        self.assertEqual(proactor['type'], 'EvpUringProactor' if uring['works'] else 'EvpGioProactor')
        if not uring['works']:
            self.assertIn(uring['reason'], proactor['reason'])

        proactor = self.info(EVP_POLICY='proactor', EVP_PROACTOR='gio')['defaults']['proactor']
        self.assertEqual(proactor['type'], 'EvpGioProactor')
        self.assertIn('EVP_PROACTOR=gio', proactor['reason'])
        result = self.evp('info', '--json', env={'EVP_POLICY': 'proactor', 'EVP_PROACTOR': 'uring'})
        if uring['works']:
            self.assertIn('EVP_PROACTOR=uring', json.loads(result.out)['defaults']['proactor']['reason'])
        else:
            self.assertIn('EVP_PROACTOR=uring', result.err.decode())
            self.assertIn(uring['reason'], json.loads(result.out)['defaults']['proactor']['reason'])


@unittest.skipUnless(evptool.LOCALES, 'built without translations')
class Languages(evptool.ToolTest):
    def test_translated(self):
        """Messages come in the language of the user, and the JSON keys do not."""
        english = self.evp('info')
        for language in ('ja', 'id'):
            with self.subTest(language=language), evptool.language(language) as env:
                result = self.evp('info', env=env)
                self.assertEqual((result.status, result.err), (0, b''))
                self.assertNotEqual(result.out, english.out)
                # the headings, of the tool and of nobody else, and the reasons, which the library gives
                for text in ('What works here', 'works here', 'has none', 'This system'):
                    self.assertNotIn(text, result.out.decode())
                self.assertEqual(list(json.loads(self.evp('info', '--json', env=env).out)),
                                 ['version', 'capabilities', 'defaults'])
                for arguments in (('--help',), ('run', '--help'), ('info', '--help')):
                    self.assertNotEqual(self.evp(*arguments, env=env).out, self.evp(*arguments).out)

    def test_other_charset(self):
        """On a terminal that is not UTF-8, text is what that shows, and JSON is UTF-8 all the same."""
        for charset in ('EUC-JP', 'ISO-8859-1'):
            with self.subTest(charset=charset), evptool.language('ja') as env:
                # what GLib takes in place of the locale's
                other = {**env, 'CHARSET': charset}
                for arguments in (('info', '--json'), ('info',), ('--help',), ('run', '--help')):
                    text = self.evp(*arguments, env=env).out
                    if '--json' not in arguments:
                        text = text.decode().encode(charset, 'replace')
                    self.assertEqual(self.evp(*arguments, env=other).out, text)
                table = self.evp('run', env=env, commands=['true'])
                other_table = self.evp('run', env=other, commands=['true'])
                self.assertEqual(other_table.out.splitlines()[-1],
                                 table.out.decode().splitlines()[-1].encode(charset, 'replace'))
                # what one may say to iconv() is not said by GLib, which does not expect what comes of it
                for arguments in (('bench', '--help'), ('run', '--nonsense')):
                    plain = self.evp(*arguments, env=other)
                    self.assertIn('evp', (plain.out + plain.err).decode(charset))
                    more = self.evp(*arguments, env={**other, 'CHARSET': f'{charset}//IGNORE'})
                    self.assertEqual((more.status, more.out, more.err), (plain.status, plain.out, plain.err))


if __name__ == '__main__':
    evptool.main('test_info', 'info')
