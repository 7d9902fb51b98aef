// Small things every part of the page needs: elements, names and colors.

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** Makes an element. Text goes in as text, whoever wrote it. */
export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const voices = 8;

/** Which of the voices' colors a name has: the same one on every screen. */
export function voice(name) {
  let sum = 0x811c9dc5; // FNV-1a: close names get distant colors
  for (const c of name) sum = Math.imul(sum ^ c.codePointAt(0), 0x01000193);
  return `voice-${((sum ^ (sum >>> 15)) >>> 0) % voices}`;
}

/** What to call a member: the name it gave itself, else its user, else a part of its session. */
export function nameOf(member) {
  const name = member?.info?.name;
  if (typeof name === 'string' && name.trim() !== '') return name.slice(0, 32);
  return member?.user || `guest ${String(member?.session ?? '').slice(0, 4)}`;
}

/** The first letter of a name, for its badge. */
export function initial(name) {
  return (Array.from(name)[0] ?? '?').toUpperCase();
}
