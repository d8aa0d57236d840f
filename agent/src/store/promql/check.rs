//! Types and rules that a syntax tree has to keep before it is evaluated.
use super::ast::*;
use super::error::ParseError;
use super::signature::Signature;

pub(crate) fn check(text: &str, expr: &Expr) -> Result<(), ParseError> {
    Checker { text }.expr(expr)
}

struct Checker<'a> {
    text: &'a str,
}

const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

impl Checker<'_> {
    fn fail<T>(&self, at: &Expr, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, at.start, message))
    }

    fn want(&self, expr: &Expr, wanted: Type, context: &str) -> Result<(), ParseError> {
        let got = expr.value_type();
        if got == wanted {
            return Ok(());
        }
        self.fail(expr, format!("expected type {wanted} in {context}, got {got}"))
    }

    fn expr(&self, expr: &Expr) -> Result<(), ParseError> {
        match &expr.kind {
            Kind::Number(_) | Kind::Str(_) => Ok(()),
            Kind::Selector(s) => {
                self.span(expr, s.range.as_ref(), true)?;
                self.span(expr, s.time.offset.as_ref(), false)
            }
            Kind::Subquery(s) => {
                self.expr(&s.expr)?;
                if s.expr.value_type() != Type::Vector && s.expr.value_type() != Type::Scalar {
                    let got = s.expr.value_type();
                    return self.fail(
                        expr,
                        format!("subquery is only allowed on instant vector, got {got} instead"),
                    );
                }
                self.span(expr, Some(&s.range), true)?;
                self.span(expr, s.step.as_ref(), true)?;
                self.span(expr, s.time.offset.as_ref(), false)
            }
            Kind::Paren(inner) | Kind::Negate(inner) => self.expr(inner),
            Kind::Call { signature, args } => self.call(expr, signature, args),
            Kind::Aggregate(a) => self.aggregate(a),
            Kind::Binary(b) => self.binary(expr, b),
        }
    }

    fn span(&self, at: &Expr, span: Option<&Span>, positive: bool) -> Result<(), ParseError> {
        let Some(span) = span.filter(|s| s.is_constant()) else { return Ok(()) };
        let value = if positive { span.positive_millis(0, 0) } else { span.millis(0, 0) };
        value.map(|_| ()).or_else(|m| self.fail(at, m))
    }

    fn call(&self, expr: &Expr, signature: &Signature, args: &[Expr]) -> Result<(), ParseError> {
        let name = signature.name;
        let (least, most, given) = (signature.least(), signature.most(), args.len());
        if given < least || given > most {
            let expected = if least == most {
                format!("{least} argument(s)")
            } else if given < least {
                format!("at least {least} argument(s)")
            } else {
                format!("at most {most} argument(s)")
            };
            return self.fail(expr, format!("expected {expected} in call to {name:?}, got {given}"));
        }
        for (i, arg) in args.iter().enumerate() {
            self.expr(arg)?;
            if name == "info" && i == 1 {
                self.info_selector(arg)?;
            } else if let Some(wanted) = signature.arg_type(i) {
                self.want(arg, wanted, &format!("call to function {name:?}"))?;
            }
            if let Kind::Selector(s) = &arg.bare().kind
                && s.range.is_some()
            {
                self.edge(arg, s.edge, name)?;
            }
        }
        Ok(())
    }

    fn info_selector(&self, arg: &Expr) -> Result<(), ParseError> {
        match &arg.kind {
            Kind::Selector(s) if s.range.is_none() => Ok(()),
            _ => self.fail(arg, "expected label selectors as the second argument to info() call"),
        }
    }

    fn edge(&self, arg: &Expr, edge: Edge, function: &str) -> Result<(), ParseError> {
        let (word, allowed) = match edge {
            Edge::Sampled => return Ok(()),
            Edge::Anchored => ("anchored", &ANCHORED[..]),
            Edge::Smoothed => ("smoothed", &SMOOTHED[..]),
        };
        if allowed.contains(&function) {
            return Ok(());
        }
        let list = allowed.join(", ");
        self.fail(arg, format!("{word} modifier can only be used with: {list} - not with {function}"))
    }

    fn aggregate(&self, a: &Aggregate) -> Result<(), ParseError> {
        self.expr(&a.expr)?;
        self.want(&a.expr, Type::Vector, "aggregation expression")?;
        if let Some(param) = &a.param {
            self.expr(param)?;
            let wanted = if a.op == AggOp::CountValues { Type::Str } else { Type::Scalar };
            self.want(param, wanted, "aggregation parameter")?;
            if let (AggOp::CountValues, Kind::Str(label)) = (a.op, &param.bare().kind)
                && label.is_empty()
            {
                return self.fail(param, format!("invalid label name {label:?}"));
            }
        }
        Ok(())
    }

    fn binary(&self, expr: &Expr, b: &Binary) -> Result<(), ParseError> {
        self.expr(&b.lhs)?;
        self.expr(&b.rhs)?;
        let (l, r) = (b.lhs.value_type(), b.rhs.value_type());
        for (side, t) in [(&b.lhs, l), (&b.rhs, r)] {
            if !matches!(t, Type::Scalar | Type::Vector) {
                return self
                    .fail(side, "binary expression must contain only scalar and instant vector types");
            }
        }
        if b.return_bool && !b.op.compares() {
            return self.fail(expr, "bool modifier can only be used on comparison operators");
        }
        let scalars = (l == Type::Scalar, r == Type::Scalar);
        if b.op.compares() && !b.return_bool && scalars == (true, true) {
            return self.fail(expr, "comparisons between scalars must use BOOL modifier");
        }
        if b.op.is_set() {
            if scalars.0 || scalars.1 {
                let op = b.op.text();
                return self
                    .fail(expr, format!("set operator {op:?} not allowed in binary scalar expression"));
            }
            if b.matching.cardinality != Cardinality::OneToOne {
                return self.fail(expr, format!("no grouping allowed for {:?} operation", b.op.text()));
            }
            if b.matching.fill_left.is_some() || b.matching.fill_right.is_some() {
                return self.fail(expr, "filling in missing series not allowed for set operators");
            }
        }
        if (scalars.0 || scalars.1) && b.matching.given {
            return self.fail(expr, "vector matching only allowed between instant vectors");
        }
        if b.matching.on {
            for label in &b.matching.include {
                if b.matching.labels.contains(label) {
                    let text = format!("label {label:?} must not occur in ON and GROUP clause at once");
                    return self.fail(expr, text);
                }
            }
        }
        Ok(())
    }
}
