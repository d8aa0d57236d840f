// Single numbers: stat, gauge and bar gauge.
import { html } from '../../vendor/preact.js';
import { Spark } from '../../parts/chart.js';
import { calc } from '../calcs.js';
import { displayName, lengthOf, numbersOf, rowAt, timeOf } from '../frames.js';
import { byThreshold, colour, links, shown, tone } from '../field.js';
import { Linked } from './menu.js';

/** What to show: one figure for each numeric column, or for each row when the panel asks for all values. */
export function figures(panel, frames, scope) {
  const { reduceOptions = {} } = panel.options;
  const name = reduceOptions.calcs?.[0] ?? 'lastNotNull';
  const wanted = reduceOptions.fields;
  const out = [];
  for (const frame of frames) {
    const fields = wanted && wanted !== '/.*/' ? frame.fields.filter((field) => pick(wanted, displayName(field, frame))) : numbersOf(frame);
    for (const field of fields) {
      const make = (value, i) => {
        const face = shown(field.config, value);
        const texts = frame.fields.filter((one) => one.type === 'string');
        const label = reduceOptions.values && texts.length ? texts.map((one) => one.values[i]).join(' ') : displayName(field, frame);
        return { label, value, ...face, config: field.config, points: timeOf(frame)?.values.map((t, n) => [t, field.values[n]]),
          links: links(field.config, scope, { name: label, labels: field.labels, value, text: face.text, row: rowAt(frame, i) }) };
      };
      if (reduceOptions.values) for (let i = 0; i < Math.min(lengthOf(frame), reduceOptions.limit ?? 25); i += 1) out.push(make(field.values[i], i));
      else out.push(make(calc(name, field.values), lengthOf(frame) - 1));
    }
  }
  return out.slice(0, 60);
}

const pick = (pattern, name) => {
  const inside = /^\/(.*)\/$/.exec(pattern)?.[1];
  return inside ? new RegExp(inside).test(name) : name === pattern;
};

export function Stat({ panel, frames, scope }) {
  const { colorMode = 'value', graphMode = 'area', textMode = 'auto' } = panel.options;
  const list = figures(panel, frames, scope);
  return html`<div class="figures">${list.map((one) => html`
    <div class=${`figure ${one.colour && colorMode !== 'none' ? `tone-${tone(one.colour)}` : 'tone-plain'} ${colorMode.startsWith('background') ? 'filled' : ''}`}>
      ${(list.length > 1 || textMode === 'value_and_name' || textMode === 'name') && textMode !== 'value' && html`<span class="of">${one.label}</span>`}
      ${textMode !== 'name' && html`<strong class=${one.text.length > 11 ? 'long' : ''}><${Linked} items=${one.links}>${one.text}<//></strong>`}
      ${graphMode === 'area' && one.points?.length > 2 && html`<${Spark} points=${one.points} label=${`${one.label} over time`} colour="currentColor" fill wide=${200} high=${36} />`}
    </div>`)}</div>`;
}

/** Where `value` lies between the ends of its scale, 0 to 1. */
function share(one, most) {
  const low = one.config.min ?? 0;
  const high = one.config.max ?? (one.config.unit === 'percent' ? 100 : one.config.unit === 'percentunit' ? 1 : most);
  return Math.max(0, Math.min(1, (one.value - low) / (high - low || 1)));
}

const ARC = 'M 12 66 A 48 48 0 1 1 108 66';
const LENGTH = 176;

export function Gauge({ panel, frames, scope }) {
  const list = figures(panel, frames, scope);
  const most = Math.max(...list.map((one) => one.value ?? 0), 1e-12);
  return html`<div class="figures">${list.map((one) => html`<div class=${`figure gauge tone-${tone(one.colour ?? 'green')}`}>
    <svg viewBox="0 0 120 84" role="img" aria-label=${`${one.label}: ${one.text}`}>
      <path d=${ARC} fill="none" stroke="var(--line)" stroke-width="11" />
      <path d=${ARC} fill="none" stroke=${colour(one.colour ?? byThreshold(one.config, one.value))} stroke-width="11" stroke-dasharray=${`${share(one, most) * LENGTH} 400`} />
    </svg><strong class=${one.text.length > 9 ? 'long' : ''}><${Linked} items=${one.links}>${one.text}<//></strong>
    ${list.length > 1 && html`<span class="of">${one.label}</span>`}</div>`)}</div>`;
}

export function BarGauge({ panel, frames, scope }) {
  const list = figures(panel, frames, scope).sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
  const most = Math.max(...list.map((one) => one.value ?? 0), 1e-12);
  return html`<table class="bars"><tbody>${list.map((one) => html`<tr><th scope="row"><${Linked} items=${one.links}>${one.label}<//></th>
    <td class="track"><i style=${{ width: `${share(one, most) * 100}%`, background: colour(one.colour ?? byThreshold(one.config, one.value)) }}></i></td>
    <td class=${`n tone-${tone(one.colour)}`}>${one.text}</td></tr>`)}</tbody></table>`;
}
