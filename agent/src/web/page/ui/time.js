// Time ranges as people write them (`now-1h`), and their step on a chart.
import { here } from './location.js';

const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** Ranges that the picker offers. */
export const RANGES = [
  ['now-5m', '5 minutes'], ['now-15m', '15 minutes'], ['now-1h', '1 hour'], ['now-6h', '6 hours'],
  ['now-24h', '24 hours'], ['now-7d', '7 days'], ['now-30d', '30 days'],
];

/** `now-15m`, an ISO time or epoch milliseconds, as epoch milliseconds; NaN when it is none of them. */
export function instant(text, now = Date.now()) {
  const match = /^now(?:-(\d+)([smhdw]))?$/.exec(text);
  if (match) return now - (match[1] ? Number(match[1]) * UNITS[match[2]] * 1000 : 0);
  return /^\d+$/.test(text) ? Number(text) : Date.parse(text);
}

/** The range in the URL, default the last 15 minutes: { from, to, fromText, toText, seconds, live }. */
export function range(now = Date.now()) {
  const { params } = here();
  let fromText = params.get('from') || 'now-15m';
  let toText = params.get('to') || 'now';
  let from = instant(fromText, now);
  let to = instant(toText, now);
  if (!(from < to)) {
    [fromText, toText, from, to] = ['now-15m', 'now', now - 900000, now];
  }
  return { from, to, fromText, toText, seconds: (to - from) / 1000, live: toText === 'now' };
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];

/** The step in seconds that gives at most `points` points; never below the store's own 10 s. */
export function step(seconds, points = 120, least = 10) {
  return STEPS.find((s) => s >= least && seconds / s <= points) ?? 86400;
}

/** What `rate()` has to look back so that each window holds samples: four scrapes, or one step and a scrape. */
export const rateWindow = (stepSeconds, scrape = 10) => `${Math.max(4 * scrape, stepSeconds + scrape)}s`;
