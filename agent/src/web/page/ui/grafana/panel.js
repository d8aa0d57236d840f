// One panel: its title and links, its data when it comes into sight, and what is said where it cannot be drawn.
import { html, useEffect, useMemo, useRef, useState } from '../vendor/preact.js';
import { useData } from '../api.js';
import { keep } from '../location.js';
import { step as stepFor } from '../time.js';
import { Why } from '../parts/why.js';
import { configured, home } from './field.js';
import { lengthOf } from './frames.js';
import { PANELS } from './panels/index.js';
import { ask, lengthInSeconds, sourceOf } from './sources.js';
import { interpolate, macros } from './text.js';
import { transform } from './transform.js';

/** Grafana's row is 30 px and 8 between. */
export const heightOf = (h) => h * 38 - 8;

/** A panel's own range and step: `timeFrom` narrows, `interval` and `maxDataPoints` bound the step. */
function scopeOf(panel, shared, wide) {
  let { from, to } = shared;
  const own = /^now-(\d+\w)$/.exec(`now-${panel.timeFrom ?? ''}`)?.[1];
  if (own && lengthInSeconds(own)) from = to - lengthInSeconds(own) * 1000;
  if (panel.timeShift && lengthInSeconds(panel.timeShift)) [from, to] = [from, to].map((t) => t - lengthInSeconds(panel.timeShift) * 1000);
  const points = Math.min(panel.maxDataPoints ?? Infinity, Math.max(60, Math.round(wide / 5)));
  const step = Math.max(stepFor((to - from) / 1000, points), Math.min(3600, lengthInSeconds(interpolate(panel.interval ?? '', { variables: panel.scoped }))));
  return { ...shared, variables: panel.scoped, from, to, step, macros: macros({ ...shared, from, to, step }) };
}

const anything = (frames) => frames.some((frame) => lengthOf(frame) && frame.fields.some((field) => field.values.some((v) => v !== null && !Number.isNaN(v))));

export function Panel({ panel, shared, every, stamp, marks }) {
  const box = useRef(null);
  const [near, setNear] = useState(false);
  const [about, setAbout] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver(([one]) => one.isIntersecting && setNear(true), { rootMargin: '400px' });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const kind = PANELS[panel.type];
  const load = async (signal) => {
    if (!near || !kind || kind.still) return null;
    const scope = scopeOf(panel, shared(), box.current?.clientWidth ?? 600);
    const answer = await ask(panel, scope, signal);
    const { frames, unknown } = transform(configured(panel, answer.frames), panel.transformations);
    return { ...answer, frames: configured(panel, frames), unknown, scope };
  };
  const state = useData(load, [near, stamp, JSON.stringify(panel.scoped.map((one) => one.value))], near && kind && !kind.still ? every : 0, {
    // Over a short range an empty panel is one that waits for its first samples; over a long one it would only cost.
    none: (data) => scope.to - scope.from <= 3600000 && stateOf(kind, { data }) === 'empty',
  });
  const scope = useMemo(() => state.data?.scope ?? scopeOf(panel, shared(), 600), [state.data, stamp]);
  const title = interpolate(panel.title ?? '', scope);
  const exprs = panel.targets.filter((one) => sourceOf(one, panel, scope.variables) === 'prometheus').map((one) => interpolate(one.expr ?? '', scope, 'promql')).filter(Boolean);
  const lucene = panel.targets.find((one) => sourceOf(one, panel, scope.variables) === 'elasticsearch');
  const on = exprs.length ? `/explore?${new URLSearchParams({ expr: exprs[0], from: scope.fromText, to: scope.toText })}`
    : lucene && `/logs?${new URLSearchParams({ q: interpolate(lucene.query ?? '', scope, 'lucene'), from: scope.fromText, to: scope.toText })}`;
  const height = heightOf(panel.at.h) - (title ? 46 : 18);
  return html`<div role="group" class=${`panel ${panel.type} ${state.loading && state.data ? 'busy' : ''}`} ref=${box} data-panel=${panel.type} aria-label=${title || panel.type}
      data-state=${stateOf(kind, state)} style=${{ '--x': panel.at.x + 1, '--y': panel.at.y + 1, '--w': panel.at.w, '--h': panel.at.h }}>
    <header>${title && html`<h2>${title}</h2>`}
      ${panel.description && html`<button class="quiet small" aria-expanded=${about} aria-label=${`about ${title}`} onClick=${() => setAbout(!about)}>i</button>`}
      ${(panel.links ?? []).map((one) => {
        const way = home(interpolate(one.url ?? '', scope));
        return html`<a href=${keep(way.url)} class="way" rel="noreferrer">${way.ours ?? (interpolate(one.title ?? '', scope) || 'link')}</a>`;
      })}
      ${on && html`<a href=${keep(on)} class="way open" aria-label=${`open the query of ${title}`}>query</a>`}
    </header>
    ${about && html`<p class="about note">${interpolate(panel.description, scope)}</p>`}
    <div class="inside" tabindex=${['timeseries', 'text'].includes(panel.type) ? null : 0} role=${['timeseries', 'text'].includes(panel.type) ? null : 'group'} aria-label=${title || panel.type}>
      ${!kind ? html`<${Unsupported} what=${`the panel type '${panel.type}'`} panel=${panel} />` : kind.still ? html`<${kind.draw} panel=${panel} scope=${scope} />`
        : html`<${Inside} kind=${kind} panel=${panel} state=${state} scope=${scope} exprs=${exprs} marks=${marks} height=${height} />`}
    </div></div>`;
}

function stateOf(kind, { data, error }) {
  if (!kind) return 'unsupported';
  if (kind.still) return 'drawn';
  if (error) return 'error';
  if (!data) return 'waiting';
  if (data.errors.length) return 'error';
  if (data.foreign.length && !data.frames.length) return 'unsupported';
  return (kind.filled ?? anything)(data.frames) ? 'drawn' : 'empty';
}

function Inside({ kind, panel, state, scope, exprs, marks, height }) {
  const { data, error } = state;
  const now = stateOf(kind, state);
  if (!data) return error ? html`<p class="error" role="alert">${error}</p>` : html`<p class="empty">Loading…</p>`;
  if (now === 'unsupported') return html`<${Unsupported} what=${data.foreign.join(', ')} panel=${panel} />`;
  return html`${error && html`<p class="error" role="alert">${error}</p>`}
    ${data.errors.map((one) => html`<p class="error" role="alert">${one}</p>`)}
    ${data.foreign.length > 0 && html`<p class="note">not shown: ${data.foreign.join(', ')}</p>`}
    ${data.unknown.length > 0 && html`<p class="note">not applied: the transformation ${data.unknown.join(', ')}</p>`}
    ${now === 'drawn' ? html`<${kind.draw} panel=${panel} frames=${data.frames} dots=${data.dots} scope=${scope} marks=${marks} height=${height} sync="board" />`
      : now === 'empty' && html`<${Why} exprs=${exprs} from=${scope.from} to=${scope.to} text=${panel.fieldConfig?.defaults?.noValue} />`}`;
}

/** A frame with a name instead of a blank: what it would be, and what it asks. */
function Unsupported({ what, panel }) {
  const asks = panel.targets.map((one) => one.expr ?? one.query ?? one.rawSql ?? one.expression).filter((one) => typeof one === 'string' && one);
  return html`<div class="unsupported" data-unsupported><p><strong>Not supported here: ${what}</strong></p>
    ${asks.length > 0 && html`<p class="note">It asks</p><pre tabindex="0">${asks.join('\n')}</pre>`}</div>`;
}
