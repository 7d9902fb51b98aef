// The protocol by hand: a plain WebSocket that knows nothing of the SDK, and every frame in and out.
import { $, make } from './look.js';

/** How many frames are kept. */
const keep = 300;

const examples = [
  ['ping', { type: 'ping', id: 1 }],
  ['subscribe', { type: 'subscribe', id: 2, channel: 'chat:lobby', payload: { from: { last: 3 } } }],
  ['publish', { type: 'publish', id: 3, channel: 'chat:lobby', payload: { name: 'by hand', text: 'hello from a plain WebSocket' } }],
  ['history', { type: 'history', id: 4, channel: 'ticker:demo', payload: { limit: 3 } }],
  ['presence', { type: 'presence', id: 5, channel: 'chat:lobby', payload: { limit: 100 } }],
  ['call', { type: 'call', id: 6, method: 'echo', payload: { hello: 'world' } }],
  ['a mistake', { type: 'shout', id: 7 }],
];

export function frames(conn) {
  let socket;
  const own = $('raw-own');
  const open = () => {
    if (socket !== undefined) return;
    socket = new WebSocket(new URL('/v1/ws', location.href.replace(/^http/, 'ws')), ['hocket.v1.json']);
    socket.onopen = () => state('open');
    socket.onmessage = (event) => add('in', event.data);
    socket.onclose = (event) => {
      socket = undefined;
      state(`closed with ${event.code}${event.reason ? ` ${event.reason}` : ''}`);
    };
    state('opening');
  };
  const send = (text) => {
    open();
    const ready = socket;
    if (ready.readyState === WebSocket.CONNECTING) {
      ready.addEventListener('open', () => transmit(ready, text));
      return;
    }
    transmit(ready, text);
  };

  $('frames').addEventListener('toggle', () => {
    if ($('frames').open) open();
    else socket?.close(1000);
  });
  $('raw-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = $('raw').value.trim();
    if (text !== '') send(text);
  });
  $('raw').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.metaKey || event.ctrlKey)) return;
    event.preventDefault();
    $('raw-form').requestSubmit();
  });
  $('raw-clear').addEventListener('click', () => $('frame-list').replaceChildren());
  $('examples').replaceChildren(...examples.map(example));
  $('raw').value = JSON.stringify(examples[1][1]);
  conn.on('raw', ({ direction, text }) => {
    if ($('frames').open && own.checked) add(direction, text, true);
  });
}

function transmit(socket, text) {
  socket.send(text);
  add('out', text);
}

function example([label, message]) {
  const button = make('button', 'quiet', label);
  button.type = 'button';
  button.addEventListener('click', () => {
    $('raw').value = JSON.stringify(message);
    $('raw').focus();
  });
  return button;
}

function state(text) {
  $('raw-state').textContent = `The socket is ${text}.`;
}

function add(direction, text, ofPage = false) {
  const list = $('frame-list');
  const follow = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const li = make('li', `frame frame-${direction}${ofPage ? ' frame-page' : ''}`);
  li.dataset.testid = 'frame';
  li.dataset.direction = direction;
  const arrow = make('span', 'direction', direction === 'in' ? '←' : '→');
  arrow.title = `${direction === 'in' ? 'from' : 'to'} the server${ofPage ? ', over the page’s own connection' : ''}`;
  li.append(arrow, make('code', 'frame-text', typeof text === 'string' ? text : '(binary)'));
  list.append(li);
  while (list.childElementCount > keep) list.firstElementChild.remove();
  if (follow) list.scrollTop = list.scrollHeight;
}
