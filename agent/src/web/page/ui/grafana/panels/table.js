// Rows and columns; a click on a heading sorts.
import { html, useState } from '../../vendor/preact.js';
import { Scroll } from '../../parts/scroll.js';
import { NAMES, calc } from '../calcs.js';
import { colour, links, shown, tone } from '../field.js';
import { displayName, lengthOf, rowAt } from '../frames.js';
import { Linked } from './menu.js';

const MOST = 200;

/** Several frames without a transformation that joins them: one below the other is not asked for, so one is chosen. */
export function Table({ panel, frames, scope }) {
  const [chosen, setChosen] = useState(panel.options.frameIndex ?? 0);
  const [sort, setSort] = useState(panel.options.sortBy?.[0] ? { name: panel.options.sortBy[0].displayName, desc: panel.options.sortBy[0].desc } : null);
  const frame = frames[Math.min(chosen, frames.length - 1)];
  const fields = frame.fields.filter((field) => !(field.config.custom?.hidden ?? field.config.custom?.hideFrom?.viz));
  const order = [...Array(lengthOf(frame)).keys()];
  const by = sort && fields.find((field) => displayName(field, frame) === sort.name);
  if (by) order.sort((a, b) => compare(by.values[a], by.values[b]) * (sort.desc ? -1 : 1));
  const turn = (name) => setSort(sort?.name === name ? (sort.desc ? null : { name, desc: true }) : { name, desc: false });
  return html`<${Scroll} label=${panel.title || 'table'}><table class="rows">
    <thead><tr>${fields.map((field) => {
      const name = displayName(field, frame);
      const way = sort?.name === name ? (sort.desc ? 'descending' : 'ascending') : 'none';
      return html`<th scope="col" class=${field.type === 'number' ? 'n' : ''} aria-sort=${way}><button class="quiet head" onClick=${() => turn(name)}>${name}${{ ascending: ' ↑', descending: ' ↓', none: '' }[way]}</button></th>`;
    })}</tr></thead>
    <tbody>${order.slice(0, MOST).map((i) => html`<tr>${fields.map((field, at) => html`<${Cell} field=${field} frame=${frame} i=${i} scope=${scope} linked=${!at || field.config.links !== panel.fieldConfig?.defaults?.links} />`)}</tr>`)}</tbody>
    ${panel.options.footer?.show && html`<${Footer} fields=${fields} frame=${frame} footer=${panel.options.footer} />`}</table><//>
    ${order.length > MOST && html`<p class="note">${MOST} of ${order.length} rows</p>`}
    ${frames.length > 1 && html`<label class="note">Showing <select value=${chosen} onChange=${(e) => setChosen(Number(e.target.value))}>${frames.slice(0, 50).map((one, i) => html`<option value=${i}>${one.name || one.refId || i + 1}</option>`)}</select></label>`}`;
}

/** One row of sums, means, or whatever else is asked for, of the numeric columns. */
function Footer({ fields, frame, footer }) {
  const name = footer.countRows ? 'count' : footer.reducer?.[0] ?? 'sum';
  const wanted = (field) => field.type === 'number' && (!footer.fields?.length || footer.fields.includes(displayName(field, frame)));
  return html`<tfoot><tr>${fields.map((field, i) => (wanted(field) ? html`<td class="n">${name === 'count' ? field.values.length : shown(field.config, calc(name, field.values)).text}</td>` : html`<td>${i ? '' : NAMES[name] ?? name}</td>`))}</tr></tfoot>`;
}

/** The panel's own links belong to the whole row: they are on its first cell. */
function Cell({ field, frame, i, scope, linked }) {
  const value = field.values[i];
  const face = shown(field.config, value);
  const kind = field.config.custom?.cellOptions?.type ?? field.config.custom?.displayMode ?? 'auto';
  const empty = value === null || value === undefined || value === '';
  const ways = empty || !linked ? [] : links(field.config, scope, { name: displayName(field, frame), labels: field.labels, value, text: face.text, row: rowAt(frame, i) });
  const painted = /color/.test(kind) && face.colour ? `tone-${tone(face.colour)} ${/background/.test(kind) ? 'filled' : ''}` : '';
  const share = /gauge|lcd/.test(kind) && typeof value === 'number' ? Math.max(0, Math.min(1, value / (field.config.max ?? Math.max(...field.values.filter(Number.isFinite), 1e-12)))) : null;
  return html`<td class=${`${field.type === 'number' ? 'n' : ''} ${painted}`}>
    ${share !== null && html`<i class="inline-bar" style=${{ width: `${share * 80}px`, background: colour(face.colour) }}></i> `}<${Linked} items=${ways}>${empty && !face.mapped ? '' : face.text}<//></td>`;
}

const compare = (a, b) => (a === b ? 0 : a === null || a === undefined ? 1 : b === null || b === undefined ? -1 : a < b ? -1 : 1);
