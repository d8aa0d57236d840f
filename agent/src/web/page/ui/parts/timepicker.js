// The time range and how often to ask again; both live in the URL.
import { html, useState } from '../vendor/preact.js';
import { set, useLocation } from '../location.js';
import { RANGES, instant, range } from '../time.js';
import { clock, seconds } from '../format.js';

/** Twice as much time around the same middle (`z`), or half a range earlier (`,`) or later (`.`). */
export function move(key) {
  const { from, to, live } = range();
  const half = (to - from) / 2;
  const [first, last] = { z: [from - half, to + half], ',': [from - half, to - half], '.': [from + half, to + half] }[key];
  const now = Date.now();
  const length = Math.round((Math.min(last, now) - first) / 1000);
  if (live && key === 'z') set({ from: `now-${Math.round((to - from) / 500)}s`, to: null });
  // What would end about now goes on with now.
  else if (last >= now - half / 10) set({ from: `now-${Math.max(1, key === 'z' ? length : Math.round((to - from) / 1000))}s`, to: null });
  else set({ from: String(Math.round(first)), to: String(Math.round(last)) });
}

export function TimePicker({ onRefresh }) {
  const { params } = useLocation();
  const [error, setError] = useState('');
  const now = range();
  const known = now.live && RANGES.some(([from]) => from === now.fromText);
  const pick = (event) => {
    if (event.target.value !== 'custom') set({ from: event.target.value, to: null });
  };
  const apply = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const [from, to] = [data.get('from').trim(), data.get('to').trim()];
    if (!(instant(from) < instant(to))) {
      setError('write now-15m, or a time such as 2026-01-31T14:00, the earlier one first');
      return;
    }
    setError('');
    set({ from, to: to === 'now' ? null : to });
    event.target.closest('details').open = false;
  };
  return html`
    <div class="time">
      <label class="hidden" for="range">Time range</label>
      <select id="range" onChange=${pick} value=${known ? now.fromText : 'custom'}>
        ${RANGES.map(([from, label]) => html`<option value=${from}>Last ${label}</option>`)}
        ${known ? null : html`<option value="custom">${now.live ? `Last ${seconds(now.seconds)}` : `${clock(now.from, false)} – ${clock(now.to, false)}`}</option>`}
      </select>
      <details class="menu">
        <summary aria-label="Choose times">⋯</summary>
        <form onSubmit=${apply}>
          <label>From <input name="from" value=${now.fromText} /></label>
          <label>To <input name="to" value=${now.toText} /></label>
          ${error && html`<p role="alert" class="error">${error}</p>`}
          <button>Apply</button>
          <div class="moves">${[[',', '◂ earlier'], ['z', 'zoom out'], ['.', 'later ▸']].map(([key, text]) => html`<button type="button" class="small" onClick=${() => move(key)}>${text}</button>`)}</div>
        </form>
      </details>
      <label class="hidden" for="refresh">Refresh</label>
      <select id="refresh" value=${params.get('refresh') ?? '5'} onChange=${(e) => set({ refresh: e.target.value === '5' ? null : e.target.value })}>
        <option value="0">no refresh</option><option value="2">every 2 s</option><option value="5">every 5 s</option>
        <option value="30">every 30 s</option><option value="60">every minute</option>
      </select>
      <button class="quiet" onClick=${onRefresh} aria-label="Refresh now">↻</button>
    </div>`;
}
