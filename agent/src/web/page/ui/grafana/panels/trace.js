// One trace as a waterfall, and services as a graph.
import { html } from '../../vendor/preact.js';
import { href } from '../../location.js';
import { ServiceGraph } from '../../parts/graph.js';
import { Waterfall } from '../../parts/waterfall.js';

export function Trace({ frames }) {
  const found = frames.filter((frame) => frame.spans);
  return found.map((frame) => html`<p class="note"><a href=${href(`/traces/${frame.name}`)}>open the trace with its logs</a></p><${Waterfall} spans=${frame.spans} />`);
}

export const Graph = ({ frames }) => frames.filter((frame) => frame.links).map((frame) => html`<${ServiceGraph} links=${frame.links} />`);
