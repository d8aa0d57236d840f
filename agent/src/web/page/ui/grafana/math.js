// Arithmetic over series and numbers, as a math expression writes it: `$A * 100 / ($B + 1) > 5`. Pure.

const TOKEN = /\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|\$\{([^}]+)\}|\$(\w+)|([A-Za-z_]\w*)|(\*\*|&&|\|\||==|!=|<=|>=|[-+*/%<>!(),]))/y;
const POWER = { '||': 1, '&&': 2, '==': 3, '!=': 3, '<': 4, '>': 4, '<=': 4, '>=': 4, '+': 5, '-': 5, '*': 6, '/': 6, '%': 6, '**': 7 };
const yes = (v) => Number(Boolean(v));
const BINARY = { '||': (a, b) => yes(a || b), '&&': (a, b) => yes(a && b), '==': (a, b) => yes(a === b), '!=': (a, b) => yes(a !== b), '<': (a, b) => yes(a < b), '>': (a, b) => yes(a > b), '<=': (a, b) => yes(a <= b),
  '>=': (a, b) => yes(a >= b), '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b, '%': (a, b) => a % b, '**': (a, b) => a ** b };
/** Those that look at what is missing get it; the others leave it missing. */
const LOOKING = { is_null: (v) => yes(v === null), is_nan: (v) => yes(v !== null && Number.isNaN(v)), is_inf: (v) => yes(v === Infinity || v === -Infinity), is_number: (v) => yes(v !== null && Number.isFinite(v)) };
const CALLS = { abs: Math.abs, log: Math.log, round: Math.round, ceil: Math.ceil, floor: Math.floor };
const WORDS = { nan: NaN, inf: Infinity, infn: -Infinity, null: null };

/** The items that `text` gives; `given` holds those of the targets by letter. */
export function evaluate(text, given) {
  const tokens = read(text);
  let at = 0;
  const take = (sign) => tokens[at]?.sign === sign && (at += 1);
  const expect = (sign) => {
    if (!take(sign)) throw new Error(`'${text}': expected ${sign} at column ${(tokens[at]?.column ?? text.length) + 1}`);
  };
  const primary = () => {
    const token = tokens[at];
    if (!token) throw new Error(`'${text}': something is missing at the end`);
    at += 1;
    if (token.number !== undefined) return [{ labels: {}, value: token.number, plain: true }];
    if (token.letter) {
      if (!given.has(token.letter)) throw new Error(`it needs the target '${token.letter}', which is not there`);
      return given.get(token.letter);
    }
    if (token.word) {
      const call = LOOKING[token.word] ?? (CALLS[token.word] && ((v) => (v === null ? null : CALLS[token.word](v))));
      if (call || token.word in WORDS) {
        const open = take('(');
        if (!call) {
          if (open) expect(')');
          return [{ labels: {}, value: WORDS[token.word], plain: true }];
        }
        if (!open) at -= 1, expect('(');
        const inside = binary(0);
        expect(')');
        return each(inside, call);
      }
      throw new Error(`'${text}': the function '${token.word}' is not known here`);
    }
    if (token.sign === '(') {
      const inside = binary(0);
      expect(')');
      return inside;
    }
    if (token.sign === '-') return each(binary(POWER['**'] - 1), (v) => (v === null ? null : -v));
    if (token.sign === '!') return each(binary(POWER['**'] - 1), (v) => (v === null ? null : yes(!v)));
    throw new Error(`'${text}': unexpected ${token.sign} at column ${token.column + 1}`);
  };
  const binary = (least) => {
    let left = primary();
    for (;;) {
      const sign = tokens[at]?.sign;
      const power = POWER[sign];
      if (!power || power <= least) return left;
      at += 1;
      // A power binds to its right first.
      left = join(left, binary(sign === '**' ? power - 1 : power), BINARY[sign]);
    }
  };
  const out = binary(0);
  if (at < tokens.length) throw new Error(`'${text}': unexpected input at column ${tokens[at].column + 1}`);
  return out.map(({ plain: _, ...one }) => one);
}

function read(text) {
  const out = [];
  TOKEN.lastIndex = 0;
  while (/\S/.test(text.slice(TOKEN.lastIndex))) {
    const column = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (!found) throw new Error(`'${text}': cannot be read at column ${column + 1}`);
    const [, number, braced, bare, word, sign] = found;
    out.push({ column, sign, word, letter: braced ?? bare, number: number === undefined ? undefined : Number(number) });
  }
  return out;
}

const each = (list, change) => list.map((one) => (one.points ? { ...one, points: one.points.map(([t, v]) => [t, change(v)]) } : { ...one, value: change(one.value) }));

const within = (a, b) => Object.entries(a).every(([key, value]) => b[key] === value);

/** Each item of one side with each of the other whose labels agree: the same, or all of one among those of the other. */
function join(left, right, apply) {
  const both = (a, b) => (a === null || b === null || a === undefined || b === undefined ? null : apply(a, b));
  const out = [];
  for (const a of left) {
    for (const b of right) {
      const lone = left.length === 1 && right.length === 1;
      if (!(a.plain || b.plain || lone || within(a.labels, b.labels) || within(b.labels, a.labels))) continue;
      const labels = Object.keys(a.labels).length >= Object.keys(b.labels).length ? a.labels : b.labels;
      if (a.points && b.points) {
        const at = new Map(b.points);
        out.push({ labels, points: a.points.filter(([t]) => at.has(t)).map(([t, v]) => [t, both(v, at.get(t))]) });
      } else if (a.points) out.push({ labels, points: a.points.map(([t, v]) => [t, both(v, b.value)]) });
      else if (b.points) out.push({ labels, points: b.points.map(([t, v]) => [t, both(a.value, v)]) });
      else out.push({ labels, value: both(a.value, b.value), ...(a.plain && b.plain && { plain: true }) });
    }
  }
  return out;
}
