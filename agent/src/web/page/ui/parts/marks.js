// Deploys on a time axis: a version that `instrument_build_info` did not have five minutes before.
import { queryRange } from '../api.js';
import { step } from '../time.js';

/** The first of each run of samples, as [{ at, text, labels }]. */
export function starts(found, stepSeconds, text) {
  return found.flatMap(({ metric, points }) => points.filter(([t], i) => !i || t - points[i - 1][0] > stepSeconds * 1.6).map(([t]) => ({ at: t * 1000, text: text(metric), labels: metric })));
}

/** Deploys in [from, to], of one service or of all. An answer that fails is no mark, never an error of the chart. */
export async function deploys(from, to, service, signal) {
  const chosen = service ? `{service="${service}"}` : '';
  const builds = `group by (service, version) (instrument_build_info${chosen})`;
  const s = step((to - from) / 1000, 200);
  try {
    const found = await queryRange(`${builds} unless group by (service, version) (instrument_build_info${chosen} offset 5m)`, from, to, s, signal);
    return starts(found, s, ({ service: name, version }) => (service ? version : `${name} ${version}`));
  } catch {
    return [];
  }
}
