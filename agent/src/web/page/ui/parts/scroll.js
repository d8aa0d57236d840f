// A wide table in a box of its own that scrolls sideways, by keyboard as well.
import { html } from '../vendor/preact.js';

export function Scroll({ label, children }) {
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${label}>${children}</div>`;
}
