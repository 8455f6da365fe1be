# SPDX-License-Identifier: LGPL-2.1-or-later
"""evp_asyncio runs Debian's programs and libraries for asyncio, on loopback: R1, R2, R11, R13."""

import asyncio
import contextlib
import importlib.util
import logging
import shutil
import signal
import subprocess
import tempfile
import unittest

import evptest

import evp_asyncio


def needs(*names):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, f'there is no {" and no ".join(missing)}')


class Programs(evptest.TestCase):
    def setUp(self):
        super().setUp()
        evp_asyncio.install()
        self.addCleanup(asyncio.set_event_loop_policy, None)

    @needs('aiohttp')
    def test_aiohttp(self):
        """R1: a server and a client of aiohttp's, with many requests at once."""
        import aiohttp
        from aiohttp import web

        async def upper(request):
            return web.Response(text=(await request.text()).upper())

        async def stream(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(50):
                await response.write(b'x' * 10000)
            return response

        async def main():
            application = web.Application()
            application.router.add_post('/upper', upper)
            application.router.add_get('/stream', stream)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, '127.0.0.1', 0).start()
            root = 'http://127.0.0.1:{}'.format(runner.addresses[0][1])

            async with aiohttp.ClientSession() as session:
                async def post(text):
                    async with session.post(root + '/upper', data=text) as response:
                        return await response.text()

                answers = await asyncio.gather(*(post(f'request {n}') for n in range(30)))
                self.assertEqual(answers, [f'REQUEST {n}' for n in range(30)])
                async with session.get(root + '/stream') as response:
                    self.assertEqual(len(await response.read()), 500000)
            await runner.cleanup()

        asyncio.run(main())

    @needs('websockets')
    def test_websockets(self):
        """R1: a server and a client of websockets'."""
        import websockets

        async def echo(websocket, *_path):
            async for message in websocket:
                await websocket.send(message)

        async def main():
            async with websockets.serve(echo, '127.0.0.1', 0) as server:
                port = server.sockets[0].getsockname()[1]
                async with websockets.connect(f'ws://127.0.0.1:{port}') as client:
                    for message in 'text', b'bytes', 'x' * 200000:
                        await client.send(message)
                        self.assertEqual(await client.recv(), message)

        asyncio.run(main())

    @contextlib.contextmanager
    def private_bus(self):
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as config:
            config.write('''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
''')
            config.flush()
            bus = subprocess.Popen(['dbus-daemon', '--nofork', '--print-address', '--config-file=' + config.name],
                                   stdout=subprocess.PIPE, text=True)
            try:
                yield bus.stdout.readline().strip()
            finally:
                bus.terminate()
                bus.wait()
                bus.stdout.close()

    @needs('dbus_next')
    @unittest.skipUnless(shutil.which('dbus-daemon'), 'there is no dbus-daemon')
    def test_dbus(self):
        """R1: a service and a client of dbus-next's on a bus of their own."""
        from dbus_next.aio import MessageBus
        from dbus_next.service import ServiceInterface, method

        # dbus-next reads annotations as signatures of D-Bus
        def echo(self, text):
            return text.upper()

        echo.__annotations__ = {'text': 's', 'return': 's'}
        interface = type('Interface', (ServiceInterface,), {'Echo': method(name='Echo')(echo)})('com.example.Evp')

        async def main(address):
            service = await MessageBus(bus_address=address).connect()
            service.export('/evp', interface)
            await service.request_name('com.example.Evp')
            client = await MessageBus(bus_address=address).connect()
            description = await client.introspect('com.example.Evp', '/evp')
            proxy = client.get_proxy_object('com.example.Evp', '/evp', description)
            answers = await asyncio.gather(*(proxy.get_interface('com.example.Evp').call_echo(f'call {n}')
                                             for n in range(20)))
            self.assertEqual(answers, [f'CALL {n}' for n in range(20)])
            for bus in client, service:
                bus.disconnect()
                with contextlib.suppress(EOFError):
                    await bus.wait_for_disconnect()

        with self.private_bus() as address:
            asyncio.run(main(address))

    @needs('uvicorn', 'httpx')
    def test_uvicorn(self):
        """R1, R11: uvicorn serves httpx, and ends by a signal."""
        import httpx
        import uvicorn

        logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)

        async def application(scope, receive, send):
            await receive()
            await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/plain')]})
            await send({'type': 'http.response.body', 'body': scope['path'].encode()})

        async def main():
            server = uvicorn.Server(uvicorn.Config(application, host='127.0.0.1', port=0, loop='none', lifespan='off',
                                                   log_config=None, access_log=False))
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.001)
            port = server.servers[0].sockets[0].getsockname()[1]
            async with httpx.AsyncClient(trust_env=False) as client:
                answers = await asyncio.gather(*(client.get(f'http://127.0.0.1:{port}/{n}') for n in range(10)))
            self.assertEqual([answer.text for answer in answers], [f'/{n}' for n in range(10)])
            signal.raise_signal(signal.SIGTERM)
            await serving

        passed_on = []
        before = signal.signal(signal.SIGTERM, lambda signum, _frame: passed_on.append(signum))
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        asyncio.run(main())
        # since 0.29 it passes the signal on when it has ended
        self.assertEqual(passed_on, [signal.SIGTERM] if hasattr(uvicorn.Server, 'capture_signals') else [])


if __name__ == '__main__':
    evptest.main()
