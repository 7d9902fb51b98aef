// A channel the server writes several times a second. Old prices are worth little: nothing is recovered after a cut.
import { $ } from './look.js';

/** How many prices the line shows, and how many fill its width at least. */
const points = 90;
const least = 24;
const width = 240;
const height = 48;

export function ticker(conn) {
  const channel = conn.channel('ticker:demo', { from: { last: points }, recover: false });
  let prices = [];
  let scheduled = false;
  let latest;
  const draw = () => {
    scheduled = false;
    show(latest, prices);
  };
  channel.on('subscribed', () => {
    prices = [];
  });
  channel.on('message', (m) => {
    const price = Number(m.payload?.price);
    if (!Number.isFinite(price)) return;
    prices.push(price);
    if (prices.length > points) prices.shift();
    latest = m.payload;
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(draw);
  });
  channel.subscribe();
}

function show(quote, prices) {
  if (typeof quote.symbol === 'string') $('ticker-title').textContent = quote.symbol;
  $('price').textContent = Number(quote.price).toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const change = Number(quote.change);
  if (Number.isFinite(change)) {
    const [sign, kind] = change < 0 ? ['▼', 'falls'] : change > 0 ? ['▲', 'rises'] : ['■', 'stays'];
    $('change').textContent = `${sign} ${Math.abs(change).toFixed(2)}`;
    $('change').className = `change ${kind}`;
  }
  const line = spark(prices);
  $('spark-line').setAttribute('d', line);
  $('spark-area').setAttribute('d', prices.length > 1 ? `${line} L${width} ${height} L${x(0, prices.length)} ${height} Z` : '');
}

/** The prices as a path: the newest at the right edge, the lowest and the highest at bottom and top. */
function spark(prices) {
  const low = Math.min(...prices);
  const span = Math.max(...prices) - low || 1;
  return prices.map((p, i) => `${i === 0 ? 'M' : 'L'}${x(i, prices.length)} ${(height - 3 - ((p - low) / span) * (height - 8)).toFixed(1)}`).join(' ');
}

function x(i, count) {
  return (width - ((count - 1 - i) / (Math.max(count, least) - 1)) * width).toFixed(1);
}
