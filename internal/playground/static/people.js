// Who is here: the members of the lobby, and one's own name.
import { $, initial, make, nameOf, voice } from './look.js';

const stored = 'hocket.name';
const moods = ['Quiet', 'Bright', 'Swift', 'Gentle', 'Bold', 'Early', 'Northern', 'Golden', 'Silver', 'Wandering'];
const birds = ['Heron', 'Wren', 'Finch', 'Lark', 'Swift', 'Owl', 'Tern', 'Plover', 'Robin', 'Crane', 'Starling', 'Curlew'];

/** The chosen name, else one made up for this tab. */
export function ownName() {
  const known = read(localStorage) ?? read(sessionStorage);
  if (known) return known;
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  const name = `${pick(moods)} ${pick(birds)}`;
  write(sessionStorage, name);
  return name;
}

/** Shows the members of the lobby and lets one choose a name. */
export function people(conn, lobby) {
  const field = $('name');
  field.value = ownName();
  const choose = () => {
    const name = field.value.trim();
    if (name === '') {
      field.value = ownName();
      return;
    }
    if (name === ownName()) return;
    write(localStorage, name);
    write(sessionStorage, name);
    conn.setInfo({ name });
    draw(conn, lobby);
  };
  field.addEventListener('change', choose);
  $('naming').addEventListener('submit', (event) => {
    event.preventDefault();
    field.blur();
    choose();
  });

  let settled = false; // nobody "joins" while the first list is being read
  const presence = lobby.presence;
  const redraw = () => draw(conn, lobby);
  presence.on('sync', () => {
    settled = true;
    redraw();
  });
  presence.on('update', redraw);
  presence.on('join', (m) => {
    redraw();
    if (settled && m.session !== conn.session) tell(`${nameOf(m)} joined`);
  });
  presence.on('leave', (m) => {
    redraw();
    if (settled && conn.state === 'connected') tell(`${nameOf(m)} left`);
  });
  conn.on('connected', () => {
    settled = false;
    redraw();
  });
}

function draw(conn, lobby) {
  const members = lobby.presence.members;
  const others = members.filter((m) => m.session !== conn.session);
  const rows = others.map((m) => row(m, nameOf(m), false));
  if (members.length > others.length || conn.state === 'connected') rows.unshift(row({ session: conn.session }, ownName(), true));
  $('members').replaceChildren(...rows);
  $('count').textContent = String(rows.length);
}

function row(member, name, own) {
  const li = make('li', `member ${voice(name)}`);
  li.dataset.testid = 'member';
  li.dataset.session = member.session;
  const badge = make('span', 'badge', initial(name));
  badge.setAttribute('aria-hidden', 'true');
  li.append(badge, make('span', 'member-name', name));
  if (own) li.append(make('span', 'you', 'you'));
  return li;
}

let silence;

/** Says who came or went, for a moment. */
function tell(text) {
  const line = $('comings');
  line.textContent = text;
  line.classList.add('told');
  clearTimeout(silence);
  silence = setTimeout(() => line.classList.remove('told'), 6_000);
}

// Storage may be forbidden; a name is not worth failing for.

function read(storage) {
  try {
    return storage.getItem(stored);
  } catch {
    return null;
  }
}

function write(storage, name) {
  try {
    storage.setItem(stored, name);
  } catch {
    // kept until the page is left
  }
}
