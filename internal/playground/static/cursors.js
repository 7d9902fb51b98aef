// Everyone's pointer, live: a keyed channel in which each session writes its own key. A pointer is shown as long as its
// session is a member of the lobby.
import { $, make, nameOf, voice } from './look.js';

const everyMs = 50;

export function cursors(conn, lobby) {
  const channel = conn.channel('cursors:lobby', { from: 'state', recover: false });
  const map = channel.map();
  const shown = new Map(); // elements by session

  const draw = (session) => {
    const at = map.get(session);
    const member = lobby.presence.get(session);
    if (!isPlace(at) || member === undefined || session === conn.session || conn.state !== 'connected') {
      shown.get(session)?.remove();
      shown.delete(session);
      return;
    }
    let element = shown.get(session);
    if (element === undefined) {
      element = arrow(session);
      shown.set(session, element);
      $('cursors').append(element);
    }
    place(element, at);
    const name = nameOf(member);
    element.className = `cursor ${voice(name)}`;
    element.lastChild.textContent = name;
  };
  const drawAll = () => {
    for (const session of new Set([...shown.keys(), ...[...map].map(([key]) => key)])) draw(session);
  };

  map.on('change', ({ key }) => draw(key));
  map.on('sync', drawAll);
  lobby.presence.on('sync', drawAll);
  for (const event of ['join', 'leave', 'update']) lobby.presence.on(event, (m) => draw(m.session));
  conn.on('state', drawAll);
  send(conn, map, channel);
}

/** Publishes one's own pointer, at most every 50 ms and never ahead of the server. */
function send(conn, map, channel) {
  const stage = $('stage');
  let latest; // the place that is not published yet
  let timer;
  let open = 0;
  const flush = () => {
    timer = undefined;
    if (latest === undefined || conn.state !== 'connected' || conn.session === '') return;
    if (open < 2) {
      open++;
      const done = () => open--;
      channel.publish(latest, { key: conn.session, echo: false, ephemeral: true }).then(done, done);
      latest = undefined;
    }
    timer = setTimeout(flush, everyMs);
  };
  const moved = (event) => {
    const box = stage.getBoundingClientRect();
    latest = { x: round((event.clientX - box.left) / box.width), y: round((event.clientY - box.top) / box.height) };
    timer ??= setTimeout(flush, 0);
  };
  addEventListener('pointermove', moved, { passive: true });
  addEventListener('pointerdown', moved, { passive: true });
  const left = () => {
    latest = undefined;
    if (conn.state === 'connected') map.delete(conn.session).catch(() => {}); // gone with the session anyway
  };
  document.documentElement.addEventListener('pointerleave', left);
  addEventListener('pagehide', left);
}

function round(part) {
  return Math.round(Math.min(1, Math.max(0, part)) * 10_000) / 10_000;
}

function isPlace(at) {
  return typeof at === 'object' && at !== null && Number.isFinite(at.x) && Number.isFinite(at.y);
}

/** Places are parts of the stage, so that windows of all sizes mean the same. */
function place(element, at) {
  element.style.setProperty('--x', String(Math.min(1, Math.max(0, at.x))));
  element.style.setProperty('--y', String(Math.min(1, Math.max(0, at.y))));
}

function arrow(session) {
  const element = make('div', 'cursor');
  element.dataset.testid = 'cursor';
  element.dataset.session = session;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 16 20');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', 'M1 1 L1 15.5 L5 12 L7.8 18.4 L10.6 17.2 L7.8 10.9 L13 10.6 Z');
  svg.append(path);
  element.append(svg, make('span', 'cursor-name'));
  return element;
}
