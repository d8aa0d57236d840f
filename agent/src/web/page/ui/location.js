// The URL is the state: path, query, and the time range that every page shares.
import { useEffect, useState } from './vendor/preact.js';

const listeners = new Set();
const announce = () => listeners.forEach((listen) => listen());
addEventListener('popstate', announce);

/** Where we are: { path: ['traces', 'ID'], params: URLSearchParams }. */
export function here() {
  const path = location.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  return { path, params: new URLSearchParams(location.search) };
}

/** Re-renders the calling component whenever the URL changes. */
export function useLocation() {
  const [, render] = useState(0);
  useEffect(() => {
    const listen = () => render((n) => n + 1);
    listeners.add(listen);
    return () => listeners.delete(listen);
  }, []);
  return here();
}

/** Goes to `path`; the time range comes along unless `params` names its own. */
export function go(path, params = {}) {
  history.pushState(null, '', href(path, params));
  announce();
  scrollTo(0, 0);
}

/** Changes single parameters of the present URL; `null` removes one. `replace` adds no step to the history. */
export function set(changes, replace = false) {
  const params = here().params;
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') params.delete(key);
    else params.set(key, value);
  }
  const text = params.toString();
  history[replace ? 'replaceState' : 'pushState'](null, '', location.pathname + (text ? `?${text}` : ''));
  announce();
}

/** A link that keeps the time range, so that a click never loses what a person was looking at. */
export function href(path, params = {}) {
  const kept = new URLSearchParams();
  const now = here().params;
  for (const key of ['from', 'to', 'refresh']) if (now.get(key)) kept.set(key, now.get(key));
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') kept.set(key, value);
  }
  const text = kept.toString();
  return path + (text ? `?${text}` : '');
}

/** Plain clicks on links of ours change the URL without loading the page anew. */
export function catchClicks(event) {
  const link = event.target.closest?.('a[href^="/"]');
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.target || link.hasAttribute('download') || link.pathname.startsWith('/-/') || link.pathname === '/metrics') return;
  event.preventDefault();
  history.pushState(null, '', link.getAttribute('href'));
  announce();
  scrollTo(0, 0);
}

/** A finished link of a dashboard, with the refresh that the reader chose. */
export function keep(url) {
  const refresh = here().params.get('refresh');
  return refresh && url.startsWith('/') && !/[?&]refresh=/.test(url) ? `${url}${url.includes('?') ? '&' : '?'}refresh=${refresh}` : url;
}

/** Replaces all values of the parameters named in `pairs`, which may name one more than once; `null` only removes. */
export function setAll(pairs) {
  const params = here().params;
  for (const name of new Set(pairs.map(([key]) => key))) params.delete(name);
  for (const [key, value] of pairs) if (value !== null) params.append(key, value);
  history.pushState(null, '', `${location.pathname}?${params}`);
  announce();
}
