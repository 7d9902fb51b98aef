// Takes the pictures of the page that the README shows: `npm run screenshots` writes docs/images/playground-*.png.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, Visitor } from './browser.mjs';
import { Server } from './server.mjs';
import { until } from './until.mjs';

const out = process.env.SCREENSHOTS || fileURLToPath(new URL('../../../docs/images', import.meta.url));
await mkdir(out, { recursive: true });
const server = await Server.start();
const browser = await launch();

/** Everyone who takes part, and what is said. */
const guests = ['Clara', 'Josquin', 'Leonin'];
const talk = [
  ['Clara', 'Is this thing on?'],
  ['Leonin', 'Loud and clear, in order, exactly once.'],
  ['Josquin', 'I closed my laptop on the train and it just… carried on.'],
  ['Josquin', 'Twelve messages, none missing.'],
  ['Clara', 'And the server?'],
  ['Leonin', 'One binary. The page you are looking at is inside it.'],
  ['Clara', 'One melody, many voices. I see what they did there.'],
];
const cursors = { Clara: [0.36, 0.42], Josquin: [0.52, 0.71], Leonin: [0.87, 0.52] };

try {
  const visitors = new Map();
  for (const name of guests) visitors.set(name, await Visitor.open(browser, server.url, name));
  for (const [name, text] of talk) {
    await visitors.get(name).say(text);
    await visitors.get(name).shows([text]);
  }
  await picture('light', { colorScheme: 'light', viewport: { width: 1280, height: 800 } });
  await picture('dark', { colorScheme: 'dark', viewport: { width: 1280, height: 800 } });
  await picture('phone', { colorScheme: 'light', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });

  async function picture(kind, options) {
    const me = await Visitor.open(browser, server.url, 'Guillaume', { ...options, deviceScaleFactor: 2 });
    await until('the talk', async () => (await me.texts()).length === talk.length);
    await until('everyone', async () => (await me.people()).length === guests.length + 1);
    await until('a line of prices', async () => (await me.page.locator('#spark-line').getAttribute('d'))?.split('L').length > 60, 30_000);
    for (const [name, [x, y]] of Object.entries(cursors)) {
      const { page } = visitors.get(name);
      const stage = await page.locator('#stage').boundingBox();
      await page.mouse.move(stage.x + 10, stage.y + 10);
      await page.mouse.move(stage.x + stage.width * x, stage.y + stage.height * y);
    }
    await until('the cursors', async () => (await me.id('cursor').count()) === guests.length);
    await until('a calm line', async () => parseFloat(await me.id('latency').textContent()) < 10, 60_000);
    await me.page.waitForFunction(() => document.getAnimations().every((a) => a.playState !== 'running'));
    await me.page.screenshot({ path: join(out, `playground-${kind}.png`) });
    console.log(`playground-${kind}.png`);
    await me.context.close();
  }
} finally {
  await browser.close();
  await server.stop();
}
