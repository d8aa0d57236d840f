// Native histograms as lines that a chart can draw: three quantiles of each, read from its buckets.

export const QUANTILES = [0.5, 0.9, 0.99];

/** The value below which the part `q` of the observations lies; null when there are none. Buckets are [rule, lower, upper, count]. */
export function quantile(q, buckets) {
  const all = (buckets ?? []).map(([, lower, upper, count]) => [Number(lower), Number(upper), Number(count)]);
  const total = all.reduce((sum, [, , count]) => sum + count, 0);
  if (!(total > 0)) return null;
  let before = 0;
  for (const [lower, upper, count] of all) {
    if (before + count < q * total || !(count > 0)) {
      before += count;
      continue;
    }
    const part = (q * total - before) / count;
    if (!Number.isFinite(upper)) return lower;
    if (!Number.isFinite(lower)) return upper;
    // Buckets grow by a factor; only those around zero are even.
    if (lower > 0) return lower * (upper / lower) ** part;
    if (upper < 0) return upper * (lower / upper) ** (1 - part);
    return lower + (upper - lower) * part;
  }
  return all.at(-1)[1];
}

/** The series of an answer as [{ metric, points: [[seconds, number]] }]: a histogram becomes one for each quantile, which says that it is `native`. */
export function lines(result) {
  return result.flatMap(({ metric, value, values, histogram, histograms }) => {
    const numbers = values ?? (value ? [value] : []);
    const native = histograms ?? (histogram ? [histogram] : []);
    const out = numbers.length || !native.length ? [{ metric, points: numbers.map(([t, v]) => [t, Number(v)]) }] : [];
    if (!native.length) return out;
    return out.concat(QUANTILES.map((q) => ({
      metric: { ...metric, quantile: String(q) },
      native: true,
      points: native.map(([t, h]) => [t, quantile(q, h.buckets)]).filter(([, v]) => v !== null),
    })).filter((one) => one.points.length));
  });
}
