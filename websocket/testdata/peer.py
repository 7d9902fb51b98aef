"""A peer made of Python's websockets, for peers_test.go:

    python3 peer.py serve OPTIONS        prints "port N" and echoes whatever comes
    python3 peer.py dial OPTIONS URL     sends messages of many sizes, prints "ok EXTENSIONS" once all came back

OPTIONS is the JSON of the permessage-deflate factory's parameters, or null for no compression.
"""

import asyncio
import json
import sys

import websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

what, options = sys.argv[1], json.loads(sys.argv[2])
LIMIT = 64 << 20


def extensions(factory):
    return None if options is None else [factory(**options)]


async def serve():
    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    factory = extensions(ServerPerMessageDeflateFactory)
    async with websockets.serve(echo, "127.0.0.1", 0, compression=None, extensions=factory, max_size=LIMIT) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def dial(url):
    words = "the hocket is a melody shared between voices: während one singt, the other schweigt … 楽譜 "
    factory = extensions(ClientPerMessageDeflateFactory)
    async with websockets.connect(url, compression=None, extensions=factory, max_size=LIMIT) as socket:
        for n in [0, 1, 100, 511, 512, 1000, 5000, 5000, 70000, 300000]:
            text = (words * (n // len(words) + 1))[:n]
            for message in text, text.encode():
                await socket.send(message)
                got = await socket.recv()
                assert got == message, f"a message of {n} came back wrong"
        await (await socket.ping())
        agreed = socket.extensions
    assert socket.close_code == 1000, socket.close_code
    print("ok", *agreed)


asyncio.run(serve() if what == "serve" else dial(sys.argv[3]))
