// A dashboard's annotations as marks on its time axes.
import { queryRange } from '../api.js';
import { starts } from '../parts/marks.js';
import { step } from '../time.js';
import { colour } from './field.js';
import { sourceOf } from './sources.js';
import { interpolate } from './text.js';

/** All marks of `board` in the range of `scope`; what fails or is foreign is left out. */
export async function marks(board, scope, signal) {
  const wanted = (board.annotations?.list ?? []).filter((one) => one.enable !== false && one.hide !== true && one.expr && sourceOf(one, null, scope.variables) === 'prometheus');
  const s = step((scope.to - scope.from) / 1000, 200);
  const fill = (text, labels) => (text ?? '').replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');
  const found = await Promise.all(wanted.map(async (one) => {
    try {
      const series = await queryRange(interpolate(one.expr, scope, 'promql'), scope.from, scope.to, s, signal);
      return starts(series, s, (labels) => (fill(one.textFormat, labels) || fill(one.titleFormat, labels) || one.name).trim()).map((mark) => ({ ...mark, colour: colour(one.iconColor) }));
    } catch {
      return [];
    }
  }));
  return found.flat();
}
