"""A plain client: Python's websockets and JSON, nothing of Hocket's. Talks to a server started with --dev.

    python3 chat.py ws://127.0.0.1:8000/v1/ws
"""

import asyncio
import json
import sys

import websockets


async def main(url):
    async with websockets.connect(url + "?user=ada") as ada, websockets.connect(url + "?user=bob") as bob:
        assert (await read(ada))["type"] == "connected"
        assert (await read(bob))["payload"]["user"] == "bob"

        await send(ada, type="subscribe", id=1, channel="chat:python", payload={"from": {"last": 50}})
        assert (await read(ada))["payload"]["recovered"] is True

        await send(bob, type="publish", id="a", channel="chat:python", payload={"text": "hi ada"})
        position = (await read(bob))["payload"]
        message = await read(ada)
        assert message["payload"] == {"text": "hi ada"} and message["from"]["user"] == "bob", message
        assert message["offset"] == position["offset"], message

        await send(bob, type="call", id="b", method="echo", payload=[1, "two", None])
        assert (await read(bob))["payload"] == [1, "two", None]
        print("ada read:", message["payload"]["text"])


async def send(socket, **message):
    await socket.send(json.dumps(message))


async def read(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


asyncio.run(main(sys.argv[1]))
