//! The functions of PromQL: names, what they take, what they give.
use super::ast::Type;

#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    pub name: &'static str,
    pub args: &'static [Type],
    /// How many of the last arguments may be left out; `Some(usize::MAX)` repeats the last one without end.
    pub optional: usize,
    pub repeats: bool,
    pub returns: Type,
}

use Type::{Matrix as M, Scalar as S, Str, Vector as V};

const fn f(name: &'static str, args: &'static [Type], returns: Type) -> Signature {
    Signature { name, args, optional: 0, repeats: false, returns }
}

const fn opt(name: &'static str, args: &'static [Type], optional: usize, returns: Type) -> Signature {
    Signature { name, args, optional, repeats: false, returns }
}

const fn many(name: &'static str, args: &'static [Type]) -> Signature {
    Signature { name, args, optional: 1, repeats: true, returns: V }
}

static FUNCTIONS: &[Signature] = &[
    f("abs", &[V], V),
    f("absent", &[V], V),
    f("absent_over_time", &[M], V),
    f("acos", &[V], V),
    f("acosh", &[V], V),
    f("asin", &[V], V),
    f("asinh", &[V], V),
    f("atan", &[V], V),
    f("atanh", &[V], V),
    f("avg_over_time", &[M], V),
    f("ceil", &[V], V),
    f("changes", &[M], V),
    f("clamp", &[V, S, S], V),
    f("clamp_max", &[V, S], V),
    f("clamp_min", &[V, S], V),
    f("cos", &[V], V),
    f("cosh", &[V], V),
    f("count_over_time", &[M], V),
    opt("day_of_month", &[V], 1, V),
    opt("day_of_week", &[V], 1, V),
    opt("day_of_year", &[V], 1, V),
    opt("days_in_month", &[V], 1, V),
    f("deg", &[V], V),
    f("delta", &[M], V),
    f("deriv", &[M], V),
    f("double_exponential_smoothing", &[M, S, S], V),
    f("end", &[], S),
    f("exp", &[V], V),
    f("first_over_time", &[M], V),
    f("floor", &[V], V),
    f("histogram_avg", &[V], V),
    f("histogram_count", &[V], V),
    f("histogram_fraction", &[S, S, V], V),
    f("histogram_quantile", &[S, V], V),
    many("histogram_quantiles", &[V, Str, S, S]),
    f("histogram_stddev", &[V], V),
    f("histogram_stdvar", &[V], V),
    f("histogram_sum", &[V], V),
    opt("hour", &[V], 1, V),
    f("idelta", &[M], V),
    f("increase", &[M], V),
    opt("info", &[V, V], 1, V),
    f("irate", &[M], V),
    many("label_join", &[V, Str, Str, Str]),
    f("label_replace", &[V, Str, Str, Str, Str], V),
    f("last_over_time", &[M], V),
    f("ln", &[V], V),
    f("log10", &[V], V),
    f("log2", &[V], V),
    f("mad_over_time", &[M], V),
    f("max_of", &[S, S], S),
    f("max_over_time", &[M], V),
    f("min_of", &[S, S], S),
    f("min_over_time", &[M], V),
    opt("minute", &[V], 1, V),
    opt("month", &[V], 1, V),
    f("pi", &[], S),
    f("predict_linear", &[M, S], V),
    f("present_over_time", &[M], V),
    f("quantile_over_time", &[S, M], V),
    f("rad", &[V], V),
    f("range", &[], S),
    f("rate", &[M], V),
    f("resets", &[M], V),
    opt("round", &[V, S], 1, V),
    f("scalar", &[V], S),
    f("sgn", &[V], V),
    f("sin", &[V], V),
    f("sinh", &[V], V),
    f("sort", &[V], V),
    many("sort_by_label", &[V, Str]),
    many("sort_by_label_desc", &[V, Str]),
    f("sort_desc", &[V], V),
    f("sqrt", &[V], V),
    f("start", &[], S),
    f("stddev_over_time", &[M], V),
    f("stdvar_over_time", &[M], V),
    f("step", &[], S),
    f("sum_over_time", &[M], V),
    f("tan", &[V], V),
    f("tanh", &[V], V),
    f("time", &[], S),
    f("timestamp", &[V], V),
    f("ts_of_first_over_time", &[M], V),
    f("ts_of_last_over_time", &[M], V),
    f("ts_of_max_over_time", &[M], V),
    f("ts_of_min_over_time", &[M], V),
    f("vector", &[S], V),
    opt("year", &[V], 1, V),
];

pub(crate) fn named(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|s| s.name == name)
}

impl Signature {
    pub(crate) fn arg_type(&self, index: usize) -> Option<Type> {
        let last = if self.repeats { self.args.last() } else { None };
        self.args.get(index).or(last).copied()
    }

    pub(crate) fn least(&self) -> usize {
        self.args.len() - self.optional
    }

    pub(crate) fn most(&self) -> usize {
        if self.repeats { usize::MAX } else { self.args.len() }
    }
}
