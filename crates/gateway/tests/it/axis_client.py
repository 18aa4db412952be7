"""A client of cameras of Axis that others wrote (axis, by which Home Assistant hears them), as the test wants it: what it hears, a JSON object a line.

It names Python 3.14, and some of its modules are written in no older Python. The one that hears event streams is not: it runs here as it is, with
annotations that are not evaluated, as in 3.14. What it does not use is left out: the package's own beginning, and a list of interfaces.
"""
import __future__
import asyncio
import importlib.abc
import importlib.machinery
import json
import os
import sys
import types

import aiohttp

address, username, password = sys.argv[1:]
ROOT = os.path.join(os.environ["PYTHONPATH"], "axis")


class Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, *, _optimize=-1):
        flags = __future__.annotations.compiler_flag
        return compile(data, path, "exec", flags=flags, dont_inherit=True, optimize=_optimize)

    def get_code(self, name):
        # Never what another Python has compiled.
        path = self.get_filename(name)
        return self.source_to_code(self.get_data(path), path)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        package, _, module = name.rpartition(".")
        if package not in ("axis", "axis.models"):
            return None
        file = os.path.join(ROOT, *name.split(".")[1:]) + ".py"
        return importlib.util.spec_from_file_location(name, file, loader=Loader(name, file))


def package(name, folder):
    made = types.ModuleType(name)
    made.__path__ = [folder]
    sys.modules[name] = made


package("axis", ROOT)
package("axis.models", os.path.join(ROOT, "models"))
interfaces = types.ModuleType("axis.models.api_discovery")
interfaces.ApiId = None
sys.modules["axis.models.api_discovery"] = interfaces
sys.meta_path.insert(0, Finder())

from axis.models.event import Event  # noqa: E402
from axis.rtsp import Signal  # noqa: E402
from axis.websocket import WebSocketClient  # noqa: E402


class Vapix:
    """Asks with HTTP Digest, as the package does."""

    def __init__(self, session):
        self.session = session

    async def request(self, method, path):
        async with self.session.request(method, f"http://{address}{path}") as response:
            response.raise_for_status()
            return await response.read()


def say(**what):
    print(json.dumps(what), flush=True)


async def main():
    digest = aiohttp.DigestAuthMiddleware(username, password)
    async with aiohttp.ClientSession(middlewares=[digest]) as asking, aiohttp.ClientSession() as streaming:
        config = types.SimpleNamespace(session=streaming, verify_ssl=True, username=username, password=password)
        device = types.SimpleNamespace(config=config, vapix=Vapix(asking))
        ended = asyncio.Event()

        def told(signal):
            if signal is Signal.DATA:
                event = Event.decode(client.data)
                say(topic=event.topic, id=event.id, state=event.state, is_tripped=event.is_tripped)
            else:
                say(signal=signal)
                if signal is Signal.FAILED:
                    ended.set()

        client = WebSocketClient(device, f"ws://{address}/vapix/ws-data-stream?sources=events", told)
        await client.start()
        await ended.wait()


asyncio.run(main())
