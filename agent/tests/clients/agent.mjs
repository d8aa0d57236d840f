// Asks the agent under test what has arrived. Where it listens is in the environment; see scripts/test-clients.

const web = process.env.AGENT_WEB;

async function get(path, body) {
  const options = body
    ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    : {};
  const answer = await fetch(web + path, options);
  return { status: answer.status, text: await answer.text() };
}

async function eventually(what, look, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const { found, seen } = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s; last: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The spans of a trace by name, once there are `count`. */
export function trace(id, count) {
  return eventually(`trace ${id}`, async () => {
    const { status, text } = await get(`/api/v2/trace/${id}`);
    const spans = status === 200 ? JSON.parse(text) : [];
    const found = spans.length >= count && Object.fromEntries(spans.map((span) => [span.name, span]));
    return { found, seen: text.slice(0, 300) };
  });
}

/** The log records that match, once there are `count`. */
export function records(query, count) {
  return eventually(`records for ${query}`, async () => {
    const { text } = await get('/logs-*/_search', { size: 100, query: { query_string: { query } } });
    const hits = JSON.parse(text).hits?.hits ?? [];
    return { found: hits.length >= count && hits.map((hit) => hit._source), seen: text.slice(0, 300) };
  });
}

/** Waits until the one series of `name` that has all of `labels` in it has this value. */
export function sample(name, value, ...labels) {
  return eventually(`${name} = ${value}`, async () => {
    const { text } = await get('/metrics');
    const lines = text.split('\n').filter((line) => {
      return line.split(/[{ ]/)[0] === name && labels.every((label) => line.includes(label));
    });
    const values = lines.map((line) => Number(line.split(' # ')[0].split(' ').at(-1)));
    return { found: values.length === 1 && values[0] === value, seen: lines };
  });
}
