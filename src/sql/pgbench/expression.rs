//! Expressions as trees, and the functions in them.

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Int(i64),
    Double(f64),
}

impl Value {
    /// What pgbench calls its type.
    pub fn type_name(self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Boolean(_) => "boolean",
            Value::Int(_) => "int",
            Value::Double(_) => "double",
        }
    }
}

/// An expression over variables that are known by `V`: in a program by name.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr<V = String> {
    Constant(Value),
    Variable(V),
    /// All arguments are worked out, from left to right. Their number fits the function.
    Call(Function, Vec<Expr<V>>),
    /// The second operand is worked out only if the first is true.
    And(Box<Expr<V>>, Box<Expr<V>>),
    /// The second operand is worked out only if the first is false.
    Or(Box<Expr<V>>, Box<Expr<V>>),
    /// Conditions with their values, until a condition holds; then what is left when none does.
    Case(Vec<(Expr<V>, Expr<V>)>, Box<Expr<V>>),
}

/// What works on values. Operators are functions too, as they are in pgbench: `-x` is `0 - x`, `~x` is `-1 # x`,
/// `a > b` is `b < a`, `a is not null` is `not (a is null)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Not,
    Is,
    Abs,
    Debug,
    Double,
    Exp,
    Greatest,
    HashFnv1a,
    HashMurmur2,
    Int,
    Least,
    Ln,
    Permute,
    Pi,
    Power,
    Random,
    RandomExponential,
    RandomGaussian,
    RandomZipfian,
    Sqrt,
}

/// The most arguments that a function can have.
pub const MAX_ARGUMENTS: usize = 16;

/// What can be called by name: the name, the function, and how many arguments it takes at least and at most.
const NAMED: [(&str, Function, usize, usize); 21] = [
    ("abs", Function::Abs, 1, 1),
    ("debug", Function::Debug, 1, 1),
    ("double", Function::Double, 1, 1),
    ("exp", Function::Exp, 1, 1),
    ("greatest", Function::Greatest, 1, MAX_ARGUMENTS),
    ("hash", Function::HashMurmur2, 1, 2),
    ("hash_fnv1a", Function::HashFnv1a, 1, 2),
    ("hash_murmur2", Function::HashMurmur2, 1, 2),
    ("int", Function::Int, 1, 1),
    ("least", Function::Least, 1, MAX_ARGUMENTS),
    ("ln", Function::Ln, 1, 1),
    ("mod", Function::Modulo, 2, 2),
    ("permute", Function::Permute, 2, 3),
    ("pi", Function::Pi, 0, 0),
    ("pow", Function::Power, 2, 2),
    ("power", Function::Power, 2, 2),
    ("random", Function::Random, 2, 2),
    ("random_exponential", Function::RandomExponential, 3, 3),
    ("random_gaussian", Function::RandomGaussian, 3, 3),
    ("random_zipfian", Function::RandomZipfian, 3, 3),
    ("sqrt", Function::Sqrt, 1, 1),
];

/// A function by the name it is called by, in whatever case.
pub(super) fn named(name: &str) -> Option<Named> {
    let found = NAMED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
    let (name, function, least_arguments, most_arguments) = *found;
    Some(Named {
        name,
        function,
        least_arguments,
        most_arguments,
    })
}

/// All names that functions can be called by.
pub(super) fn names() -> Vec<&'static str> {
    NAMED.iter().map(|(name, ..)| *name).collect()
}

pub(super) struct Named {
    pub name: &'static str,
    pub function: Function,
    pub least_arguments: usize,
    pub most_arguments: usize,
}

impl<V> Expr<V> {
    /// The same expression with its variables known in another way.
    pub fn map<W>(&self, known: &mut impl FnMut(&V) -> W) -> Expr<W> {
        match self {
            Expr::Constant(value) => Expr::Constant(*value),
            Expr::Variable(variable) => Expr::Variable(known(variable)),
            Expr::Call(function, arguments) => Expr::Call(
                *function,
                arguments.iter().map(|argument| argument.map(known)).collect(),
            ),
            Expr::And(left, right) => Expr::And(Box::new(left.map(known)), Box::new(right.map(known))),
            Expr::Or(left, right) => Expr::Or(Box::new(left.map(known)), Box::new(right.map(known))),
            Expr::Case(whens, otherwise) => Expr::Case(
                whens
                    .iter()
                    .map(|(when, then)| (when.map(known), then.map(known)))
                    .collect(),
                Box::new(otherwise.map(known)),
            ),
        }
    }
}
