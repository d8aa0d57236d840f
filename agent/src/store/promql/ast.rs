//! The syntax tree of a query, with the place of each node, because remarks on an answer point into its text.
use super::signature::Signature;
use crate::store::metrics::matcher::Matcher;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Scalar,
    Vector,
    Matrix,
    Str,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Type::Scalar => "scalar",
            Type::Vector => "instant vector",
            Type::Matrix => "range vector",
            Type::Str => "string",
        })
    }
}

/// A node and the byte at which it starts.
#[derive(Debug, Clone)]
pub struct Expr {
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Number(f64),
    Str(String),
    /// An instant vector, or a range vector if it has a range.
    Selector(Box<Selector>),
    Subquery(Box<Subquery>),
    Call {
        signature: &'static Signature,
        args: Vec<Expr>,
    },
    Aggregate(Box<Aggregate>),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Paren(Box<Expr>),
}

#[derive(Debug, Clone)]
pub struct Selector {
    pub matchers: Vec<Matcher>,
    pub range: Option<Span>,
    pub time: TimeShift,
    pub edge: Edge,
}

/// How a range treats its borders: as sampled, or with the value carried (anchored) or interpolated (smoothed) there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edge {
    #[default]
    Sampled,
    Anchored,
    Smoothed,
}

#[derive(Debug, Clone, Default)]
pub struct TimeShift {
    pub offset: Option<Span>,
    pub at: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    Start,
    End,
    /// Milliseconds since 1970.
    Time(i64),
}

#[derive(Debug, Clone)]
pub struct Subquery {
    pub expr: Expr,
    pub range: Span,
    pub step: Option<Span>,
    pub time: TimeShift,
}

/// A length of time: written out, or computed from the query's own step and range.
#[derive(Debug, Clone, PartialEq)]
pub enum Span {
    /// Seconds.
    Number(f64),
    Step,
    Range,
    Negate(Box<Span>),
    Binary(BinOp, Box<Span>, Box<Span>),
    Min(Box<Span>, Box<Span>),
    Max(Box<Span>, Box<Span>),
}

#[derive(Debug, Clone)]
pub struct Aggregate {
    pub op: AggOp,
    pub expr: Expr,
    pub param: Option<Expr>,
    pub grouping: Grouping,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggOp {
    const NAMES: [(&'static str, AggOp); 14] = [
        ("sum", AggOp::Sum),
        ("avg", AggOp::Avg),
        ("count", AggOp::Count),
        ("min", AggOp::Min),
        ("max", AggOp::Max),
        ("group", AggOp::Group),
        ("stddev", AggOp::Stddev),
        ("stdvar", AggOp::Stdvar),
        ("topk", AggOp::Topk),
        ("bottomk", AggOp::Bottomk),
        ("count_values", AggOp::CountValues),
        ("quantile", AggOp::Quantile),
        ("limitk", AggOp::Limitk),
        ("limit_ratio", AggOp::LimitRatio),
    ];

    pub(crate) fn named(word: &str) -> Option<AggOp> {
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(word)).map(|(_, op)| *op)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, op)| *op == self).map_or("", |(n, _)| n)
    }

    pub(crate) fn takes_param(self) -> bool {
        use AggOp::*;
        matches!(self, Topk | Bottomk | CountValues | Quantile | Limitk | LimitRatio)
    }
}

#[derive(Debug, Clone)]
pub struct Binary {
    pub op: BinOp,
    pub lhs: Expr,
    pub rhs: Expr,
    pub return_bool: bool,
    pub matching: Matching,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    /// `</`: a histogram without what is above.
    TrimAbove,
    /// `>/`: a histogram without what is below.
    TrimBelow,
    And,
    Or,
    Unless,
}

impl BinOp {
    pub(crate) fn text(self) -> &'static str {
        use BinOp::*;
        match self {
            Add => "+",
            Sub => "-",
            Mul => "*",
            Div => "/",
            Mod => "%",
            Pow => "^",
            Atan2 => "atan2",
            Eq => "==",
            Ne => "!=",
            Gt => ">",
            Lt => "<",
            Ge => ">=",
            Le => "<=",
            TrimAbove => "</",
            TrimBelow => ">/",
            And => "and",
            Or => "or",
            Unless => "unless",
        }
    }

    pub(crate) fn compares(self) -> bool {
        use BinOp::*;
        matches!(self, Eq | Ne | Gt | Lt | Ge | Le)
    }

    pub(crate) fn trims(self) -> bool {
        matches!(self, BinOp::TrimAbove | BinOp::TrimBelow)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, BinOp::And | BinOp::Or | BinOp::Unless)
    }

    /// Binds tighter the higher.
    pub(crate) fn precedence(self) -> u8 {
        use BinOp::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Eq | Ne | Gt | Lt | Ge | Le | TrimAbove | TrimBelow => 3,
            Add | Sub => 4,
            Mul | Div | Mod | Atan2 => 5,
            Pow => 6,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cardinality {
    #[default]
    OneToOne,
    ManyToOne,
    OneToMany,
}

/// How two vectors find each other.
#[derive(Debug, Clone, Default)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// `on` if true, else `ignoring`.
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels taken from the "one" side.
    pub include: Vec<String>,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
    /// Whether anything was written at all: scalars may not carry it.
    pub given: bool,
}

impl Expr {
    pub fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Str(_) => Type::Str,
            Kind::Selector(s) => {
                if s.range.is_some() {
                    Type::Matrix
                } else {
                    Type::Vector
                }
            }
            Kind::Subquery(_) => Type::Matrix,
            Kind::Call { signature, .. } => signature.returns,
            Kind::Aggregate(_) => Type::Vector,
            Kind::Negate(e) | Kind::Paren(e) => e.value_type(),
            Kind::Binary(b) => {
                if b.lhs.value_type() == Type::Scalar && b.rhs.value_type() == Type::Scalar {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
        }
    }

    /// Without the parentheses around it.
    pub(crate) fn bare(&self) -> &Expr {
        match &self.kind {
            Kind::Paren(e) => e.bare(),
            _ => self,
        }
    }

    /// The matchers of every selector in it, in the order of the text.
    pub fn selectors(&self) -> Vec<&[Matcher]> {
        let mut out = Vec::new();
        self.visit(&mut |expr| {
            if let Kind::Selector(s) = &expr.kind {
                out.push(s.matchers.as_slice());
            }
        });
        out
    }

    /// The longest time over which any range in it is written to reach, in milliseconds; 0 without one.
    pub fn longest_range(&self) -> i64 {
        let mut longest = 0.0_f64;
        self.visit(&mut |expr| {
            let range = match &expr.kind {
                Kind::Selector(s) => s.range.as_ref(),
                Kind::Subquery(s) => Some(&s.range),
                _ => None,
            };
            if let Some(Span::Number(seconds)) = range {
                longest = longest.max(*seconds);
            }
        });
        (longest * 1000.0) as i64
    }

    /// Shows every node.
    fn visit<'e>(&'e self, show: &mut dyn FnMut(&'e Expr)) {
        show(self);
        match &self.kind {
            Kind::Number(_) | Kind::Str(_) | Kind::Selector(_) => {}
            Kind::Subquery(s) => s.expr.visit(show),
            Kind::Call { args, .. } => args.iter().for_each(|a| a.visit(show)),
            Kind::Aggregate(a) => {
                a.param.iter().for_each(|p| p.visit(show));
                a.expr.visit(show);
            }
            Kind::Negate(e) | Kind::Paren(e) => e.visit(show),
            Kind::Binary(b) => {
                b.lhs.visit(show);
                b.rhs.visit(show);
            }
        }
    }
}
