// States over time, one lane each: state timeline and status history.
import { html } from '../../vendor/preact.js';
import { clock, seconds } from '../../format.js';
import { tick } from '../../parts/plot.js';
import { displayName, numbersOf, timeOf } from '../frames.js';
import { colour, shown, tone } from '../field.js';

/** Stretches of one value: [{ from, to, value }]; a gap of more than two steps ends one. */
export function stretches(times, values, until) {
  const step = times.length > 1 ? Math.min(...times.slice(1).map((t, i) => t - times[i])) : 60000;
  const out = [];
  times.forEach((t, i) => {
    const value = values[i];
    if (value === null || value === undefined) return;
    const last = out.at(-1);
    if (last && last.value === value && t - last.to < step * 1.6) last.to = Math.min(until, t + step);
    else out.push({ from: t, to: Math.min(until, t + step), value });
  });
  return out;
}

export function States({ panel, frames, scope }) {
  const history = panel.type === 'status-history';
  const lanes = frames.flatMap((frame) => {
    const time = timeOf(frame);
    const fields = time ? frame.fields.filter((field) => field !== time) : numbersOf(frame);
    return fields.map((field) => ({ name: displayName(field, frame), field, parts: time ? stretches(time.values, field.values, scope.to) : [] }));
  }).slice(0, 60);
  const length = scope.to - scope.from;
  const at = (t) => `${Math.max(0, ((t - scope.from) / length) * 100)}%`;
  const words = new Map();
  lanes.forEach(({ field, parts }) => parts.forEach(({ value }) => {
    const face = shown({ ...field.config, color: { mode: 'thresholds', ...(field.config.color?.mode === 'fixed' && field.config.color) } }, value);
    words.set(face.text, face.colour ?? 'green');
  }));
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return html`<div class="states"><table><tbody>${lanes.map(({ name, field, parts }) => html`<tr><th scope="row">${name}</th><td><div class="lane">${parts.map((part) => {
    const { text } = shown(field.config, part.value);
    const name2 = words.get(text);
    const wide = (Math.min(part.to, scope.to) - Math.max(part.from, scope.from)) / length;
    return html`<span class=${`state tone-${tone(name2)} filled`} title=${`${text} from ${clock(part.from, false)} for ${seconds((part.to - part.from) / 1000)}`}
      style=${{ left: `min(${at(part.from)}, 99%)`, width: `${Math.max(0.3, wide * 100)}%`, minWidth: '4px', ...(tone(name2) === 'plain' && { background: colour(name2) }) }}>${wide > 0.06 && !history ? text : html`<i class="hidden">${text}</i>`}</span>`;
  })}</div></td></tr>`)}
  <tr class="ticks"><td></td><td><div class="lane-ticks">${ticks.map((f) => html`<b style=${{ left: `${f * 100}%` }}>${tick((scope.from + length * f) / 1000, length / 4000)}</b>`)}</div></td></tr></tbody></table>
  <p class="keys">${[...words].map(([text, name]) => html`<span class="key"><i style=${{ background: colour(name) }}></i>${text}</span>`)}</p></div>`;
}
