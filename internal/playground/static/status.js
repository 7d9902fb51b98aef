// Whether the line stands, and how long a round trip takes.
import { $ } from './look.js';

const words = { connecting: 'connecting', connected: 'connected', closed: 'closed' };

export function status(conn) {
  let countdown;
  const show = ({ state, retryInMs = 0, error }) => {
    clearInterval(countdown);
    $('status').dataset.state = state;
    $('status').title = error ? error.message : '';
    if (state !== 'connected') $('latency').textContent = '';
    if (state !== 'waiting') {
      $('status-text').textContent = words[state];
      return;
    }
    const at = Date.now() + retryInMs;
    const tell = () => {
      const seconds = Math.ceil((at - Date.now()) / 1000);
      $('status-text').textContent = seconds > 1 ? `reconnecting in ${seconds} s` : 'reconnecting';
    };
    tell();
    countdown = setInterval(tell, 500);
  };
  conn.on('state', show);
  conn.on('latency', (ms) => {
    $('latency').textContent = ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  });
  show({ state: conn.state });
}
