// SPDX-License-Identifier: LGPL-2.1-or-later
// Child watchers and subprocesses.

imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programInvocationName));
const {test, run, assert, assertEqual, assertError, runGjs, spawn} = imports.evptest;
const {Evp, GLib, GObject} = imports.gi;

const CHILD = GLib.getenv('EVP_TEST_CHILD');

// a watcher that leaves the waiting to GLib
const Watcher = GObject.registerClass({
    Implements: [Evp.AbstractChildWatcher],
}, class Watcher extends GObject.Object {
    _init() {
        super._init();
        this.handlers = new Map();
        this.added = 0;
        this.closed = false;
        this.bracket = 0;
    }

    vfunc_add_handler(pid, handler) {
        if (this.closed)
            throw new GLib.Error(Evp.Error, Evp.Error.WATCHER_CLOSED, 'closed');
        this.added++;
        this.vfunc_remove_handler(pid);
        const source = GLib.child_watch_add(GLib.PRIORITY_DEFAULT, pid, (_pid, status) => {
            this.handlers.delete(pid);
            // a wait status: the exit code in the upper byte, or the signal in the lower
            handler.invoke(pid, status & 0x7f ? -(status & 0x7f) : status >> 8);
        });
        this.handlers.set(pid, [handler, source]);
        return true;
    }

    vfunc_remove_handler(pid) {
        const [handler, source] = this.handlers.get(pid) ?? [];
        if (!handler)
            return false;
        this.handlers.delete(pid);
        GLib.source_remove(source);
        handler.cancel();
        return true;
    }

    vfunc_attach_loop(loop) {
        this.loop = loop;
        this.closed = false;
        return true;
    }

    vfunc_is_active() {
        return !this.closed;
    }

    vfunc_close() {
        this.closed = true;
        [...this.handlers.keys()].forEach(pid => this.vfunc_remove_handler(pid));
    }

    vfunc_enter() {
        this.bracket++;
    }

    vfunc_exit() {
        this.bracket--;
    }
});

const Chaining = GObject.registerClass({
    Implements: [Evp.AbstractChildWatcher],
}, class Chaining extends Evp.ThreadedChildWatcher {
    vfunc_add_handler(pid, handler) {
        this.seen = [pid, handler.get_pid()];
        return super.vfunc_add_handler(pid, handler);
    }
});

function inLoop(func) {
    return async () => {
        const loop = Evp.SelectorEventLoop.new(null, GLib.MainContext.default());
        Evp.set_event_loop(loop);
        try {
            await func(loop);
        } finally {
            Evp.set_event_loop(null);
            loop.close();
        }
    };
}

function ended(watcher, pid, ...args) {
    return new Promise(resolve => watcher.add_child_handler(pid, (...given) => resolve(given), ...args));
}

for (const [name, make] of [['javascript', () => new Watcher()], ['chaining', () => new Chaining()],
    ['threaded', () => new Evp.ThreadedChildWatcher()], ['default', () => Evp.get_child_watcher()]]) {
    // Rules: W-2, W-6, W-17, W-22
    test(`${name}/codes`, inLoop(async loop => {
        const watcher = make();
        watcher.attach_loop(loop);
        for (const [argv, code] of [
            [['exit', '0'], 0], [['exit', '7'], 7], [['exit', '255'], 255], [['signal', '9'], -9]]) {
            const pid = spawn(CHILD, ...argv);
            assertEqual(await ended(watcher, pid, 'x'), [pid, code, 'x']);
        }
        watcher.close();
    }));

    // Rules: W-2, W-3, W-47
    test(`${name}/replace-and-remove`, inLoop(async loop => {
        const watcher = make();
        watcher.attach_loop(loop);
        const never = () => assert(false, 'it was replaced or removed');
        const [, pid, stdin] = GLib.spawn_async_with_pipes(null, [CHILD, 'wait-exit', '3'], null,
            GLib.SpawnFlags.DO_NOT_REAP_CHILD, null);
        watcher.add_child_handler(pid, never);
        const end = ended(watcher, pid);
        GLib.close(stdin);
        assertEqual(await end, [pid, 3]);
        assert(!watcher.remove_child_handler(pid));

        const [, other, input] = GLib.spawn_async_with_pipes(null, [CHILD, 'wait-exit', '3'], null,
            GLib.SpawnFlags.DO_NOT_REAP_CHILD, null);
        watcher.add_child_handler(other, never);
        assert(watcher.remove_child_handler(other) && !watcher.remove_child_handler(other));
        const again = ended(watcher, other);
        GLib.close(input);
        assertEqual(await again, [other, 3]);
        watcher.close();
    }));

    // Rules: W-5, W-8, W-24
    test(`${name}/close`, inLoop(loop => {
        const watcher = make();
        watcher.attach_loop(loop);
        assert(watcher.is_active());
        watcher.enter();
        watcher.exit();
        watcher.close();
        watcher.close();
        assertError(() => watcher.add_child_handler(spawn('true'), () => {}), Evp.Error.WATCHER_CLOSED);
    }));

    // Rules
    test(`${name}/subprocess`, inLoop(async loop => {
        const watcher = make();
        watcher.attach_loop(loop);
        Evp.set_child_watcher(watcher);
        const options = new Evp.SubprocessOptions();
        options.set_stdin(Evp.Stdio.PIPE);
        options.set_stdout(Evp.Stdio.PIPE);
        const process = await loop.subprocess_exec_async([CHILD, 'cat'], options, null);
        assertEqual([process.get_returncode(), process.returncode], [null, null]);
        assert(process.get_pid() > 0);
        const [output] = await process.communicate_async(new GLib.Bytes('hello'), null);
        assertEqual(new TextDecoder().decode(output.get_data()), 'hello');
        assertEqual([process.get_returncode(), process.returncode], [0, 0]);
        if (watcher instanceof Watcher)
            assertEqual([watcher.added, watcher.bracket], [1, 0]);
        if (watcher instanceof Chaining)
            assertEqual(watcher.seen, [process.get_pid(), process.get_pid()]);
        Evp.set_child_watcher(null);
    }));
}

// Rules
test('subprocess/shell-signal-and-failure', inLoop(async loop => {
    const shell = await loop.subprocess_shell_async('exit 5', null, null);
    assertEqual(await shell.wait_async(null), 5);

    const pausing = await loop.subprocess_exec_async([CHILD, 'pause'], null, null);
    pausing.terminate();
    assertEqual(await pausing.wait_async(null), -15);
    assertError(() => pausing.kill(), Evp.Error.NOT_FOUND);

    let failure = null;
    try {
        await loop.subprocess_exec_async(['/does/not/exist'], null, null);
    } catch (error) {
        failure = error;
    }
    assert(failure instanceof GLib.Error && failure.message.includes('/does/not/exist'), `${failure}`);
}));

// Rules: W-1
test('slots-left-out', () => {
    const Empty = GObject.registerClass({
        Implements: [Evp.AbstractChildWatcher],
    }, class Empty extends GObject.Object {});
    const watcher = new Empty();
    assertError(() => watcher.add_child_handler(12345, () => {}), Evp.Error.NOT_SUPPORTED, 'Empty');
    assertError(() => watcher.attach_loop(null), Evp.Error.NOT_SUPPORTED, 'Empty');
    assert(!watcher.remove_child_handler(12345));
    watcher.close();
});

// Rules: P-5
test('exit-with-watcher-installed', () => {
    assertEqual(runGjs(`
        const Watcher = GObject.registerClass({Implements: [Evp.AbstractChildWatcher]},
            class Watcher extends Evp.ThreadedChildWatcher {
                vfunc_add_handler(pid, handler) { return super.vfunc_add_handler(pid, handler); }
                vfunc_close() { super.vfunc_close(); }
            });
        Evp.set_child_watcher(new Watcher());
        print(Evp.run(async loop => (await loop.subprocess_exec_async(['true'], null, null)).wait_async(null)));
    `), [0, '0\n', '']);
});

run();
