// What stands where data would: loading, an error with its reason, or why there is none yet.
import { html, useState } from '../vendor/preact.js';
import { useData } from '../api.js';

/** Shows `children` when there is data; otherwise says what is the matter, and in the query that was `asked` at which column. */
export function State({ error, column, asked, loading, data, empty, children }) {
  return html`
    ${error && html`<div role="alert"><p class="error">${error}</p>${asked && column && html`<pre class="place" tabindex="0">${`${asked}\n${' '.repeat(Math.min(column, asked.length + 1) - 1)}▲`}</pre>`}</div>`}
    ${!data && loading && html`<p class="empty" aria-live="polite">Loading…</p>`}
    ${data && empty ? empty : data ? children : null}`;
}

/** A command that can be copied. */
export function Command({ text }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<div class="command"><pre tabindex="0">${text}</pre><button class="quiet small" onClick=${copy}>${done ? 'copied' : 'copy'}</button></div>`;
}

const host = location.hostname;

/** Ports of the agent as `/-/ready` has them, by receiver: `{ 'logs tcp': 5000, … }`. */
async function ports(signal) {
  const { checks } = await (await fetch('/-/ready', { signal })).json();
  const open = checks.flatMap(({ name, detail }) => detail.split(', ').map((one) => [name, ...(/^(\w+) \S+:(\d+)$/.exec(one) ?? []).slice(1)]));
  return Object.fromEntries(open.filter((one) => one.length === 3).map(([name, what, port]) => [`${name} ${what}`, port]));
}

/** How to send the first of each signal, ready to paste; by the usual ports where the agent does not say which. */
const FIRST = {
  metric: (at) => `printf 'kittenserver.handlers.hello.called:1|c|#environment:dev,host:laptop\\nkittenserver.handlers.hello.success:1|c|#environment:dev,host:laptop\\nkittenserver.handlers.hello.timing:12|ms|#environment:dev,host:laptop' | nc -u -w1 ${host} ${at['statsd udp'] ?? 9125}`,
  log: (at) => `echo '{"message":"hello","level":"info","service":"kittenserver"}' | nc -w1 ${host} ${at['logs tcp'] ?? 5000}`,
  span: (at) => `curl -s http://${host}:${at['zipkin http'] ?? 9411}/api/v2/spans -H 'content-type: application/json' -d "[{\\"traceId\\":\\"$(openssl rand -hex 16)\\",\\"id\\":\\"$(openssl rand -hex 8)\\",\\"name\\":\\"get /hello\\",\\"kind\\":\\"SERVER\\",\\"timestamp\\":$(date +%s)000000,\\"duration\\":12000,\\"localEndpoint\\":{\\"serviceName\\":\\"kittenserver\\"}}]"`,
};

/** The command that sends the first of a kind to this agent. */
export function First({ kind, text = FIRST[kind] }) {
  const at = useData(ports, []).data;
  return html`<${Command} text=${text(at ?? {})} />`;
}

/** An empty state that says how to fill it. */
export function Nothing({ what, kind, why }) {
  return html`<section class="nothing"><h2>No ${what} here yet</h2><p>${why ?? 'Nothing has arrived in this time range.'}${' '}
    Send the first one from a shell:</p><${First} kind=${kind} /></section>`;
}
