// The dashboards that there are, and one of them: `/dashboards` and `/d/UID`.
import { html, useEffect, useState } from '../vendor/preact.js';
import { href, set, setAll } from '../location.js';
import { getJson, useData } from '../api.js';
import { range } from '../time.js';
import { marks as annotations } from '../grafana/annotations.js';
import { layout } from '../grafana/model.js';
import { Panel } from '../grafana/panel.js';
import { asParameters, interpolate, macros } from '../grafana/text.js';
import { load as loadVariables } from '../grafana/variables.js';
import { Command, State } from '../parts/state.js';

export function Dashboards({ stamp, params }) {
  const state = useData((signal) => getJson('/api/dashboards', signal), [stamp]);
  const tag = params.get('tag');
  const list = (state.data?.dashboards ?? []).filter((one) => !tag || one.tags?.includes(tag));
  const tags = [...new Set((state.data?.dashboards ?? []).flatMap((one) => one.tags ?? []))];
  return html`<h1>Dashboards</h1>
    <${State} ...${state}>
      ${tags.length > 1 && html`<p class="links">${tags.map((one) => html`<button class="quiet small" aria-pressed=${tag === one} onClick=${() => set({ tag: tag === one ? null : one })}>${one}</button>`)}</p>`}
      ${state.data?.refused.map((one) => html`<p class="error">${one}</p>`)}
      <ul class="boards">${list.map((one) => html`<li><a data-row href=${href(`/d/${one.uid}`)}><strong>${one.title}</strong>
        <span>${one.description || html`<i class="note">${one.file}</i>`}</span><small>${one.panels} panels${one.file ? ` · ${one.file}` : ''}</small></a></li>`)}</ul>
      <details class="note"><summary>Add one of yours</summary><p>Any dashboard in Grafana's classic JSON (Share → Export) is drawn here. Put the file into a folder, and name the folder:</p>
        <${Command} text="web:\n  dashboards: /etc/sightline/dashboards" /></details>
    <//>`;
}

/** The dashboard's file; the range that it asks for goes into the URL when that names none. */
export function Dashboard({ uid, params, stamp, every }) {
  const file = useData((signal) => getJson(`/api/dashboards/${encodeURIComponent(uid)}`, signal), [uid]);
  const board = file.data && (file.data.uid || uid) === uid ? file.data : null;
  const wanted = board?.time?.from;
  useEffect(() => {
    if (wanted && !params.get('from')) set({ from: wanted, to: board.time.to === 'now' ? null : board.time.to }, true);
  }, [board]);
  if (!board) return html`<h1>Dashboard</h1><${State} ...${file} />`;
  return html`<${Board} key=${uid} board=${board} params=${params} stamp=${stamp} every=${every} />`;
}

function Board({ board, params, stamp, every: rate }) {
  // Never more often than the newest point of a chart moves by a pixel or two.
  const every = rate && Math.max(rate, range().seconds * 3);
  const asked = [...params].filter(([key]) => key.startsWith('var-') || key === 'from' || key === 'to').map((one) => one.join('=')).join('&');
  const state = useData(async (signal) => {
    const { from, to } = range();
    const variables = await loadVariables(board, params, { from, to }, signal);
    return { variables, marks: await annotations(board, { ...shared(), variables, macros: macros({ ...shared(), step: 60 }) }, signal) };
  }, [board, asked, stamp], every ? every * 4 : 0, { none: (data) => data.variables.some((one) => one.type === 'query' && !one.options.some(({ value }) => value !== '$__all')) });
  useEffect(() => {
    document.title = `${board.title ?? 'Dashboard'} · Sightline`;
  }, [board]);
  const [closed, setClosed] = useState({});
  const shared = () => ({ ...range(), title: board.title });
  const variables = state.data?.variables;
  const scope = { variables, macros: macros({ ...range(), step: 60 }) };
  return html`
    <div class="board-head"><h1>${interpolate(board.title ?? board.uid, scope)}</h1>
      ${variables && html`<${Variables} list=${variables} />`}</div>
    ${board.description && html`<p class="note">${board.description}</p>`}
    ${variables && html`<${BoardLinks} board=${board} scope=${scope} />`}
    ${state.error && html`<p class="error" role="alert">${state.error}</p>`}
    ${variables && layout(board, variables).map((row) => {
      const shut = closed[row.key] ?? row.collapsed;
      return html`<div class="row" key=${row.key}>
        ${row.title && html`<h2><button class="quiet fold" aria-expanded=${!shut} onClick=${() => setClosed({ ...closed, [row.key]: !shut })}>${shut ? '▸' : '▾'} ${row.title}</button>
          ${shut && html`<small>${row.panels.length} panels</small>`}</h2>`}
        ${!shut && html`<div class="grid">${row.panels.map((panel) => html`<${Panel} key=${panel.key} panel=${panel} shared=${shared} every=${every} stamp=${`${stamp} ${asked}`} marks=${state.data.marks} />`)}</div>`}
      </div>`;
    })}`;
}

/** Links at the top: other dashboards by tag, or any address; both may carry the filters and the range. */
function BoardLinks({ board, scope }) {
  const wanted = board.links ?? [];
  const all = useData((signal) => (wanted.some((one) => one.type === 'dashboards') ? getJson('/api/dashboards', signal) : { dashboards: [] }), [board]);
  const carry = (url, one) => {
    const fields = [...(one.includeVars ? asParameters(scope.variables).map(([k, v]) => `${k}=${encodeURIComponent(v)}`) : []), ...(one.keepTime ? [scope.macros.__url_time_range] : [])];
    return fields.length ? `${url}${url.includes('?') ? '&' : '?'}${fields.join('&')}` : url;
  };
  const ways = wanted.flatMap((one) => (one.type === 'dashboards'
    ? (all.data?.dashboards ?? []).filter((other) => (one.tags ?? []).every((tag) => other.tags?.includes(tag))).map((other) => ({ title: other.title, url: carry(`/d/${other.uid}`, one), here: other.uid === board.uid }))
    : one.url ? [{ title: one.title, url: carry(interpolate(one.url, scope), one), blank: one.targetBlank }] : []));
  return ways.length ? html`<nav class="ways" aria-label="Linked dashboards">${ways.map((way) => html`<a href=${way.url} aria-current=${way.here ? 'page' : null} target=${way.blank ? '_blank' : null} rel="noreferrer">${way.title}</a>`)}</nav>` : null;
}

function Variables({ list }) {
  return html`<div class="variables" role="group" aria-label="Filters">${list.filter((one) => one.hide !== 2 && one.type !== 'constant' && (one.type !== 'datasource' || one.options.length > 1)).map((one) => html`<${Variable} key=${one.name} variable=${one} />`)}</div>`;
}

function Variable({ variable }) {
  const { name, label, options, value, multi, type, error } = variable;
  const choose = (values) => setAll(values.length ? values.map((one) => [`var-${name}`, one]) : [[`var-${name}`, null]]);
  const heading = variable.hide === 1 ? html`<span class="hidden">${label}</span>` : html`<span>${label}</span>`;
  if (error) return html`<span class="warn">${label}: ${error}</span>`;
  if (type === 'textbox') {
    return html`<label>${heading}<input value=${value} size=${Math.max(10, Math.min(36, String(value).length + 2))} spellcheck="false" onChange=${(event) => choose([event.target.value])} /></label>`;
  }
  if (!multi) {
    return html`<label>${heading}<select value=${value} onChange=${(event) => choose([event.target.value])}>${options.length === 0 && html`<option value="">nothing found</option>`}${options.map((one) => html`<option value=${one.value} selected=${one.value === value}>${one.text}</option>`)}</select></label>`;
  }
  const toggle = (one) => {
    if (one === '$__all') return choose(['$__all']);
    const rest = value.filter((v) => v !== '$__all');
    const next = rest.includes(one) ? rest.filter((v) => v !== one) : [...rest, one];
    return choose(next.length || !variable.includeAll ? next : ['$__all']);
  };
  return html`<div class="field">${heading}<details class="menu pick"><summary aria-label=${`${label}: ${variable.text.join(', ')}`}>${variable.text.slice(0, 2).join(' + ') || 'none'}${variable.text.length > 2 ? ` + ${variable.text.length - 2}` : ''} ▾</summary>
    <div class="choices">${options.slice(0, 500).map((one) => html`<label><input type="checkbox" checked=${value.includes(one.value)} onChange=${() => toggle(one.value)} /> ${one.text}</label>`)}</div></details></div>`;
}
