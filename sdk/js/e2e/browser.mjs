// Chromium, and pages of the playground in it.
import { chromium } from 'playwright-core';
import { patienceMs, until } from './until.mjs';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Starts Chromium, with a few attempts: whether a browser starts is not what the tests are about. */
export async function launch(attempts = 3) {
  for (;;) {
    try {
      return await chromium.launch({ executablePath, args, timeout: 120_000 });
    } catch (error) {
      if (--attempts === 0) throw error;
      console.log(`Chromium did not start, once more: ${error.message}`);
    }
  }
}

/** A profile of its own, with as much patience as the rest of a test has: Playwright's own half a minute is an idle machine's. */
export async function profile(browser, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patienceMs);
  return context;
}

/** One visitor: a page in a profile of its own. */
export class Visitor {
  /** Errors the page has met. A line that is cut is none. */
  errors = [];

  /** Opens the playground under `url` with this name chosen. */
  static async open(browser, url, name, options = {}) {
    const v = new Visitor();
    v.name = name;
    v.context = await profile(browser, { viewport: { width: 1100, height: 760 }, ...options });
    if (name) await v.context.addInitScript((n) => localStorage.getItem('hocket.name') ?? localStorage.setItem('hocket.name', n), name);
    v.page = await v.context.newPage();
    v.page.on('pageerror', (e) => v.errors.push(String(e)));
    v.page.on('console', (m) => {
      if (m.type() === 'error' && !/WebSocket connection|ERR_CONNECTION/.test(m.text())) v.errors.push(m.text());
    });
    await v.page.goto(url);
    await v.connected();
    return v;
  }

  id(testid) {
    return this.page.getByTestId(testid);
  }

  async say(text) {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.getByRole('button', { name: 'Send', exact: true }).click();
  }

  connected() {
    return until(`${this.name} to be connected`, async () => (await this.state()) === 'connected');
  }

  disconnected() {
    return until(`${this.name} to notice the cut`, async () => (await this.state()) !== 'connected');
  }

  state() {
    return this.id('status').getAttribute('data-state');
  }

  /** The texts on screen, in order. */
  texts() {
    return this.page.locator('[data-testid=message] .text').allTextContents();
  }

  /** The texts that are still on their way. */
  pending() {
    return this.page.locator('[data-testid=pending] .text').allTextContents();
  }

  /** Waits until all these texts stand on screen and nothing is on its way any more. */
  async shows(texts) {
    try {
      await until('texts', async () => {
        const shown = new Set(await this.texts());
        return texts.every((t) => shown.has(t)) && (await this.pending()).length === 0;
      });
    } catch {
      throw new Error(`${this.name} shows ${JSON.stringify(await this.texts())}, pending ${JSON.stringify(await this.pending())}, wanted ${JSON.stringify(texts)}`);
    }
  }

  /** The names in the list of who is here, sorted. */
  async people() {
    return (await this.page.locator('[data-testid=member] .member-name').allTextContents()).sort();
  }
}
