#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// The smallest program: a main function in a loop.

imports.gi.versions.Evp = '1.0';
const {Evp} = imports.gi;

Evp.run(async loop => {
    print('hello');
    const later = loop.create_future();
    loop.call_later(0.1, () => later.set_result('and goodbye, 0.1 seconds later'));
    print(await later);
});
