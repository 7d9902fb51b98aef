// The lobby's conversation. What is on screen is the log, in its order; what one has written oneself waits below it until
// the log has it. Nothing here compares texts: the SDK delivers each entry once.
import { $, initial, make, nameOf, voice } from './look.js';
import { ownName } from './people.js';

/** How much of the conversation the page keeps. */
const keep = 1_000;

export function chat(conn, lobby) {
  const view = new View(conn, lobby);
  const outbox = new Outbox(conn, lobby, view);
  let away = false;

  conn.on('connected', (c) => view.sessions.add(c.session));
  conn.on('state', ({ state, previous }) => {
    if (previous === 'connected' && state !== 'connected') away = true;
    outbox.refresh();
  });
  lobby.on('reset', (e) => {
    away = false;
    view.reset(e);
  });
  lobby.on('subscribed', (e) => {
    view.epoch = e.epoch;
    if (away && e.recovered) view.welcomeBack();
    away = false;
    view.showEmpty();
    outbox.settle();
  });
  lobby.on('gap', (e) => view.gap(e));
  lobby.on('message', (m) => {
    const own = view.message(m);
    if (outbox.settle() === 0 && own) outbox.stepAside();
  });
  lobby.on('unsubscribed', ({ error, retrying }) => {
    if (!retrying) view.divider('break', `The lobby is closed to this page: ${error.message}`);
  });

  $('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = $('message').value.trim();
    if (text === '') return;
    $('message').value = '';
    outbox.say(text);
    view.toEnd();
  });
}

/** The messages on screen. */
class View {
  epoch = '';
  /** The names this page's own sessions have had. */
  sessions = new Set();
  #conn;
  #lobby;
  #list = $('messages');
  #scroll = $('scroll');
  #last; // { author, time } of the newest message, to group what one person says
  #offset = 0; // of the newest message in the epoch
  #shown = new Set(); // epoch and offset of what stands on screen
  #epochs = new Set(); // the ones that have ended
  #missed; // the divider that counts what was missed

  constructor(conn, lobby) {
    this.#conn = conn;
    this.#lobby = lobby;
    $('newer').addEventListener('click', () => this.toEnd());
    this.#scroll.addEventListener('scroll', () => {
      if (this.#atEnd()) $('newer').hidden = true;
    });
  }

  /** Shows an entry of the log. Returns whether this page wrote it. */
  message(m) {
    this.#offset = m.offset;
    $('place').textContent = `${m.channel} @ ${m.offset}`;
    $('place').title = `The channel, and how far its log has come: offset ${m.offset} of epoch ${m.epoch}`;
    const own = m.from !== undefined && this.sessions.has(m.from.session);
    if (this.#missed !== undefined && !m.live && !own) this.#countMissed();
    const member = m.from && this.#lobby.presence.get(m.from.session);
    const { name, text } = read(m, member);
    this.#append({ name, text, own, time: m.time, offset: m.offset, epoch: m.epoch });
    return own;
  }

  /** Whether an entry of the log stands on screen, or must have come by. */
  passed(at) {
    return this.#shown.has(`${at.epoch} ${at.offset}`);
  }

  /** Whether nothing will bring this entry any more: the log has moved past it, or is no longer the one it is in. */
  gone(at) {
    return at.epoch === this.epoch ? this.#offset > at.offset : this.#epochs.has(at.epoch);
  }

  reset(e) {
    this.#missed = undefined;
    if (e.epoch === e.oldEpoch) {
      this.divider('break', 'Back online — some messages are no longer kept by the server');
      return;
    }
    this.#epochs.add(e.oldEpoch);
    this.epoch = e.epoch;
    this.#offset = 0;
    this.divider('epoch', `The server began anew — what follows is a new epoch, ${e.epoch}`);
  }

  gap(e) {
    this.divider('break', `Messages ${e.from} to ${e.to} were not sent (${e.reason.replaceAll('_', ' ')})`);
  }

  /** The line stands again and nothing is lost: what comes now until it is live was missed. */
  welcomeBack() {
    if (this.#missed !== undefined && this.#missed === this.#list.lastElementChild) this.#missed.remove();
    this.#missed = this.divider('missed', 'Back online — you missed nothing');
    this.#missed.dataset.missed = '0';
  }

  #countMissed() {
    const n = Number(this.#missed.dataset.missed) + 1;
    this.#missed.dataset.missed = String(n);
    this.#missed.firstChild.textContent = `Back online — ${n} message${n === 1 ? '' : 's'} you missed`;
  }

  divider(kind, text) {
    const li = make('li', `divider divider-${kind}`);
    li.dataset.testid = `divider-${kind}`;
    li.append(make('span', '', text));
    this.#last = undefined;
    this.#add(li);
    return li;
  }

  /** Puts a message of one's own where it belongs although the log will not bring it. */
  keepOwn(item) {
    this.#append({ name: ownName(), text: item.text, own: true, time: Date.now(), offset: item.at.offset, epoch: item.at.epoch });
  }

  showEmpty() {
    $('empty').hidden = this.#list.childElementCount > 0 || $('outbox').childElementCount > 0;
  }

  toEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    $('newer').hidden = true;
  }

  #append({ name, text, own, time, offset, epoch }) {
    this.#shown.add(`${epoch} ${offset}`);
    const follows = this.#last?.name === name && time - this.#last.time < 120_000;
    this.#last = { name, time };
    const li = bubble(name, text, own, !follows);
    li.dataset.testid = 'message';
    li.dataset.offset = String(offset);
    li.dataset.epoch = epoch;
    const when = make('time', 'when', new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    when.dateTime = new Date(time).toISOString();
    when.title = `offset ${offset}, epoch ${epoch}`;
    li.querySelector('.line').append(when);
    this.#add(li);
  }

  #add(li) {
    const follow = this.#atEnd();
    this.#list.append(li);
    while (this.#list.childElementCount > keep) this.#drop(this.#list.firstElementChild);
    this.showEmpty();
    if (follow) this.toEnd();
    else $('newer').hidden = false;
  }

  #drop(li) {
    this.#shown.delete(`${li.dataset.epoch} ${li.dataset.offset}`);
    li.remove();
  }

  #atEnd() {
    const s = this.#scroll;
    return s.scrollHeight - s.scrollTop - s.clientHeight < 60;
  }
}

/** What this page has said and not yet seen in the log. */
class Outbox {
  #conn;
  #lobby;
  #view;
  #items = [];

  constructor(conn, lobby, view) {
    this.#conn = conn;
    this.#lobby = lobby;
    this.#view = view;
  }

  say(text) {
    const li = bubble(ownName(), text, true, this.#items.length === 0);
    li.dataset.testid = 'pending';
    li.classList.add('pending');
    const note = make('span', 'when note');
    li.querySelector('.line').append(note);
    const item = { text, name: ownName(), li, note, at: undefined };
    this.#items.push(item);
    $('outbox').append(li);
    this.#view.showEmpty();
    this.#publish(item);
  }

  /** Takes away what stands in the log above by now. Returns how many those were. */
  settle() {
    const before = this.#items.length;
    for (const item of [...this.#items]) {
      if (item.at === undefined) continue;
      if (this.#view.passed(item.at)) this.#remove(item);
      else if (this.#view.gone(item.at)) {
        this.#remove(item);
        this.#view.keepOwn(item);
      }
    }
    return before - this.#items.length;
  }

  /**
   * The log has brought something of one's own whose answer was lost with the line; it will come again. Until then the
   * oldest message on its way is not shown a second time.
   */
  stepAside() {
    const oldest = this.#items.find((item) => item.at === undefined && !item.li.hidden);
    if (oldest !== undefined) oldest.li.hidden = true;
  }

  refresh() {
    for (const item of this.#items) {
      item.li.hidden = false;
      this.#tell(item);
    }
  }

  #publish(item) {
    this.#tell(item);
    this.#lobby.publish({ text: item.text, name: item.name }).then(
      (at) => {
        item.at = at;
        this.settle();
      },
      (error) => this.#failed(item, error),
    );
  }

  /** The server has refused it, so it is in no log: it may be said again, now or when the reader wants to. */
  #failed(item, error) {
    if (error.retryable) {
      setTimeout(() => this.#publish(item), Math.max(500, error.retryAfterMs));
      return;
    }
    item.li.classList.add('failed');
    item.note.textContent = error.message;
    const again = make('button', 'again', 'Try again');
    again.type = 'button';
    again.addEventListener('click', () => {
      again.remove();
      item.li.classList.remove('failed');
      this.#publish(item);
    });
    item.li.querySelector('.line').append(again);
  }

  #tell(item) {
    if (item.li.classList.contains('failed')) return;
    item.note.textContent = this.#conn.state === 'connected' ? 'sending' : 'waits for the line';
  }

  #remove(item) {
    this.#items = this.#items.filter((i) => i !== item);
    item.li.remove();
  }
}

/** One message: who, if it is not the one before, and what. */
function bubble(name, text, own, first) {
  const li = make('li', `message ${voice(name)}${own ? ' own' : ''}${first ? ' first' : ''}`);
  if (first) {
    const badge = make('span', 'badge', initial(name));
    badge.setAttribute('aria-hidden', 'true');
    li.append(badge, make('span', 'author', name));
  }
  const line = make('div', 'line');
  line.append(make('span', 'text', text));
  li.append(line);
  return li;
}

/** Name and text of a message. Anyone may publish anything here, by hand too, so everything is possible. */
function read(m, member) {
  const p = m.payload;
  const fields = typeof p === 'object' && p !== null ? p : {};
  const text = typeof fields.text === 'string' ? fields.text : typeof p === 'string' ? p : JSON.stringify(p) ?? '';
  if (typeof fields.name === 'string' && fields.name.trim() !== '') return { name: fields.name.slice(0, 32), text };
  if (m.from === undefined) return { name: 'server', text };
  return { name: nameOf(member ?? m.from), text };
}
