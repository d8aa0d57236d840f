// Text panels: the Markdown that dashboards use, drawn as elements, so that no mark-up of a file can become the page's own.
import { html } from '../../vendor/preact.js';
import { interpolate } from '../text.js';
import { home } from '../field.js';

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|!?\[([^\]]*)\]\(([^)\s]+)[^)]*\)|(https?:\/\/[^\s<>)]+)/g;

/** A line as text, code, emphasis and links. */
function inline(text) {
  const out = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > from) out.push(text.slice(from, found.index));
    from = found.index + found[0].length;
    const [whole, code, strong, strong2, em, label, url, bare] = found;
    if (code) out.push(html`<code>${code}</code>`);
    else if (strong || strong2) out.push(html`<strong>${strong ?? strong2}</strong>`);
    else if (em) out.push(html`<em>${em}</em>`);
    // Pictures would be requests to elsewhere: their words stand for them.
    else if (whole.startsWith('!')) out.push(label);
    else out.push(html`<a href=${home(url ?? bare).url} rel="noreferrer">${label || url || bare}</a>`);
  }
  return [...out, text.slice(from)];
}

/** Markdown as blocks: headings, lists, tables of text, code, rules, paragraphs. */
export function markdown(source) {
  const out = [];
  const lines = source.replace(/\r/g, '').split('\n');
  let i = 0;
  const take = (test) => {
    const start = i;
    while (i < lines.length && test(lines[i])) i += 1;
    return lines.slice(start, i);
  };
  while (i < lines.length) {
    const line = lines[i];
    const heading = /^(#{1,6})\s+(.*?)#*\s*$/.exec(line);
    if (heading) {
      out.push(html`<p class=${`heading h${heading[1].length}`}><strong>${inline(heading[2])}</strong></p>`);
      i += 1;
    } else if (/^```/.test(line)) {
      i += 1;
      out.push(html`<pre tabindex="0">${take((one) => !/^```/.test(one)).join('\n')}</pre>`);
      i += 1;
    } else if (/^\s*([-*+]|\d+\.)\s+/.test(line)) {
      const items = take((one) => /^\s*([-*+]|\d+\.)\s+/.test(one) || /^\s{2,}\S/.test(one)).map((one) => one.replace(/^\s*([-*+]|\d+\.)\s+/, ''));
      out.push(/^\s*\d/.test(line) ? html`<ol>${items.map((one) => html`<li>${inline(one)}</li>`)}</ol>` : html`<ul>${items.map((one) => html`<li>${inline(one)}</li>`)}</ul>`);
    } else if (/^\|.*\|\s*$/.test(line)) {
      const rows = take((one) => /^\|/.test(one)).filter((one) => !/^[|\s:-]+$/.test(one)).map((one) => one.trim().slice(1, -1).split('|').map((cell) => cell.trim()));
      out.push(html`<table class="rows"><tbody>${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${inline(cell)}</td>`)}</tr>`)}</tbody></table>`);
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      out.push(html`<hr />`);
      i += 1;
    } else if (!line.trim()) i += 1;
    else out.push(html`<p>${inline(take((one) => one.trim() && !/^(#{1,6}\s|```|\s*[-*+]\s|\|)/.test(one)).join(' ') || lines[i++])}</p>`);
  }
  return out;
}

/** HTML of a file is shown as the text it holds. */
const words = (source) => source.replace(/<(script|style)[\s\S]*?<\/\1>/gi, '').replace(/<br\s*\/?>|<\/(p|div|h\d|li|tr)>/gi, '\n\n').replace(/<[^>]*>/g, '')
  .replace(/&(amp|lt|gt|quot|nbsp|#39);/g, (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ', '#39': "'" }[name]));

export function Text({ panel, scope }) {
  const { mode = 'markdown', content = '' } = panel.options;
  const text = interpolate(content, scope);
  if (mode === 'code') return html`<pre tabindex="0">${text}</pre>`;
  return html`<div class="markdown">${markdown(mode === 'html' || /^\s*</.test(text) ? words(text) : text)}</div>`;
}
