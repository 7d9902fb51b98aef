// A real Hocket server for a test, on a port of its own, that can be stopped and started again; and a proxy in front of
// it whose lines can be cut.
import { execFile, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from './until.mjs';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
let building;

/** The path of the server's program: HOCKET_BIN, else built once. */
async function program() {
  return process.env.HOCKET_BIN || (building ??= build());
}

async function build() {
  const dir = await mkdtemp(join(tmpdir(), 'hocket-e2e-'));
  process.on('exit', () => rmSync(dir, { recursive: true }));
  const binary = join(dir, 'hocket');
  await promisify(execFile)('go', ['build', '-o', binary, './cmd/hocket'], { cwd: repository });
  return binary;
}

/** A server in a process of its own. */
export class Server {
  log = '';
  /** Chosen by the system at the first start, and kept. */
  port = 0;
  #process;

  /** Starts one and waits until it is ready. `more` are further arguments. */
  static async start(...more) {
    const s = new Server();
    s.more = more;
    s.path = await program();
    await s.start();
    return s;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async start() {
    const args = ['serve', '--dev', '--listen', `127.0.0.1:${this.port}`, ...this.more];
    const child = spawn(this.path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    const keep = (chunk) => (this.log = (this.log + chunk).slice(-20_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    if (this.port === 0) {
      this.port = await until('the server to say where it is', () => {
        if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${this.log}`);
        return Number(/ws:\/\/127\.0\.0\.1:(\d+)\/v1\/ws/.exec(this.log)?.[1] ?? 0);
      });
    }
    await until('the server to be ready', async () => {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${this.log}`);
      return (await fetch(`${this.url}/readyz`).catch(() => undefined))?.ok;
    });
  }

  /** Ends the server as an operator would, and waits for its end. Returns how long that took, in ms. */
  async stop(signal = 'SIGTERM') {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return 0;
    const began = performance.now();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
    return performance.now() - began;
  }
}

/** A proxy on a port of its own. */
export class Proxy {
  #target;
  #server;
  #pairs = new Set();
  #refusing = false;
  /** What clients send is lost on its way. */
  losesRequests = false;
  /** What the server sends is lost on its way. */
  losesAnswers = false;

  static async before(target) {
    const p = new Proxy();
    p.#target = target;
    p.#server = createServer((client) => p.#carry(client));
    await new Promise((resolve) => p.#server.listen(0, '127.0.0.1', resolve));
    return p;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Breaks every line and lets none through until {@link mend}. */
  cut() {
    this.#refusing = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  mend() {
    this.#refusing = this.losesRequests = this.losesAnswers = false;
  }

  close() {
    this.cut();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(client) {
    if (this.#refusing) return client.resetAndDestroy();
    const server = connect(this.#target.port, '127.0.0.1');
    const pair = [client, server];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end).setNoDelay(true);
    client.on('data', (data) => this.losesRequests || server.write(data));
    server.on('data', (data) => this.losesAnswers || client.write(data));
  }
}
