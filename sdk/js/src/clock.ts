import type { Clock } from './types.ts';

/** The time of the machine, from the start of the page on by the clock that nobody sets. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
