// Log records, each opening into its fields.
import { html } from '../../vendor/preact.js';
import { Line } from '../../pages/logs.js';

export function Logs({ panel, frames }) {
  const hits = frames.flatMap((frame) => frame.hits ?? []);
  const time = (hit) => Date.parse(hit._source['@timestamp']);
  if (panel.options.sortOrder === 'Ascending') hits.sort((a, b) => time(a) - time(b));
  return html`<ol class="records">${hits.slice(0, 200).map((hit) => html`<${Line} key=${hit._id} hit=${hit} link />`)}</ol>`;
}
