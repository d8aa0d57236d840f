// Security: who fails to sign in, from where, against which accounts, why and how, and whether it then worked.
import { html } from '../vendor/preact.js';
import { href } from '../location.js';
import { logQuery, search, useData } from '../api.js';
import { range, step } from '../time.js';
import { ago, short } from '../format.js';
import { Chart } from '../parts/chart.js';
import { deploys } from '../parts/marks.js';
import { Scroll } from '../parts/scroll.js';
import { Command, First, State } from '../parts/state.js';
import { Line } from './logs.js';

const AUTH = 'event.category:authentication';
const FAILED = `${AUTH} AND event.outcome:failure`;
/** Failures from one address from which on it is worth a look. */
const MANY = 20;

const terms = (field, size, aggs) => ({ terms: { field, size }, ...(aggs && { aggs }) });

async function load(signal) {
  const { from, to, seconds } = range();
  const ask = (text, aggs, size = 0) => search('logs-*', { query: logQuery(text, from, to), size, sort: [{ '@timestamp': 'desc' }], track_total_hits: true, aggs }, signal);
  const interval = `${step(seconds, 60, 1)}s`;
  const [failed, worked, audit, marks] = await Promise.all([
    ask(FAILED, {
      addresses: terms('source.ip', 25, { users: { cardinality: { field: 'user.name' } }, names: terms('user.name', 3), last: { max: { field: '@timestamp' } }, why: terms('event.reason', 2) }),
      users: terms('user.name', 15, { addresses: { cardinality: { field: 'source.ip' } } }),
      why: terms('event.reason', 10), how: terms('labels.method', 10), handlers: terms('handler', 10), services: terms('service.name', 10),
    }),
    ask(`${AUTH} AND event.outcome:success`, { addresses: terms('source.ip', 200) }),
    ask(AUTH, { when: { date_histogram: { field: '@timestamp', fixed_interval: interval, min_doc_count: 0, extended_bounds: { min: from, max: to } }, aggs: { outcome: terms('event.outcome', 3) } } }, 50),
    deploys(from, to, null, signal),
  ]);
  const inside = new Map(worked.aggregations.addresses.buckets.map((one) => [one.key, one.doc_count]));
  const outcome = (name) => audit.aggregations.when.buckets.map((bucket) => [bucket.key / 1000, bucket.outcome.buckets.find((one) => one.key === name)?.doc_count ?? 0]);
  return {
    from, to, marks, failures: failed.hits.total.value, successes: worked.hits.total.value, hits: audit.hits.hits,
    addresses: failed.aggregations.addresses.buckets.map((one) => ({ address: one.key, count: one.doc_count, users: one.users.value, names: one.names.buckets.map((b) => b.key), why: one.why.buckets.map((b) => b.key), last: one.last.value, worked: inside.get(one.key) ?? 0 })),
    users: failed.aggregations.users.buckets, lists: [['Why', 'event.reason', failed.aggregations.why.buckets], ['How', 'labels.method', failed.aggregations.how.buckets], ['Where', 'handler', failed.aggregations.handlers.buckets], ['Service', 'service.name', failed.aggregations.services.buckets]],
    chart: [{ label: 'failed', colour: '#d93025', points: outcome('failure') }, { label: 'succeeded', colour: '#12a150', points: outcome('success') }],
  };
}

export function Security({ every, stamp, params }) {
  const state = useData(load, [stamp, params.toString()], every && Math.max(every, 5000));
  const none = state.data && !state.data.hits.length;
  return html`<h1>Security</h1><${State} ...${state} empty=${none && html`<section class="nothing"><h2>No sign-in in this range</h2>
    <p>Audit records appear when a service reports them. In a handler:</p><${Command} text='sightline_instrument::security::auth_failed(user, address, "password", "wrong password");' />
    <p>Or try one by hand:</p><${First} text=${(at) => `echo '{"message":"auth failed","level":"warn","service":"kittenserver","event.category":"authentication","event.outcome":"failure","source.ip":"192.0.2.1","user.name":"anna","event.reason":"wrong password"}' | nc -w1 ${location.hostname} ${at['logs tcp'] ?? 5000}`} /></section>`}>
    <${Facts} ...${state.data} /><//>`;
}

/** What a row looks like to somebody who has seen attacks. */
function verdict({ count, users, worked }) {
  if (worked && count >= MANY) return ['failed', 'got in after many failures'];
  if (users > 2 && count >= MANY) return ['failed', 'many accounts: spraying'];
  if (count >= MANY) return ['degraded', 'keeps trying'];
  return ['', worked ? 'also succeeded' : 'few'];
}

function Facts({ failures, successes, addresses, users, lists, hits, chart, marks, from, to }) {
  return html`
    <p class="note">${short(failures)} failed and ${short(successes)} succeeded sign-ins, from ${short(addresses.length)}${addresses.length === 25 ? ' or more' : ''} addresses that failed</p>
    <${Chart} series=${chart} bars stack height=${130} label="sign-ins by outcome" from=${from} to=${to} marks=${marks} />
    <h2>By address</h2>
    <${Scroll} label="failures by address"><table class="rows"><thead><tr><th scope="col">Address</th><th scope="col" class="n">Failures</th><th scope="col" class="n">Accounts</th><th scope="col">Tried</th>
      <th scope="col">Why</th><th scope="col" class="n">Successes</th><th scope="col">Last</th><th scope="col">Looks like</th></tr></thead>
      <tbody>${addresses.map((one) => {
        const [tone, words] = verdict(one);
        return html`<tr><th scope="row"><a data-row href=${href('/logs', { q: `${AUTH} AND source.ip:"${one.address}"` })}>${one.address}</a></th><td class="n">${short(one.count)}</td><td class="n">${one.users}</td>
          <td>${one.names.join(', ')}${one.users > one.names.length ? ', …' : ''}</td><td>${one.why.join(', ')}</td><td class="n">${short(one.worked)}</td><td>${ago(one.last)}</td><td><span class=${`badge ${tone}`}>${words}</span></td></tr>`;
      })}</tbody></table><//>
    <div class="lists">
      <section><h2>By account</h2><table class="rows"><thead><tr><th scope="col">Account</th><th scope="col" class="n">Failures</th><th scope="col" class="n">Addresses</th></tr></thead><tbody>${users.map((one) => html`<tr><th scope="row"><a href=${href('/logs', { q: `${FAILED} AND user.name:"${one.key}"` })}>${one.key}</a></th><td class="n">${short(one.doc_count)}</td><td class="n">${one.addresses.value}</td></tr>`)}</tbody></table></section>
      ${lists.filter(([, , buckets]) => buckets.length).map(([title, field, buckets]) => html`<section><h2>${title}</h2><table class="rows"><thead><tr><th scope="col">${field}</th><th scope="col" class="n">Failures</th></tr></thead>
        <tbody>${buckets.map((one) => html`<tr><th scope="row"><a href=${href('/logs', { q: `${FAILED} AND ${field}:"${one.key}"` })}>${one.key}</a></th><td class="n">${short(one.doc_count)}</td></tr>`)}</tbody></table></section>`)}
    </div>
    <h2>Audit records</h2><ol class="records">${hits.map((hit) => html`<${Line} key=${hit._id} hit=${hit} />`)}</ol>`;
}
