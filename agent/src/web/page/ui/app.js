// The frame of every page: navigation, time range, keyboard, and which page the URL means.
import { html, render, useEffect, useRef, useState } from './vendor/preact.js';
import { catchClicks, go, href, set, useLocation } from './location.js';
import { TimePicker, move } from './parts/timepicker.js';
import { range } from './time.js';
import { Home } from './pages/home.js';
import { Logs } from './pages/logs.js';
import { Traces } from './pages/traces.js';
import { Trace } from './pages/trace.js';
import { Panics } from './pages/panics.js';
import { Explore } from './pages/explore.js';
import { Agent } from './pages/agent.js';
import { Dashboard, Dashboards } from './pages/dashboards.js';
import { Security } from './pages/security.js';
import { ServiceMap } from './pages/map.js';

/** Name in the URL, label, key after `g`, component. */
const PAGES = [
  ['', 'Services', 'h', Home],
  ['logs', 'Logs', 'l', Logs],
  ['traces', 'Traces', 't', Traces],
  ['panics', 'Panics', 'p', Panics],
  ['explore', 'Metrics', 'm', Explore],
  ['security', 'Security', 's', Security],
  ['map', 'Map', 'v', ServiceMap],
  ['dashboards', 'Dashboards', 'd', Dashboards],
  ['agent', 'Agent', 'a', Agent],
];

const KEYS = [
  ['/', 'go to the search box'], ['j / k', 'next and previous row'], ['Enter', 'open the row'],
  ...PAGES.map(([, label, key]) => [`g ${key}`, `go to ${label}`]), ['r', 'refresh now'], ['z', 'zoom out in time'], [', / .', 'earlier, later'], ['?', 'this help'], ['Esc', 'close'],
];

function App() {
  const { path, params } = useLocation();
  const [help, setHelp] = useState(false);
  const [stamp, setStamp] = useState(0);
  const dialog = useRef(null);
  useKeys(() => setHelp((h) => !h), () => setStamp((n) => n + 1));
  useEffect(() => {
    const box = dialog.current;
    if (help && !box.open) box.showModal();
    if (!help && box?.open) box.close();
  }, [help]);
  const first = path[0] === 'd' ? 'dashboards' : path[0] ?? '';
  const page = PAGES.find(([name]) => name === first);
  const title = path[0] === 'traces' && path[1] ? 'Trace' : page?.[1] ?? 'Not found';
  useEffect(() => {
    document.title = `${title} · Sightline`;
    // On a phone the pages are one line that scrolls sideways.
    document.querySelector('.bar nav [aria-current]')?.scrollIntoView({ inline: 'nearest', block: 'nearest' });
  }, [title, path.join('/')]);
  // A range that has ended gives the same again.
  const every = range().live ? Number(params.get('refresh') ?? 5) * 1000 : 0;
  const shared = { path, params, every, stamp };
  return html`
    <a class="skip" href="#main">Skip to content</a>
    <header class="bar">
      <a class="brand" href=${href('/')}><img src="/ui/icon.svg" alt="" width="22" height="22" /> Sightline</a>
      <nav aria-label="Pages">
        ${PAGES.map(([name, label]) => html`
          <a href=${href(`/${name}`)} aria-current=${name === first ? 'page' : null}>${label}</a>`)}
      </nav>
      <${TimePicker} onRefresh=${() => setStamp((n) => n + 1)} />
      <button class="quiet" onClick=${() => setHelp(true)} aria-label="Keyboard shortcuts">?</button>
    </header>
    <main id="main" tabindex="-1">
      ${path[0] === 'd' && path[1] ? html`<${Dashboard} uid=${path[1]} ...${shared} />`
        : first === 'traces' && path[1] ? html`<${Trace} id=${path[1]} ...${shared} />`
        : page ? html`<${page[3]} ...${shared} />`
        : html`<h1>Not found</h1><p>There is no page at this address. <a href="/">Go to the services.</a></p>`}
    </main>
    <dialog ref=${dialog} onClose=${() => setHelp(false)} aria-labelledby="keys">
      <h2 id="keys">Keyboard</h2>
      <table><tbody>${KEYS.map(([key, what]) => html`<tr><th scope="row"><kbd>${key}</kbd></th><td>${what}</td></tr>`)}</tbody></table>
      <button onClick=${() => setHelp(false)}>Close</button>
    </dialog>`;
}

/** Single keys, never while somebody types into a field. */
function useKeys(toggleHelp, refresh) {
  useEffect(() => {
    let afterG = false;
    const press = (event) => {
      const typing = event.target.matches?.('input, textarea, select, [contenteditable]');
      if (event.key === 'Escape' && typing) event.target.blur();
      if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
      if (afterG) {
        afterG = false;
        const page = PAGES.find(([, , key]) => key === event.key);
        if (page) go(`/${page[0]}`);
        return;
      }
      if (event.key === 'g') afterG = true;
      else if (event.key === '?') toggleHelp();
      else if (event.key === 'r') refresh();
      else if (event.key === 'z' || event.key === ',' || event.key === '.') move(event.key);
      else if (event.key === '/') {
        const box = document.querySelector('input[type=search]');
        if (box) {
          event.preventDefault();
          box.focus();
          box.select();
        }
      } else if (event.key === 'j' || event.key === 'k') moveRow(event.key === 'j' ? 1 : -1);
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

function moveRow(by) {
  const rows = [...document.querySelectorAll('[data-row]')];
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
}

/** A click elsewhere and Escape close menus, as everywhere. */
function closeMenus(event) {
  if (event.type === 'keydown' && event.key !== 'Escape') return;
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (event.type === 'click' && menu.contains(event.target)) continue;
    menu.open = false;
    if (event.type === 'keydown' && menu.contains(document.activeElement)) menu.querySelector('summary').focus();
  }
}

addEventListener('click', catchClicks);
addEventListener('click', closeMenus);
addEventListener('keydown', closeMenus);
const root = document.getElementById('app');
root.textContent = '';
render(html`<${App} />`, root);
// For links from elsewhere that carry a token: it lives in a cookie from the first answer on.
if (new URLSearchParams(location.search).has('token')) set({ token: null }, true);
