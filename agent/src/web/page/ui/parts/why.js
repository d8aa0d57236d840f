// Why there is nothing to draw: asks the store what it knows of the series that a query names, and says it in words.
import { html, useEffect, useState } from '../vendor/preact.js';
import { getJson } from '../api.js';

const WORDS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'bool', 'and', 'or', 'unless', 'offset', 'inf', 'nan', 'start', 'end', 'atan2']);

/** Names of the series in a PromQL expression, without labels, functions and keywords. */
export function seriesIn(expr) {
  const bare = expr.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, ' ').replace(/\{[^}]*\}/g, ' ').replace(/\[[^\]]*\]/g, ' ').replace(/\boffset\s+\S+/gi, ' ');
  return [...new Set([...bare.matchAll(/([a-zA-Z_:][\w:]*)(\s*\()?/g)].filter(([, name, call]) => !call && !WORDS.has(name.toLowerCase())).map(([, name]) => name))];
}

/** What is known about a series that does not come from a service through this agent. */
function elsewhere(name) {
  if (name.includes(':')) return 'is recorded by a rule that has given nothing yet: it builds on a few minutes of data';
  if (name === 'ALERTS') return 'is there while an alert is pending or fires: none is';
  if (name === 'up' || name.startsWith('scrape_')) return 'is written by Prometheus when it scrapes; nothing is scraped into this store';
  if (name.startsWith('alertmanager_') || name.startsWith('prometheus_')) return `comes from ${name.startsWith('a') ? 'Alertmanager' : 'Prometheus'}, which does not send its metrics here`;
  if (/elasticsearch/.test(name)) return 'is measured where Elasticsearch is the back end; here it is not';
  if (name.startsWith('sightline_')) return 'is born with the first such event in the agent: none has happened';
  return null;
}

/** One sentence about why `exprs` have no answer in [from, to]. */
export async function reason(exprs, from, to, signal) {
  const names = [...new Set(exprs.flatMap(seriesIn))].slice(0, 6);
  if (!names.length) return 'the query gives nothing in this range';
  const known = await Promise.all(names.map(async (name) => (await getJson(`/api/v1/series?${new URLSearchParams({ 'match[]': `{__name__="${name}"}`, start: Math.floor(Date.now() / 1000 - 31 * 86400), limit: 1 })}`, signal)).data.length));
  const absent = names.filter((_, i) => !known[i]);
  if (absent.length) return absent.length === 1 || elsewhere(absent[0]) ? `${absent[0]} ${elsewhere(absent[0]) ?? 'has never arrived: no service sends it to this agent'}` : `${absent.join(', ')} have never arrived`;
  const inside = await Promise.all(names.map(async (name) => (await getJson(`/api/v1/series?${new URLSearchParams({ 'match[]': `{__name__="${name}"}`, start: Math.floor(from / 1000), end: Math.ceil(to / 1000), limit: 1 })}`, signal)).data.length));
  const quiet = names.filter((_, i) => !inside[i]);
  return quiet.length ? `${quiet.join(', ')} has no sample in this range: widen it` : 'the series are there, but nothing matches these filters in this range';
}

/** The sentence, beside the panel's own words for "nothing". */
export function Why({ exprs = [], from, to, text, hint }) {
  const [said, setSaid] = useState('');
  useEffect(() => {
    const control = new AbortController();
    if (exprs.length) reason(exprs, from, to, control.signal).then(setSaid, () => {});
    return () => control.abort();
  }, [exprs.join('\n'), from]);
  return html`<div class="why"><p>${text || 'No data'}</p>${(said || hint) && html`<p class="note">${said ? `No data because ${said}.` : hint}</p>`}</div>`;
}
