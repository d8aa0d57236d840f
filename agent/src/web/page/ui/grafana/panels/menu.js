// Where a click on a value can lead, as a small dialog.
import { html, useEffect, useRef } from '../../vendor/preact.js';
import { keep } from '../../location.js';

export function Menu({ items, close }) {
  const box = useRef(null);
  useEffect(() => {
    if (items?.length && !box.current.open) box.current.showModal();
  }, [items]);
  return items?.length ? html`<dialog class="menu-box" ref=${box} aria-label="Links" onClose=${close} onClick=${() => box.current.close()}>
    ${items.map((one) => html`<p><a href=${keep(one.url)} target=${one.blank ? '_blank' : null} rel="noreferrer">${one.ours ?? one.title}</a></p>`)}
    <button class="quiet">Close</button></dialog>` : null;
}

/** One value that leads somewhere: a link when there is one way, a list of them otherwise. */
export function Linked({ items, children }) {
  if (!items.length) return children;
  const [first, ...rest] = items;
  return html`<a href=${keep(first.url)} title=${first.ours ?? first.title} target=${first.blank ? '_blank' : null} rel="noreferrer">${children}</a>
    ${rest.map((one) => html` <a class="more" href=${keep(one.url)} target=${one.blank ? '_blank' : null} rel="noreferrer">${one.ours ?? one.title}</a>`)}`;
}
