// Shares of a whole, as a ring and a list; and bars by category.
import { html } from '../../vendor/preact.js';
import { displayName, lengthOf, numbersOf } from '../frames.js';
import { PALETTE, seriesColour, shown } from '../field.js';
import { percent } from '../../format.js';
import { figures } from './stat.js';
import { Linked } from './menu.js';

export function Pie({ panel, frames, scope }) {
  const list = figures(panel, frames, scope).filter((one) => one.value > 0).sort((a, b) => b.value - a.value);
  const total = list.reduce((sum, one) => sum + one.value, 0) || 1;
  let turned = 0;
  const arcs = list.map((one, i) => {
    const share = one.value / total;
    turned += share;
    return { ...one, share, before: turned - share, paint: seriesColour({ ...one.config, ...(one.config.color?.mode === 'thresholds' && { color: null }) }, i, one.value) };
  });
  return html`<div class="pie"><svg viewBox="0 0 42 42" role="img" aria-label=${`${panel.title}: ${arcs.map((one) => `${one.label} ${percent(one.share)}`).join(', ')}`}>
    ${arcs.map((one) => html`<circle cx="21" cy="21" r="15.915" fill="none" stroke=${one.paint} stroke-width=${panel.options.pieType === 'pie' ? 10 : 6}
      stroke-dasharray=${`${Math.max(0, one.share * 100 - (arcs.length > 1 ? 0.5 : 0))} 100`} stroke-dashoffset=${25 - one.before * 100} />`)}</svg>
    <table><tbody>${arcs.map((one) => html`<tr><th scope="row"><i class="dot" style=${{ background: one.paint }}></i><${Linked} items=${one.links}>${one.label}<//></th><td class="n">${one.text}</td><td class="n note">${percent(one.share)}</td></tr>`)}</tbody></table></div>`;
}

/** A bar chart whose first text column names the bars. */
export function BarChart({ frames }) {
  const frame = frames[0];
  const names = frame.fields.find((field) => field.type === 'string');
  const numbers = numbersOf(frame);
  const most = Math.max(...numbers.flatMap((field) => field.values.filter(Number.isFinite)), 1e-12);
  return html`<table class="bars"><tbody>${[...Array(Math.min(lengthOf(frame), 50)).keys()].flatMap((i) => numbers.map((field, n) => html`<tr>
    <th scope="row">${names?.values[i] ?? ''}${numbers.length > 1 ? ` ${displayName(field, frame)}` : ''}</th>
    <td class="track"><i style=${{ width: `${Math.max(0, (field.values[i] ?? 0) / most) * 100}%`, background: PALETTE[n % PALETTE.length] }}></i></td>
    <td class="n">${shown(field.config, field.values[i]).text}</td></tr>`))}</tbody></table>`;
}
