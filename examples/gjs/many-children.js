#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// Many children at once, of which at most a few run at the same time.

imports.gi.versions.Evp = '1.0';
const {Evp} = imports.gi;

const N_CHILDREN = 40;
const AT_ONCE = 8;

Evp.run(async loop => {
    const numbers = Array(N_CHILDREN).keys();
    const codes = [0, 0, 0];

    async function worker() {
        for (const number of numbers) { // all workers take from the same iterator
            const process = await loop.subprocess_shell_async(`exit ${number % 3}`, null, null);
            codes[await process.wait_async(null)]++;
        }
    }

    await Promise.all(Array.from({length: AT_ONCE}, worker));
    codes.forEach((count, code) => print(`${count} ended with ${code}`));
});
