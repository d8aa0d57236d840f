// Whether somebody reads a list whose rows a new answer would move from under the eye or the pointer.
import { html } from '../vendor/preact.js';

/** Pixels scrolled from which on the top of the page, where new rows come in, is not looked at. */
const SCROLLED = 160;

/** `box` is the list: the pointer or the keyboard is in it, a text is selected, or it is scrolled. */
export function reading(box) {
  if (!box) return false;
  const selected = getSelection();
  return scrollY > SCROLLED || box.matches(':hover') || (box.contains(document.activeElement) && document.activeElement.matches(':focus-visible'))
    || (selected.type === 'Range' && box.contains(selected.anchorNode));
}

/** Said beside the count while the list is held. */
export const Held = ({ waiting }) => (waiting ? html` · held still while you read, <kbd>r</kbd> asks again` : null);
