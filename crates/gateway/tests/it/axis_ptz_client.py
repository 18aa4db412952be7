"""Moves a camera of Axis with the requests of a client that others wrote (axis, by which Home Assistant asks them), as the test wants it: orders as JSON
objects on standard input, one a line, and the answer of the camera to each, a JSON object a line.

Of the package its requests are used, which are plain Python, but for the classes above them, whose notation is that of Python 3.12: here they are
empty.
"""
import asyncio
import importlib.machinery
import importlib.util
import json
import os
import sys
import types
import typing

import aiohttp

address, username, password = sys.argv[1:]
ROOT = os.path.join(os.environ["PYTHONPATH"], "axis", "models")

Value = typing.TypeVar("Value")


class Empty(typing.Generic[Value]):
    pass


above = types.ModuleType("axis.models.api")
above.ApiRequest = above.ApiResponse = Empty
above.BytesResponse = None
for name in ("axis", "axis.models"):
    made = types.ModuleType(name)
    made.__path__ = []
    sys.modules[name] = made
sys.modules["axis.models.api"] = above
spec = importlib.util.spec_from_file_location("axis.models.ptz_cgi", os.path.join(ROOT, "ptz_cgi.py"))
ptz = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = ptz
spec.loader.exec_module(ptz)


def request(order):
    if "query" in order:
        return ptz.QueryRequest(ptz.PtzQuery(order["query"]))
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in order.items()}
    if "move" in values:
        values["move"] = ptz.PtzMove(values["move"])
    return ptz.PtzControlRequest(**values)


async def main():
    digest = aiohttp.DigestAuthMiddleware(username, password)
    async with aiohttp.ClientSession(middlewares=[digest]) as session:
        for line in sys.stdin:
            asked = request(json.loads(line))
            url = f"http://{address}{asked.path}"
            async with session.request(asked.method, url, data=asked.data) as response:
                print(json.dumps({"status": response.status, "text": await response.text()}), flush=True)


asyncio.run(main())
