// Who calls whom: services in columns from callers to called, arrows weighted by calls, coloured by errors. The table beside it says the same.
import { html } from '../vendor/preact.js';
import { href } from '../location.js';

/** Column of each service: one right of the rightmost of its callers; a cycle is cut where it closes. */
export function columns(links) {
  const names = [...new Set(links.flatMap((link) => [link.parent, link.child]))];
  const depth = new Map();
  const visit = (name, path) => {
    if (path.has(name)) return -1;
    if (depth.has(name)) return depth.get(name);
    const next = new Set(path).add(name);
    const found = Math.max(-1, ...links.filter((link) => link.child === name && link.parent !== name).map((link) => visit(link.parent, next))) + 1;
    depth.set(name, found);
    return found;
  };
  names.forEach((name) => visit(name, new Set()));
  const out = [];
  for (const name of names) (out[depth.get(name)] ??= []).push(name);
  return out.filter(Boolean);
}

const [WIDE, HIGH, BOX_W, BOX_H] = [270, 84, 184, 44];

/** props: links (Zipkin's dependencies), note (name → a second line for the box). */
export function ServiceGraph({ links, note = () => '' }) {
  const cols = columns(links);
  const rows = Math.max(...cols.map((col) => col.length), 1);
  const place = new Map(cols.flatMap((col, x) => col.map((name, y) => [name, [x * WIDE + 8, (y + (rows - col.length) / 2) * HIGH + 16]])));
  const most = Math.max(...links.map((link) => link.callCount), 1);
  const [width, height] = [(cols.length - 1) * WIDE + BOX_W + 16, rows * HIGH + 8];
  const failing = (link) => (link.errorCount ?? 0) / (link.callCount || 1);
  return html`<div class="scroll graph" tabindex="0" role="group" aria-label="service map"><svg viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="group"
      aria-label=${`Service map: ${links.map((link) => `${link.parent} calls ${link.child}`).join(', ')}`}>
    <defs>${['', 'bad'].map((kind) => html`<marker id=${`arrow${kind}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" class=${`head ${kind}`} /></marker>`)}</defs>
    ${links.map((link) => {
      const [[x0, y0], [x1, y1]] = [place.get(link.parent), place.get(link.child)];
      const bad = failing(link) > 0.05;
      const [from, to, back] = [[x0 + BOX_W, y0 + BOX_H / 2], [x1, y1 + BOX_H / 2], x1 <= x0];
      const self = link.parent === link.child;
      const path = self ? `M ${x0 + BOX_W / 2 - 22} ${y0 + BOX_H} c -8 30, 52 30, 44 0` : back ? `M ${x0 + BOX_W / 2} ${y0 + BOX_H} C ${x0 + BOX_W / 2} ${y0 + HIGH}, ${x1 + BOX_W / 2} ${y1 + HIGH}, ${x1 + BOX_W / 2} ${y1 + BOX_H}`
        : `M ${from} C ${from[0] + 40} ${from[1]}, ${to[0] - 40} ${to[1]}, ${to}`;
      return html`<path d=${path} class=${`edge ${bad ? 'bad' : ''}`} stroke-width=${1.2 + 3 * Math.sqrt(link.callCount / most)} marker-end=${`url(#arrow${bad ? 'bad' : ''})`} />`;
    })}
    ${[...place].map(([name, [x, y]]) => html`<a href=${href('/traces', { service: name })}><g class="node"><rect x=${x} y=${y} width=${BOX_W} height=${BOX_H} rx="8" />
      <text x=${x + BOX_W / 2} y=${y + (note(name) ? 19 : 27)} text-anchor="middle">${name.length > 20 ? `${name.slice(0, 19)}…` : name}</text>
      ${note(name) && html`<text class="second" x=${x + BOX_W / 2} y=${y + 35} text-anchor="middle">${note(name)}</text>`}</g></a>`)}
  </svg></div>`;
}
