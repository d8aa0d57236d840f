// Spans of one trace on a common time axis, children under their parents; the critical path is marked.
import { html, useState } from '../vendor/preact.js';
import { COLOURS } from './chart.js';
import { seconds } from '../format.js';

/** Depth-first rows: [{ span, depth, children }]; spans whose parent is missing stand at the top. */
export function tree(spans) {
  const byId = new Map(spans.map((span) => [span.id + (span.shared ? '/shared' : ''), { span, children: [] }]));
  const roots = [];
  for (const node of byId.values()) {
    const { span } = node;
    const parent = span.shared ? byId.get(span.id) ?? byId.get(span.parentId) : byId.get(`${span.parentId}/shared`) ?? byId.get(span.parentId);
    (parent && parent !== node ? parent.children : roots).push(node);
  }
  const rows = [];
  const visit = (node, depth) => {
    rows.push({ span: node.span, depth, children: node.children });
    node.children.sort((a, b) => (a.span.timestamp ?? 0) - (b.span.timestamp ?? 0)).forEach((child) => visit(child, depth + 1));
  };
  roots.sort((a, b) => (a.span.timestamp ?? 0) - (b.span.timestamp ?? 0)).forEach((node) => visit(node, 0));
  return rows;
}

/** Ids of the spans that the trace's length depends on: from each span, back from its end to the child that ended last. */
export function criticalPath(rows) {
  const path = new Set();
  const follow = (row) => {
    path.add(row.span);
    let until = (row.span.timestamp ?? 0) + (row.span.duration ?? 0);
    const ended = [...row.children].sort((a, b) => end(b.span) - end(a.span));
    for (const child of ended) {
      if (end(child.span) > until) continue;
      follow(child);
      until = child.span.timestamp ?? 0;
    }
  };
  if (rows[0]) follow(rows[0]);
  return path;
}

/** The same for a span when it comes again. */
const keyOf = (span) => span.id + (span.kind ?? '');

const end = (span) => (span.timestamp ?? 0) + (span.duration ?? 0);

/** props: spans (Zipkin v2), marks [{ at: ms, level, text }] from the logs of the same trace. */
export function Waterfall({ spans, marks = [] }) {
  const [closed, setClosed] = useState(new Set());
  const [open, setOpen] = useState(null);
  const rows = tree(spans);
  const critical = criticalPath(rows);
  const start = Math.min(...spans.map((s) => s.timestamp ?? Infinity));
  const length = Math.max(...spans.map(end)) - start || 1;
  const services = [...new Set(spans.map((s) => s.localEndpoint?.serviceName ?? ''))];
  const colour = (span) => COLOURS[services.indexOf(span.localEndpoint?.serviceName ?? '') % COLOURS.length];
  const left = (us) => `${Math.min(100, Math.max(0, ((us - start) / length) * 100))}%`;
  let hiddenBelow = Infinity;
  const shown = rows.filter((row) => {
    if (row.depth > hiddenBelow) return false;
    hiddenBelow = closed.has(keyOf(row.span)) ? row.depth : Infinity;
    return true;
  });
  const toggle = (span) => {
    const next = new Set(closed);
    if (!next.delete(keyOf(span))) next.add(keyOf(span));
    setClosed(next);
  };
  return html`
    <p class="legend">${services.map((name, i) => html`<span><i style=${{ background: COLOURS[i % COLOURS.length] }}></i>${name || 'unknown'}</span>`)}
      <span><i class="critical"></i>critical path</span>
      ${marks.length > 0 && html`<span><i class="mark-key"></i>log record</span>`}${marks.some((m) => m.panic) && html`<span class="bad-key">✕ panic</span>`}
      ${rows.some((row) => row.children.length) && html`<button class="quiet small" onClick=${() => setClosed(closed.size ? new Set() : new Set(rows.filter((row) => row.children.length).map((row) => keyOf(row.span))))}>${closed.size ? 'open all' : 'close all'}</button>`}</p>
    <div class="waterfall" role="table" aria-label="Spans">
      <div class="axis" role="row"><span role="columnheader">Span</span><span role="columnheader" class="ticks">
        ${[0, 0.25, 0.5, 0.75, 1].map((f) => html`<b style=${{ left: `${f * 100}%` }}>${seconds((length * f) / 1e6)}</b>`)}
        ${marks.map((mark) => html`<i class=${`mark ${mark.level} ${mark.panic ? 'panic-mark' : ''}`} title=${mark.text} style=${{ left: left(mark.at * 1000) }}>${mark.panic ? '✕' : ''}</i>`)}</span></div>
      ${shown.map(({ span, depth, children }) => html`
        <div class=${`span ${span.tags?.error !== undefined ? 'failed' : ''} ${critical.has(span) ? 'critical' : ''}`} role="row" key=${keyOf(span)}>
          <span role="rowheader" class="name" style=${{ paddingLeft: `${depth * 14}px` }}>
            ${children.length ? html`<button class="quiet small" aria-expanded=${!closed.has(keyOf(span))} aria-label="children" onClick=${() => toggle(span)}>${closed.has(keyOf(span)) ? '▸' : '▾'}</button>` : html`<i class="leaf"></i>`}
            <button class="link" data-row aria-expanded=${open === keyOf(span)} onClick=${() => setOpen(open === keyOf(span) ? null : keyOf(span))}>${span.name || span.id}</button>
            <small>${(span.kind ?? '').toLowerCase()}</small></span>
          <span role="cell" class="lane">${depth === 0 && marks.map((mark) => html`<i class=${`tick-mark ${mark.level}`} style=${{ left: left(mark.at * 1000) }}></i>`)}<i class="bar" style=${{ left: left(span.timestamp ?? start), width: `max(2px, ${((span.duration ?? 0) / length) * 100}%)`, background: colour(span) }}></i>
            <small style=${{ left: left(end(span)) }}>${seconds((span.duration ?? 0) / 1e6)}${span.tags?.error !== undefined ? ' ✕ error' : ''}</small></span>
        </div>
        ${open === keyOf(span) && html`<${Details} span=${span} start=${start} />`}`)}
    </div>`;
}

function Details({ span, start }) {
  const rows = [
    ['id', span.id], ['parent', span.parentId ?? '–'], ['kind', span.kind ?? 'internal'],
    ['starts after', seconds(((span.timestamp ?? start) - start) / 1e6)], ['lasts', seconds((span.duration ?? 0) / 1e6)],
    ...(span.remoteEndpoint ? [['peer', [span.remoteEndpoint.serviceName, span.remoteEndpoint.ipv4, span.remoteEndpoint.port].filter(Boolean).join(' ')]] : []),
    ...Object.entries(span.tags ?? {}).sort(),
    ...(span.annotations ?? []).map((a) => [`+${seconds((a.timestamp - start) / 1e6)}`, a.value]),
  ];
  return html`<div class="fields"><table><tbody>${rows.map(([k, v]) => html`<tr><th scope="row">${k}</th><td>${String(v)}</td></tr>`)}</tbody></table></div>`;
}
