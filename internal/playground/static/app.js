// The playground: a few channels over one connection. Each part of the page has a file of its own; this one connects
// them. In the browser's console the connection is `hocket`.
import { connect } from './hocket.js';
import { chat } from './chat.js';
import { cursors } from './cursors.js';
import { frames } from './frames.js';
import { ownName, people } from './people.js';
import { status } from './status.js';
import { ticker } from './ticker.js';
import { typing } from './typing.js';

const conn = connect(new URL('/v1/ws', location.href).href, { info: { name: ownName() }, pingEveryMs: 3_000, pongTimeoutMs: 4_000 });
globalThis.hocket = conn;

const lobby = conn.channel('chat:lobby', { from: { last: 50 }, presence: true });
status(conn);
people(conn, lobby);
chat(conn, lobby);
typing(conn, lobby);
cursors(conn, lobby);
ticker(conn);
frames(conn);
lobby.subscribe();
