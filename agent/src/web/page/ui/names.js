// Names as services send them, with wildcards (`*.handlers.*.failed`), as PromQL. Pure.

const LABELS = ['environment', 'host', 'service', 'group', 'segment'];
const open = (part) => /[*?]/.test(part);
const pattern = (part) => part.replace(/[.+^$()|[\]{}\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.');

/**
 * The query that a dotted name means: four parts are service, group, segment and outcome, six have environment and host before them;
 * any other name is a foreign one, which stands in the store with `_` for each dot. Null for what is no such name but PromQL already.
 */
export function dotted(text, window) {
  const name = text.trim();
  if (!/^[\w*?-]+(\.[\w*?-]+)+$/.test(name) || /^[\d.]+$/.test(name)) return null;
  const parts = name.split('.');
  if (parts.length !== 4 && parts.length !== 6) {
    const own = name.replace(/[.-]/g, '_');
    return open(own) ? `{__name__=~"${pattern(own).replace(/\\/g, '\\\\')}"}` : own;
  }
  const outcome = parts.pop();
  const labels = LABELS.slice(LABELS.length - parts.length);
  const is = (label, part) => (part === '*' ? null : open(part) ? `${label}=~"${pattern(part).replace(/\\/g, '\\\\')}"` : `${label}="${part}"`);
  const chosen = (...more) => [...labels.map((label, i) => is(label, parts[i])), ...more].filter(Boolean).join(',');
  const by = (...more) => {
    const keys = [...labels.filter((_, i) => open(parts[i])), ...more];
    return keys.length ? ` by (${keys.join(', ')})` : '';
  };
  if (outcome === 'called') return `sum${by()} (rate(instrument_calls_total{${chosen()}}[${window}]))`;
  if (outcome === 'timing') return `histogram_quantile(0.99, sum${by('le')} (rate(instrument_timing_seconds_bucket{${chosen()}}[${window}])))`;
  const wild = open(outcome);
  const rate = `sum${by(...(wild ? ['outcome'] : []))} (rate(instrument_outcomes_total{${chosen(is('outcome', outcome))}}[${window}]))`;
  // A gauge's last part is what it measures.
  return `${rate} or max${by(...(wild ? ['measure'] : []))} (instrument_gauge{${chosen(is('measure', outcome))}})`;
}
