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

PAGES = {f'/page/{number}': f'This is page {number}.\n' * 100 * number for number in range(1, 9)}
CHILD = ['sh', '-c', 'for step in 1 2 3 4 5; do sleep 0.1; echo "step $step of 5"; done']


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
        await asyncio.sleep(0.1)
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
        if self.get_active_window() is not None:  # started a second time
            self.get_active_window().present()
            return
        self.task: asyncio.Task[None] | None = None
        self.start = Gtk.Button(label='Start')
        self.start.connect('clicked', self.clicked)
        self.stop = Gtk.Button(label='Stop', sensitive=False)
        self.stop.connect('clicked', self.cancel)
        header = Gtk.HeaderBar()
        header.pack_start(self.start)
        header.pack_start(self.stop)

        self.progress = Gtk.ProgressBar(show_text=True, text='no pages yet')
        self.frames = 0
        self.responsive = Gtk.Label(xalign=0)
        self.responsive.add_tick_callback(self.frame)
        self.output = Gtk.TextView(editable=False, monospace=True, left_margin=6, top_margin=6)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12, margin_top=12, margin_bottom=12,
                      margin_start=12, margin_end=12)
        for widget in self.progress, self.responsive, Gtk.ScrolledWindow(child=self.output, vexpand=True,
                                                                         has_frame=True):
            box.append(widget)
        window = Gtk.ApplicationWindow(application=self, title='asyncio in GTK', titlebar=header, child=box,
                                       default_width=480, default_height=400)
        window.connect('close-request', self.cancel)
        window.present()
        if '--quit' in sys.argv:
            self.clicked(self.start)

    def clicked(self, _button):
        # a signal handler is inside the running loop
        self.task = evp_asyncio.create_application_task(self, self.work())

    def cancel(self, _widget):
        if self.task is not None:
            self.task.cancel()

    def frame(self, label, _clock):
        """GTK draws while asyncio works."""
        if self.task is not None and not self.task.done():
            self.frames += 1
            label.set_label(f'{self.frames} frames drawn meanwhile')
        return True

    def show(self, text):
        buffer = self.output.get_buffer()
        buffer.insert(buffer.get_end_iter(), text + '\n')

    async def work(self):
        self.start.set_sensitive(False)
        self.stop.set_sensitive(True)
        self.frames = 0
        try:
            async with asyncio.TaskGroup() as group:  # if one fails, the other is cancelled
                group.create_task(self.fetch_pages())
                group.create_task(self.run_child())
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
        port = server.sockets[0].getsockname()[1]
        async with server, asyncio.TaskGroup() as group:
            self.progress.set_fraction(0)
            fetches = [group.create_task(fetch(port, path)) for path in PAGES]
            for number, page in enumerate(asyncio.as_completed(fetches), 1):
                size = len(await page)
                self.progress.set_fraction(number / len(PAGES))
                self.progress.set_text(f'{number} of {len(PAGES)} pages')
                self.show(f'a page of {size} bytes')

    async def run_child(self):
        process = await asyncio.create_subprocess_exec(*CHILD, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self.show(f'the child says: {line.decode().strip()}')
            self.show(f'the child ended with {await process.wait()}')
        finally:
            if process.returncode is None:  # cancelled
                process.terminate()
                await process.wait()


if not Gtk.init_check():
    print('there is no display', file=sys.stderr)
    sys.exit(77)
application = Application(application_id='com.example.EvpAsyncio', flags=Gio.ApplicationFlags.NON_UNIQUE)
status = evp_asyncio.run_application(application, sys.argv[:1])
if '--quit' in sys.argv:
    text = application.output.get_buffer()
    print(text.get_text(*text.get_bounds(), False), end='')
    assert application.task is not None
    application.task.result()  # or what went wrong
sys.exit(status)
