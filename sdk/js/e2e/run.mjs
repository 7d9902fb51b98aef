// Runs the tests in real Chromium and with plain clients: `npm run test:e2e [words of a test's name]`.
import { launch } from './browser.mjs';
import { tests as page } from './page.tests.mjs';
import { tests as plain } from './plain.tests.mjs';
import { tests as sealed } from './sealed.tests.mjs';
import { Proxy, Server } from './server.mjs';

/** What one test may use; everything ends with it. */
class World {
  #ends = [];
  #servers = [];

  constructor(browser) {
    this.browser = browser;
  }

  async server(...more) {
    const s = await Server.start(...more);
    this.#servers.push(s);
    this.later(() => s.stop());
    return s;
  }

  async proxy(target) {
    const p = await Proxy.before(target);
    this.later(() => p.close());
    return p;
  }

  later(end) {
    this.#ends.push(end);
  }

  log() {
    return this.#servers.map((s) => s.log.split('\n').slice(-15).join('\n')).join('\n');
  }

  async end() {
    for (const end of this.#ends.reverse()) await end();
  }
}

const wanted = process.argv.slice(2).join(' ');
const testMs = 600_000; // only what will never be done takes that long
const atOnce = 4; // each waits two thirds of its time, for servers, lines and people who stop typing
const browser = await launch();
let passed = 0;
let failed = 0;

async function run(name, test) {
  const began = performance.now();
  const world = new World(browser);
  let timer;
  try {
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done after ${testMs} ms`)), testMs)));
    await Promise.race([test(world), late]);
    passed++;
    console.log(`ok      ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}\n${error.stack}\n${world.log()}`);
  } finally {
    clearTimeout(timer);
    await world.end();
  }
}

const todo = [...page, ...plain, ...sealed].filter(([name]) => name.includes(wanted));
async function runAll() {
  for (let next = todo.shift(); next; next = todo.shift()) await run(...next);
}
await Promise.all(Array.from({ length: atOnce }, runAll));
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
