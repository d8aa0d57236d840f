// All fields of one log record, each a filter, and the ways on: its trace, its request, what was around it.
import { html, useState } from '../vendor/preact.js';
import { getJson, useData } from '../api.js';
import { State } from './state.js';
import { href, set } from '../location.js';
import { Line, narrow } from '../pages/logs.js';

/** { a: { b: 1 } } and { 'a.b': 1 } alike as [['a.b', 1]]. */
export function flatten(object, prefix = '') {
  return Object.entries(object).flatMap(([key, value]) => (value && typeof value === 'object' && !Array.isArray(value)
    ? flatten(value, `${prefix}${key}.`) : [[prefix + key, value]]));
}

export function Record({ hit, text }) {
  const fields = flatten(hit._source).sort(([a], [b]) => (a < b ? -1 : 1));
  const get = (name) => fields.find(([key]) => key === name)?.[1];
  const trace = get('trace.id');
  const request = get('request_id') ?? get('http.request.id');
  const at = Date.parse(get('@timestamp'));
  const stack = get('error.stack_trace');
  const [near, setNear] = useState(false);
  const around = { from: at - 30000, to: at + 30000 };
  return html`<div class="fields">
    <p class="links">
      ${trace && html`<a href=${href(`/traces/${trace}`)}>trace</a>`}
      ${request && html`<a href=${href('/logs', { q: `request_id:"${request}"` })}>this request</a>`}
      <a href=${href('/logs', { ...around, q: get('service.name') ? `service.name:"${get('service.name')}"` : null })}>30 s around it</a>
      <button class="link" aria-expanded=${near} onClick=${() => setNear(!near)}>before and after</button>
      ${get('error.fingerprint') && html`<a href=${href('/panics', { fingerprint: get('error.fingerprint') })}>this panic</a>`}
    </p>
    ${near && html`<${Surrounding} id=${hit._id} />`}
    ${stack && html`<pre class="stack" tabindex="0">${stack}</pre>`}
    <table><tbody>${fields.filter(([key]) => key !== 'error.stack_trace').map(([key, value]) => html`<tr>
      <th scope="row">${key}</th><td>${typeof value === 'string' ? value : JSON.stringify(value)}</td>
      <td class="links"><button class="quiet small" aria-label=${`only ${key} ${value}`} onClick=${() => set({ q: narrow(text, key, value) })}>+</button>
        <button class="quiet small" aria-label=${`exclude ${key} ${value}`} onClick=${() => set({ q: narrow(text, key, value, true) })}>−</button></td>
    </tr>`)}</tbody></table></div>`;
}

/** What the same service on the same host said just before and after. */
function Surrounding({ id }) {
  const [size, setSize] = useState(5);
  const state = useData((signal) => getJson(`/api/logs/surrounding?${new URLSearchParams({ id, size })}`, signal), [id, size]);
  const { before = [], record, after = [] } = state.data ?? {};
  return html`<div class="around"><${State} ...${state}>
    <button class="quiet small" onClick=${() => setSize(size * 2)}>more</button>
    <ol class="records">${before.map((one) => html`<${Line} key=${one._id} hit=${one} />`)}<li class="here">${record?._source.message ?? 'this record'}</li>${after.map((one) => html`<${Line} key=${one._id} hit=${one} />`)}</ol><//></div>`;
}
