#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio in a GTK application: pages over streams, a child process with live output, and a window that stays responsive.

The pages come from a server on this machine that the program brings along. With --quit it ends when all is done.
"""

import asyncio
import sys

import gi

gi.require_version('Gtk', '4.0')
from gi.repository import Gio, Gtk  # noqa: E402

import evp_asyncio  # noqa: E402

PAGES = {f'/page/{number}': f'This is page {number}.\n' * 100 * number for number in range(1, 6)}
CHILD = ['sh', '-c', 'for line in one two three; do echo "line $line"; sleep 0.1; done']


async def serve(reader, writer):
    """Answers one request, slowly enough to be seen."""
    path = (await reader.readline()).decode().split()[1]
    while await reader.readline() not in (b'\r\n', b''):
        pass
    body = PAGES.get(path, '').encode()
    writer.write(f'HTTP/1.0 {200 if body else 404}\r\nContent-Length: {len(body)}\r\n\r\n'.encode())
    for start in range(0, len(body), 4096):
        writer.write(body[start:start + 4096])
        await writer.drain()
        await asyncio.sleep(0.01)
    writer.close()


async def fetch(port, path):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(f'GET {path} HTTP/1.0\r\n\r\n'.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b'\r\n\r\n')[2]


class Application(Gtk.Application):
    def do_activate(self):
        self.progress = Gtk.ProgressBar(show_text=True, text='pages')
        self.output = Gtk.TextView(editable=False, monospace=True, vexpand=True)
        self.start = Gtk.Button(label='Start')
        self.start.connect('clicked', self.clicked)
        self.stop = Gtk.Button(label='Stop', sensitive=False)
        self.stop.connect('clicked', lambda _button: self.task.cancel())
        self.beat = Gtk.Spinner(spinning=True)

        buttons = Gtk.Box(spacing=6)
        for widget in self.start, self.stop, self.beat:
            buttons.append(widget)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin_top=12, margin_bottom=12,
                      margin_start=12, margin_end=12)
        for widget in buttons, self.progress, Gtk.ScrolledWindow(child=self.output, vexpand=True):
            box.append(widget)
        self.window = Gtk.ApplicationWindow(application=self, title='asyncio in GTK', child=box, default_width=420,
                                            default_height=300)
        self.window.present()
        if '--quit' in sys.argv:
            self.clicked(self.start)

    def clicked(self, _button):
        # a signal handler is inside the running loop
        self.task = evp_asyncio.create_application_task(self, self.work())

    def show(self, text):
        end = self.output.get_buffer().get_end_iter()
        self.output.get_buffer().insert(end, text + '\n')

    async def work(self):
        self.start.set_sensitive(False)
        self.stop.set_sensitive(True)
        try:
            await asyncio.gather(self.fetch_pages(), self.run_child())
            self.show('done')
        except asyncio.CancelledError:
            self.show('stopped')
            raise
        finally:
            self.start.set_sensitive(True)
            self.stop.set_sensitive(False)
        if '--quit' in sys.argv:
            self.quit()

    async def fetch_pages(self):
        server = await asyncio.start_server(serve, '127.0.0.1', 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            fetches = [asyncio.ensure_future(fetch(port, path)) for path in PAGES]
            for number, page in enumerate(asyncio.as_completed(fetches), 1):
                size = len(await page)
                self.progress.set_fraction(number / len(PAGES))
                self.show(f'a page of {size} bytes')

    async def run_child(self):
        process = await asyncio.create_subprocess_exec(*CHILD, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self.show(f'the child says: {line.decode().strip()}')
            self.show(f'the child ended with {await process.wait()}')
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise


if not Gtk.init_check():
    print('there is no display', file=sys.stderr)
    sys.exit(77)
application = Application(application_id='com.example.EvpAsyncio', flags=Gio.ApplicationFlags.NON_UNIQUE)
status = evp_asyncio.run_application(application, sys.argv[:1])
if '--quit' in sys.argv:
    text = application.output.get_buffer()
    print(text.get_text(*text.get_bounds(), False), end='')
sys.exit(status)
