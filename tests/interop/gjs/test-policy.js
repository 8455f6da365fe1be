// SPDX-License-Identifier: LGPL-2.1-or-later
// Policies written in JavaScript.

imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programInvocationName));
const {test, run, assert, assertEqual, assertError, assertThrows, runGjs} = imports.evptest;
const {Evp, Gio, GLib, GObject} = imports.gi;

const Scratch = GObject.registerClass({
    Implements: [Evp.AbstractEventLoopPolicy],
}, class Scratch extends GObject.Object {
    vfunc_get_event_loop() {
        if (!this.loop)
            throw new GLib.Error(Evp.Error, Evp.Error.NO_EVENT_LOOP, 'no loop here');
        return this.loop;
    }

    vfunc_set_event_loop(loop) {
        this.loop = loop;
        return true;
    }

    vfunc_new_event_loop() {
        this.made = (this.made ?? 0) + 1;
        return new Evp.SelectorEventLoop();
    }

    vfunc_get_child_watcher() {
        return this.watcher ?? null;
    }

    vfunc_set_child_watcher(watcher) {
        this.watcher = watcher;
        return true;
    }
});

const Counting = GObject.registerClass({
    Implements: [Evp.AbstractEventLoopPolicy],
}, class Counting extends Evp.DefaultEventLoopPolicy {
    _init(params) {
        super._init(params);
        this.calls = [];
    }

    vfunc_get_event_loop() {
        this.calls.push('get 1');
        return super.vfunc_get_event_loop();
    }

    vfunc_new_event_loop() {
        this.calls.push('new 1');
        return super.vfunc_new_event_loop();
    }

    vfunc_set_event_loop(loop) {
        this.calls.push('set 1');
        return super.vfunc_set_event_loop(loop);
    }
});

const Counting2 = GObject.registerClass({
    Implements: [Evp.AbstractEventLoopPolicy],
}, class Counting2 extends Counting {
    vfunc_get_event_loop() {
        this.calls.push('get 2');
        return super.vfunc_get_event_loop();
    }
});

const Counting3 = GObject.registerClass({
    Implements: [Evp.AbstractEventLoopPolicy],
}, class Counting3 extends Counting2 {
    vfunc_get_event_loop() {
        this.calls.push('get 3');
        return super.vfunc_get_event_loop();
    }

    vfunc_get_child_watcher() {
        this.calls.push('watcher 3');
        return super.vfunc_get_child_watcher();
    }
});

// Rules: P-7, P-9, P-35, P-39
test('from-scratch', () => {
    const policy = new Scratch();
    Evp.set_event_loop_policy(policy);
    assert(Evp.get_event_loop_policy() === policy);
    assertError(() => Evp.get_event_loop(), Evp.Error.NO_EVENT_LOOP, 'no loop here');
    const loop = Evp.new_event_loop();
    assertEqual(policy.made, 1);
    Evp.set_event_loop(loop);
    assert(Evp.get_event_loop() === loop);
    Evp.set_event_loop(null);
    assert(policy.loop === null);
    const watcher = new Evp.ThreadedChildWatcher();
    Evp.set_child_watcher(watcher);
    assert(Evp.get_child_watcher() === watcher);
    loop.close();
});

// Rules: P-1, P-3, P-4
test('install', () => {
    const first = Evp.get_event_loop_policy();
    assert(Evp.get_event_loop_policy() === first);
    assertThrows(() => Evp.set_event_loop_policy(new GObject.Object()));
    assert(Evp.get_event_loop_policy() === first);
    Evp.set_event_loop_policy(new Scratch());
    assert(Evp.get_event_loop_policy() instanceof Scratch);
    Evp.set_event_loop_policy(null);
    assert(Evp.get_event_loop_policy() !== first);
    assert(Evp.get_event_loop_policy() instanceof Evp.DefaultEventLoopPolicy);
});

// Rules: P-14, P-28, P-36, P-37, P-38
test('chain-up', () => {
    const policy = new Counting();
    Evp.set_event_loop_policy(policy);
    const loop = Evp.get_event_loop();
    assertEqual(policy.calls, ['get 1', 'new 1', 'set 1']);
    assert(Evp.get_event_loop() === loop);
    loop.close();
});

// Rules: P-36
test('chain-up-three-levels', () => {
    const policy = new Counting3();
    policy.get_event_loop().close();
    assertEqual(policy.calls, ['get 3', 'get 2', 'get 1', 'new 1', 'set 1']);
    assert(policy.get_child_watcher());
    assertEqual(policy.calls.slice(5), ['watcher 3']);
});

// Rules: P-36
test('parents-stay-untouched', () => {
    new Counting3().get_event_loop().close();
    for (const [Class, calls] of [
        [Counting2, ['get 2', 'get 1', 'new 1', 'set 1']], [Counting, ['get 1', 'new 1', 'set 1']]]) {
        const policy = new Class();
        policy.get_event_loop().close();
        assertEqual(policy.calls, calls);
    }
    for (const Class of [Evp.DefaultEventLoopPolicy, Evp.SelectorEventLoopPolicy, Evp.MainContextEventLoopPolicy]) {
        const policy = new Class();
        policy.get_event_loop().close();
        assert(policy.calls === undefined);
    }
});

// Rules: P-16, P-36
test('returns-null', () => {
    assertError(() => new Scratch().get_child_watcher(), Evp.Error.FAILED, 'Scratch');
});

// Rules: P-9, P-35
test('throws', () => {
    const Throwing = GObject.registerClass({
        Implements: [Evp.AbstractEventLoopPolicy],
    }, class Throwing extends Evp.DefaultEventLoopPolicy {
        vfunc_new_event_loop() {
            throw this.what;
        }
    });
    const policy = new Throwing();
    policy.what = new GLib.Error(Evp.Error, Evp.Error.FORKED, 'mine');
    assertError(() => policy.new_event_loop(), Evp.Error.FORKED, 'mine');
    policy.what = new GLib.Error(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND, 'io');
    assert(assertThrows(() => policy.new_event_loop()).matches(Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND));
    policy.what = new TypeError('type');
    assertEqual(assertThrows(() => policy.new_event_loop(), TypeError).message, 'type');
});

// Rules: P-7, P-41
test('slots-left-out', () => {
    const LoopHalf = GObject.registerClass({
        Implements: [Evp.AbstractEventLoopPolicy],
    }, class LoopHalf extends GObject.Object {});
    const policy = new LoopHalf();
    for (const [call, slot] of [
        [() => policy.get_event_loop(), 'get_event_loop'], [() => policy.set_event_loop(null), 'set_event_loop'],
        [() => policy.new_event_loop(), 'new_event_loop'], [() => policy.get_child_watcher(), 'get_child_watcher'],
        [() => policy.set_child_watcher(null), 'set_child_watcher']])
        assertError(call, Evp.Error.NOT_SUPPORTED, slot);
});

// Rules: P-6, P-20, P-40
test('running-loop-wins', () => {
    Evp.set_event_loop_policy(new Scratch());
    const loop = new Evp.SelectorEventLoop();
    let seen = null;
    loop.call_soon(() => {
        seen = [Evp.get_event_loop() === loop, Evp.get_running_loop() === loop];
        loop.stop();
    });
    loop.run_forever();
    assertEqual(seen, [true, true]);
    assertError(() => Evp.get_running_loop(), Evp.Error.NO_RUNNING_LOOP);
    loop.close();
});

// Rules: P-3
test('lifetime', () => {
    (() => Evp.set_event_loop_policy(new Counting()))();
    imports.system.gc();
    const policy = Evp.get_event_loop_policy();
    assert(policy instanceof Counting);
    policy.get_event_loop().close();
    assertEqual(policy.calls[0], 'get 1');
});

// Rules: P-5
test('exit-with-policy-installed', () => {
    assertEqual(runGjs(`
        const Policy = GObject.registerClass({Implements: [Evp.AbstractEventLoopPolicy]},
            class Policy extends Evp.DefaultEventLoopPolicy {
                vfunc_new_event_loop() { return super.vfunc_new_event_loop(); }
                vfunc_get_child_watcher() { return super.vfunc_get_child_watcher(); }
            });
        Evp.set_event_loop_policy(new Policy());
        const loop = Evp.get_event_loop();
        Evp.get_child_watcher();
        loop.call_soon(() => loop.stop());
        loop.run_forever();
        loop.close();
    `), [0, '', '']);
});

run();
