// New records as they arrive (server-sent events): a bounded list, newest first, that can be held still.
import { html, useEffect, useRef, useState } from '../vendor/preact.js';
import { short } from '../format.js';
import { Line } from '../pages/logs.js';

/** Rows kept; older ones leave. */
const MOST = 300;

export function Tail({ text }) {
  const [rows, setRows] = useState([]);
  const [paused, setPaused] = useState(false);
  const [state, setState] = useState('connecting');
  const [seen, setSeen] = useState({ arrived: 0, skipped: 0 });
  // Records that came since the last drawing; a burst is drawn once.
  const waiting = useRef([]);
  const held = useRef(false);
  held.current = paused;
  useEffect(() => {
    setRows([]);
    setSeen({ arrived: 0, skipped: 0 });
    waiting.current = [];
    const source = new EventSource(`/api/logs/tail?${new URLSearchParams(text ? { q: text } : {})}`);
    source.onopen = () => setState('live');
    source.onerror = () => setState(source.readyState === EventSource.CLOSED ? 'refused: the query is wrong, or too many tails are open' : 'the connection broke; connecting again');
    source.addEventListener('record', (event) => {
      waiting.current.push(JSON.parse(event.data));
      if (waiting.current.length > MOST) waiting.current.shift();
      setSeen((old) => ({ ...old, arrived: old.arrived + 1 }));
    });
    source.addEventListener('skipped', (event) => setSeen((old) => ({ ...old, skipped: old.skipped + Number(event.data) })));
    const draw = setInterval(() => {
      if (held.current || !waiting.current.length) return;
      const fresh = waiting.current.splice(0).reverse();
      setRows((old) => [...fresh, ...old].slice(0, MOST));
    }, 300);
    return () => {
      clearInterval(draw);
      source.close();
    };
  }, [text]);
  return html`<section class="tail" aria-label="Live tail">
    <p class="tail-bar"><span class=${`badge ${state === 'live' ? (paused ? '' : 'ok') : 'degraded'}`}>${state === 'live' && paused ? 'paused' : state}</span>
      <button class="small" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>${paused ? 'Go on' : 'Pause'}</button>
      <button class="small" onClick=${() => setRows([])}>Clear</button>
      <span class="note" aria-live="off">${short(seen.arrived)} arrived${seen.skipped ? `, ${short(seen.skipped)} more came too fast to be sent` : ''} · the newest ${MOST} are kept</span></p>
    ${rows.length ? html`<div role="log" aria-live="off" aria-label="records as they arrive"><ol class="records">${rows.map((hit) => html`<${Line} key=${hit._id} hit=${hit} text=${text} />`)}</ol></div>`
      : html`<p class="empty">${state === 'live' ? 'Waiting for the next record…' : state}</p>`}
  </section>`;
}
