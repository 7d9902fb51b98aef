// Who is typing: a keyed channel in which each session has a key of its own while it types. The keys are ephemeral: whatever
// becomes of a page, the server deletes its key when the session ends.
import { $, nameOf } from './look.js';

/** How long one is said to type after the last stroke. */
const quietMs = 4_000;

export function typing(conn, lobby) {
  const map = conn.channel('typing:lobby', { from: 'state', recover: false }).map();
  const draw = () => {
    const sessions = conn.state === 'connected' ? [...map.keys()] : []; // without a line it is a memory
    const others = sessions.filter((s) => s !== conn.session).map((s) => lobby.presence.get(s));
    $('typing').textContent = sentence(others.filter((m) => m !== undefined).map(nameOf));
  };
  map.on('change', draw);
  map.on('sync', draw);
  for (const event of ['sync', 'join', 'leave', 'update']) lobby.presence.on(event, draw);
  conn.on('state', draw);
  tell(conn, map);
}

function sentence(names) {
  if (names.length === 0) return '';
  if (names.length > 3) return `${names.length} people are typing…`;
  const last = names.pop();
  return names.length === 0 ? `${last} is typing…` : `${names.join(', ')} and ${last} are typing…`;
}

/** Publishes that one is typing, once, and that one is not any more. */
function tell(conn, map) {
  let told = false;
  let timer;
  const stop = () => {
    clearTimeout(timer);
    if (told) map.delete(conn.session).catch(() => {}); // it ends with the session anyway
    told = false;
  };
  $('message').addEventListener('input', () => {
    if ($('message').value.trim() === '') return stop();
    clearTimeout(timer);
    timer = setTimeout(stop, quietMs);
    if (told || conn.state !== 'connected') return;
    told = true;
    map.set(conn.session, true, { ephemeral: true }).catch(() => (told = false));
  });
  $('composer').addEventListener('submit', stop);
  addEventListener('pagehide', stop);
}
