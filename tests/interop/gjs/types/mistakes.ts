// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A program full of mistakes, for test_types.py: "tsc --strict" must find what "wrong:" announces, and nothing else.

import Evp from 'gi://Evp?version=1.0';

async function child(loop: Evp.AbstractEventLoop): Promise<number> {
    const options = new Evp.SubprocessOptions({stdout: Evp.Stdio.PIPE, cwd: 3}); // wrong: TS2322
    options.set_stdin('pipe'); // wrong: TS2345
    const process = await loop.subprocess_exec_async(['true'], options, null);
    const [output] = await process.communicate_async(null, null);
    const text: string = output; // wrong: TS2322
    process.no_such_method(); // wrong: TS2339
    print(process.get_returncode().toString()); // wrong: TS2531
    const code: string = await process.wait_async(null); // wrong: TS2322
    print(text, code);
    return process.wait_async(null);
}

function readable(fd: number, name: string): void {
    print(`${fd} ${name}`);
}

async function main(loop: Evp.AbstractEventLoop, greeting: string): Promise<string> {
    loop.add_reader(0, readable, 'left');
    loop.add_reader('left', readable, 'left'); // wrong: TS2345
    loop.call_soon(readable, 1, 2); // wrong: TS2345
    loop.call_later('soon', () => {}); // wrong: TS2769
    const future = loop.create_future();
    future.no_such_method(); // wrong: TS2339
    return `${greeting} ${await child(loop)}`;
}

Evp.set_event_loop_policy(new Evp.PollSelector()); // wrong: TS2740
const length: number = Evp.run(main, 'hello'); // wrong: TS2322
Evp.run(main, 3); // wrong: TS2345
print(length);
