// Whether the line stands, and how long a round trip takes.
import { $ } from './look.js';

const words = { connecting: 'connecting', connected: 'connected', waiting: 'reconnecting', closed: 'closed' };

export function status(conn) {
  let countdown;
  const show = ({ state, retryInMs = 0, error }) => {
    clearInterval(countdown);
    document.body.dataset.line = state;
    $('status').dataset.state = state;
    $('status').title = error ? error.message : '';
    $('status-text').textContent = words[state];
    $('latency').textContent = '';
    if (state !== 'waiting') return;
    const at = performance.now() + retryInMs;
    const tell = () => {
      const seconds = Math.ceil((at - performance.now()) / 1000);
      $('latency').textContent = seconds > 1 ? `in ${seconds} s` : '';
    };
    tell();
    countdown = setInterval(tell, 250);
  };
  conn.on('state', show);
  conn.on('latency', (ms) => {
    $('latency').textContent = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  });
  show({ state: conn.state });
}
