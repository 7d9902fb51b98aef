// A plain client: the `ws` package and JSON, nothing of Hocket's. Talks to a server started with --dev.
//
//     npm install ws && node chat.mjs ws://127.0.0.1:8000/v1/ws
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";

// WS_FROM names a file in whose directory `ws` is installed; without it, this one.
const { WebSocket } = createRequire(process.env.WS_FROM ?? import.meta.url)("ws");

const url = process.argv[2];
const ada = await open(url + "?user=ada");
const bob = await open(url + "?user=bob");

ada.say({ type: "subscribe", id: 1, channel: "chat:node", payload: { from: { last: 50 } } });
assert.equal((await ada.next()).payload.recovered, true);

bob.say({ type: "publish", id: 2, channel: "chat:node", payload: { text: "hi ada" }, idempotency_key: "n-1" });
const { offset } = (await bob.next()).payload;
const message = await ada.next();
assert.deepEqual([message.payload, message.from.user, message.offset], [{ text: "hi ada" }, "bob", offset]);

bob.say({ type: "publish", id: 3, channel: "chat:node", payload: { text: "hi ada" }, idempotency_key: "n-1" });
assert.deepEqual((await bob.next()).payload.duplicate, true);

console.log("ada read:", message.payload.text);
ada.close();
bob.close();

/** Opens a session and gives say and next, which waits for the next message. */
async function open(url) {
  const socket = new WebSocket(url);
  const read = [];
  socket.on("message", (data) => {
    read.push(JSON.parse(data));
    socket.emit("read");
  });
  const session = {
    say: (message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
    async next() {
      while (read.length === 0) await once(socket, "read");
      return read.shift();
    },
  };
  await once(socket, "open");
  assert.equal((await session.next()).type, "connected");
  return session;
}
