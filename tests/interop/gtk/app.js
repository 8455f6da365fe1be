// SPDX-License-Identifier: LGPL-2.1-or-later
// A GtkApplication drives the loop of the default context: a child's output arrives in a label.

imports.gi.versions.Evp = '1.0';
imports.gi.versions.Gtk = '4.0';
const System = imports.system;
let Gtk;
try {
    ({Gtk} = imports.gi);
} catch (error) {
    print(`1..0 # SKIP no GTK 4 in GJS: ${error.message}`);
    System.exit(0);
}
const {Evp, Gio, GLib} = imports.gi;

if (!Gtk.init_check()) {
    print('1..0 # SKIP no display');
    System.exit(0);
}

const CHILD = GLib.getenv('EVP_TEST_CHILD');
let count = 0;
let failed = 0;

function check(name, value) {
    if (!value)
        failed++;
    print(`${value ? '' : 'not '}ok ${++count} - ${name}`);
}

const application = new Gtk.Application(
    {application_id: 'com.example.EvpTest', flags: Gio.ApplicationFlags.NON_UNIQUE});
let loop, window, label;

// Rules: Q-22, P-24, L-11
async function program() {
    const options = new Evp.SubprocessOptions();
    options.set_stdout(Evp.Stdio.PIPE);
    const process = await loop.subprocess_exec_async([CHILD, 'echo', 'hello from a child'], options, null);
    const [output] = await process.communicate_async(null, null);
    label.label = new TextDecoder().decode(output.get_data());
    check('the output of a child is in the label', label.label.includes('hello from a child'));
    check('its return code is known', process.get_returncode() === 0);

    const future = loop.create_future();
    loop.call_later(0.01, () => future.set_result(Evp.get_running_loop() === loop));
    check('the running loop is known in a callback', await future);

    const modal = new GLib.MainLoop(null, false);
    let timer = false;
    loop.call_later(0.01, () => {
        timer = true;
        modal.quit();
    });
    modal.run();
    check('a timer ran inside a nested main loop', timer);
}

application.connect('activate', () => {
    // nobody runs this loop: the application iterates the main context that it lives in
    loop = Evp.get_event_loop();
    label = new Gtk.Label({label: 'nothing yet'});
    window = new Gtk.ApplicationWindow({application, child: label});
    window.present();
    GLib.timeout_add_seconds(GLib.PRIORITY_DEFAULT, 30, () => System.exit(3));
    program().catch(error => check(`no exception: ${error}`, false)).finally(() => {
        window.destroy();
        application.quit();
    });
});
application.run([]);
loop.close();
print(`1..${count}`);
System.exit(failed ? 1 : 0);
