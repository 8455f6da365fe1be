#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// A policy of one's own, for the whole process: it counts the loops it makes.

imports.gi.versions.Evp = '1.0';
const {Evp, GObject} = imports.gi;

const CountingPolicy = GObject.registerClass({
    Implements: [Evp.AbstractEventLoopPolicy], // again at every level that overrides
}, class CountingPolicy extends Evp.DefaultEventLoopPolicy {
    vfunc_new_event_loop() {
        this.made = (this.made ?? 0) + 1;
        return super.vfunc_new_event_loop();
    }
});

const policy = new CountingPolicy();
Evp.set_event_loop_policy(policy);

const loop = Evp.get_event_loop(); // nobody has set one: the policy makes it
print(`the same loop again: ${loop === Evp.get_event_loop()}`);
loop.call_soon(() => loop.stop());
loop.run_forever();
loop.close();
print(`the policy made ${policy.made} loop`);

Evp.set_event_loop_policy(null); // the default policy again
