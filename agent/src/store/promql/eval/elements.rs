//! Mathematics on one value.

pub(super) fn named(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => f64::to_degrees,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => f64::to_radians,
        "sgn" => sign,
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

pub(super) fn with_params(name: &str) -> Option<fn(f64, &[f64]) -> Option<f64>> {
    Some(match name {
        "clamp" => {
            |v, p| (p[1] >= p[0] || p[0].is_nan() || p[1].is_nan()).then(|| greater(p[0], lesser(p[1], v)))
        }
        "clamp_min" => |v, p| Some(greater(v, p[0])),
        "clamp_max" => |v, p| Some(lesser(v, p[0])),
        "round" => |v, p| Some(rounded(v, p.first().copied().unwrap_or(1.0))),
        _ => return None,
    })
}

fn sign(v: f64) -> f64 {
    if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        v
    }
}

/// Halves go up; the inverse is taken because `1/0.1` is exact and `0.1` is not.
fn rounded(v: f64, to: f64) -> f64 {
    let inverse = 1.0 / to;
    (v * inverse + 0.5).floor() / inverse
}

/// NaN wins, unlike in the standard library.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_halves_up_and_clamps() {
        assert_eq!(rounded(-2.5, 1.0), -2.0);
        assert_eq!(rounded(2.34, 0.1), 2.3);
        let clamp = with_params("clamp").unwrap();
        assert_eq!(clamp(5.0, &[0.0, 3.0]), Some(3.0));
        assert_eq!(clamp(5.0, &[3.0, 0.0]), None);
    }
}
