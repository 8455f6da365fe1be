// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Tests that speak TAP, and what they share. A test is a function, or an async one, which runs in a loop of
// the default main context.

/* exported test, run, assert, assertEqual, assertThrows, assertError, runGjs, spawn */

imports.gi.versions.Evp = '1.0';
const {Evp, GLib, Gio} = imports.gi;
const System = imports.system;

const DEADLINE = 30; // seconds

const tests = [];

function test(name, func) {
    tests.push([name, func]);
}

function assert(value, message = 'it is not so') {
    if (!value)
        throw new Error(message);
}

function assertEqual(value, expected) {
    const [a, b] = [value, expected].map(item => JSON.stringify(item, (_, v) => v === undefined ? 'undefined' : v));
    if (a !== b)
        throw new Error(`${a} is not ${b}`);
}

function assertThrows(func, type = null) {
    try {
        func();
    } catch (error) {
        assert(type === null || error instanceof type, `${error} is no ${type?.name}`);
        return error;
    }
    throw new Error('nothing was thrown');
}

// a GLib.Error of Evp, whose message has a text
function assertError(func, code, text = '') {
    const error = assertThrows(func, GLib.Error);
    assert(error.matches(Evp.Error, code), `not ${code}: ${error}`);
    assert(error.message.includes(text), error.message);
    return error;
}

// status, standard output and standard error of a program in an interpreter of its own
function runGjs(code, keep = {}) {
    const launcher = new Gio.SubprocessLauncher(
        {flags: Gio.SubprocessFlags.STDOUT_PIPE | Gio.SubprocessFlags.STDERR_PIPE});
    for (const [name, value] of Object.entries(keep))
        launcher.setenv(name, value, true);
    const process = launcher.spawnv(['gjs', '-c', `
        imports.gi.versions.Evp = '1.0';
        const {Evp, Gio, GLib, GObject} = imports.gi;
        ${code}`]);
    const [, output, errors] = process.communicate_utf8(null, null);
    return [process.get_if_exited() ? process.get_exit_status() : -process.get_term_sig(), output, errors];
}

// starts a child that nobody but a watcher waits for
function spawn(...argv) {
    const [, pid] = GLib.spawn_async(null, argv, null,
        GLib.SpawnFlags.DO_NOT_REAP_CHILD | GLib.SpawnFlags.SEARCH_PATH, null);
    return pid;
}

function run() {
    let failed = 0;
    print(`1..${tests.length}`);
    tests.forEach(([name, func], index) => {
        const main = new GLib.MainLoop(null, false);
        let problem = null;
        let done = false;
        const deadline = GLib.timeout_add_seconds(GLib.PRIORITY_HIGH, DEADLINE, () => {
            printerr(`${name}: no end after ${DEADLINE} s`);
            System.exit(1);
        });
        const end = error => {
            problem = error;
            done = true;
            main.quit();
        };
        try {
            const result = func();
            if (result instanceof Promise) {
                result.then(() => end(null), end);
                if (!done)
                    main.run();
            }
        } catch (error) {
            problem = error;
        }
        GLib.source_remove(deadline);
        Evp.set_event_loop_policy(null);
        if (problem) {
            failed++;
            `${problem}\n${problem.stack ?? ''}`.split('\n').forEach(line => print(`# ${line}`));
        }
        print(`${problem ? 'not ' : ''}ok ${index + 1} - ${name}`);
        System.gc();
    });
    System.exit(failed ? 1 : 0);
}
