#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// Timers: once, repeated, and cancelled.

imports.gi.versions.Evp = '1.0';
const {Evp} = imports.gi;

const loop = Evp.get_event_loop();
const start = loop.time();

function tick(when, left) {
    print(`${(loop.time() - start).toFixed(2)} s: ${left} to go`);
    if (left === 0) {
        loop.stop();
    } else {
        // from the time it was due, not from now: so it does not drift
        when += 0.05;
        loop.call_at(when, tick, when, left - 1);
    }
}

loop.call_at(start, tick, start, 4);
const forgotten = loop.call_later(0.1, print, 'this is never printed');
loop.call_soon(() => forgotten.cancel());

loop.run_forever();
loop.close();
