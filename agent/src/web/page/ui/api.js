// The public APIs of the agent, nothing else: Prometheus /api/v1, Zipkin /api/v2, Elasticsearch /_search.
import { useEffect, useRef, useState } from './vendor/preact.js';
import { lines } from './native.js';

async function ask(url, options) {
  const response = await fetch(url, { ...options, headers: { accept: 'application/json', ...options?.headers } }).catch((error) => {
    if (error.name === 'AbortError') throw error;
    throw new Error(`the agent at ${location.host} does not answer: is it running?`);
  });
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Said below, with what came instead.
  }
  if (response.status === 401) throw new Error('the agent asks for its token: open this page with ?token=…');
  if (!response.ok) {
    const reason = body?.error?.root_cause?.[0]?.reason ?? body?.error?.reason ?? body?.error ?? text.slice(0, 300);
    const error = new Error(typeof reason === 'string' && reason ? reason : `${url}: status ${response.status}`);
    // The place of a mistake in a query, counted from one.
    const inPromql = /: 1:(\d+): parse error/.exec(error.message)?.[1];
    error.column = body?.error?.col ?? (Number.isInteger(body?.at) ? body.at + 1 : inPromql && Number(inPromql));
    throw error;
  }
  if (body === null) throw new Error(`${url}: the answer is not JSON`);
  return body;
}

export const getJson = (url, signal) => ask(url, { signal });

const form = (fields) => new URLSearchParams(Object.entries(fields).filter(([, v]) => v !== undefined && v !== null));

/** PromQL at one instant: [{ metric, value }]. */
export async function query(expr, at, signal) {
  const body = await ask('/api/v1/query', { method: 'POST', body: form({ query: expr, time: at && at / 1000 }), signal });
  const { resultType, result } = body.data;
  if (resultType === 'scalar') return [{ metric: {}, value: Number(result[1]) }];
  return lines(result).map((one) => ({ metric: one.metric, value: Number(one.points.at(-1)?.[1]) }));
}

/** PromQL over a range: [{ metric, points: [[seconds, number]] }]. */
export async function queryRange(expr, from, to, step, signal) {
  // Small steps lie on a fixed grid, so that a refresh does not make lines tremble; large ones end now, or the newest samples would be missing.
  const grid = Math.min(step, 30);
  const last = Math.floor(to / 1000 / grid) * grid;
  const fields = { query: expr, start: last - Math.ceil((last - from / 1000) / step) * step, end: last, step };
  const body = await ask('/api/v1/query_range', { method: 'POST', body: form(fields), signal });
  return lines(body.data.result);
}

/** An Elasticsearch search on `index`. */
export const search = (index, body, signal) => ask(`/${index}/_search`, {
  method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' }, signal,
});

/** A query_string query within [from, to], newest first. */
export function logQuery(text, from, to) {
  const filter = [{ range: { '@timestamp': { gte: from, lte: to, format: 'epoch_millis' } } }];
  if (text?.trim()) filter.push({ query_string: { query: text, default_field: 'message' } });
  return { bool: { filter } };
}

/** While there is nothing to show a page asks this often (ms), for as long as somebody has just come to it. */
const SOON = 1000;
const JUST_COME = 60000;

/**
 * Runs `load(signal)` when `deps` change, and again every `every` milliseconds while the tab is visible.
 * `held()` true puts the repetition off, while somebody reads what a new answer would move or take away; `waiting` says so.
 * `none(data)` true means that there is nothing yet: a store that just began is asked again soon.
 * Gives { data, error, loading, waiting }; old data stays while new is under way, so that nothing flickers.
 */
export function useData(load, deps, every = 0, { held = () => false, none = () => false } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: true, waiting: false });
  const latest = useRef(null);
  useEffect(() => {
    const control = new AbortController();
    const came = Date.now();
    let timer = 0;
    setState((old) => ({ ...old, loading: true }));
    const run = async () => {
      let nothing = false;
      try {
        const data = await load(control.signal);
        if (control.signal.aborted) return;
        nothing = data !== null && none(data);
        setState({ data, error: null, loading: false, waiting: false });
      } catch (error) {
        if (control.signal.aborted) return;
        setState((old) => ({ data: old.data, error: error.message, column: error.column, loading: false, waiting: false }));
      }
      if (every) timer = setTimeout(again, nothing && Date.now() - came < JUST_COME ? Math.min(SOON, every) : every);
    };
    const again = () => {
      if (!document.hidden && !held()) return run();
      if (!document.hidden) setState((old) => (old.waiting ? old : { ...old, waiting: true }));
      timer = setTimeout(again, Math.min(SOON, every));
    };
    run();
    latest.current = run;
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [...deps, every]);
  return { ...state, reload: () => latest.current?.() };
}
