//! Expressions by the grammar of pgbench's `exprparse.y`, read with one token of foresight.

use crate::sql::pgbench::DEFAULT_SEED;
use crate::sql::pgbench::error::ProgramError;
use crate::sql::pgbench::expression::Expr;
use crate::sql::pgbench::expression::Function;
use crate::sql::pgbench::expression::Named;
use crate::sql::pgbench::expression::Value;
use crate::sql::pgbench::expression::named;
use crate::sql::pgbench::expression::names;
use crate::sql::pgbench::token::Token;
use crate::sql::pgbench::token::Tokens;

/// How deep an expression may be: deeper than any that a person writes, and not too deep to be worked out on any stack.
const MAX_DEPTH: usize = 256;

/// How strongly an operator binds, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Is,
    Compare,
    Bits,
    Sum,
    Product,
    Sign,
}

impl Level {
    /// The one that binds next more strongly.
    fn above(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Is,
            Level::Is => Level::Compare,
            Level::Compare => Level::Bits,
            Level::Bits => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product | Level::Sign => Level::Sign,
        }
    }
}

/// What stands behind an operand.
enum Operator {
    Or,
    And,
    Call(Function),
    /// With the operands the other way round.
    Swapped(Function),
    Is,
    IsNull,
    NotNull,
}

/// Reads one expression up to the end of its command.
pub(super) fn expression(tokens: &mut Tokens<'_>) -> Result<Expr, ProgramError> {
    let mut parser = Parser::new(tokens)?;
    let tree = parser.expression(Level::Or)?;
    match parser.token {
        Token::End => Ok(tree.expr),
        _ => Err(parser.unexpected("The end of the line or an operator")),
    }
}

struct Parser<'a, 't> {
    tokens: &'t mut Tokens<'a>,
    /// The one to be read next.
    token: Token<'a>,
    token_start: usize,
    /// Of expressions within expressions that are being read.
    n_open: usize,
}

/// An expression with the depth of its tree.
struct Tree {
    expr: Expr,
    depth: usize,
}

impl Tree {
    fn leaf(expr: Expr) -> Self {
        Self { expr, depth: 1 }
    }
}

impl<'a, 't> Parser<'a, 't> {
    fn new(tokens: &'t mut Tokens<'a>) -> Result<Self, ProgramError> {
        let (token_start, token) = tokens.token()?;
        Ok(Self {
            tokens,
            token,
            token_start,
            n_open: 0,
        })
    }

    fn advance(&mut self) -> Result<Token<'a>, ProgramError> {
        let (start, next) = self.tokens.token()?;
        self.token_start = start;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn unexpected(&self, wanted: &str) -> ProgramError {
        let found = match self.token {
            Token::End => "the end of the line".to_owned(),
            Token::Int(value) => value.to_string(),
            Token::MinIntMagnitude => "a number that is out of range".to_owned(),
            Token::Double(value) => value.to_string(),
            Token::Variable(name) => format!(":{name}"),
            Token::Word(text) | Token::Symbol(text) => text.to_owned(),
        };
        self.tokens
            .error(self.token_start, format!("{wanted} should stand here, not {found}."))
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(text) if text.eq_ignore_ascii_case(keyword))
    }

    /// Passes over a keyword if it is the next token.
    fn skip_keyword(&mut self, keyword: &str) -> Result<bool, ProgramError> {
        let is_next = self.is_keyword(keyword);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn skip_symbol(&mut self, symbol: &str) -> Result<bool, ProgramError> {
        let is_next = matches!(self.token, Token::Symbol(text) if text == symbol);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn need_keyword(&mut self, keyword: &str) -> Result<(), ProgramError> {
        if self.skip_keyword(keyword)? {
            Ok(())
        } else {
            Err(self.unexpected(&keyword.to_ascii_uppercase()))
        }
    }

    fn need_symbol(&mut self, symbol: &str, wanted: &str) -> Result<(), ProgramError> {
        if self.skip_symbol(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(wanted))
        }
    }

    /// The longest expression from here on whose operators bind at least so strongly.
    fn expression(&mut self, weakest: Level) -> Result<Tree, ProgramError> {
        self.n_open += 1;
        if self.n_open > MAX_DEPTH {
            return Err(self.too_deep());
        }
        let mut left = self.operand()?;
        let mut is_comparison = false;
        while let Some((level, operator)) = self.operator().filter(|(level, _)| *level >= weakest) {
            if is_comparison && level == Level::Compare {
                return Err(self.tokens.error(
                    self.token_start,
                    "A comparison cannot be compared without parentheses around it.",
                ));
            }
            self.advance()?;
            left = match operator {
                Operator::Is => self.is(left)?,
                Operator::IsNull => self.call(Function::Is, [left, Tree::leaf(Expr::Constant(Value::Null))])?,
                Operator::NotNull => {
                    let is_null = self.call(Function::Is, [left, Tree::leaf(Expr::Constant(Value::Null))])?;
                    self.call(Function::Not, [is_null])?
                }
                Operator::Call(function) => {
                    let right = self.expression(level.above())?;
                    self.call(function, [left, right])?
                }
                Operator::Swapped(function) => {
                    let right = self.expression(level.above())?;
                    self.call(function, [right, left])?
                }
                Operator::And => {
                    let right = self.expression(level.above())?;
                    self.lazy(Expr::And, left, right)?
                }
                Operator::Or => {
                    let right = self.expression(level.above())?;
                    self.lazy(Expr::Or, left, right)?
                }
            };
            is_comparison = level == Level::Compare;
        }
        self.n_open -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(Level, Operator)> {
        let found = match self.token {
            Token::Symbol(symbol) => match symbol {
                "+" => (Level::Sum, Operator::Call(Function::Add)),
                "-" => (Level::Sum, Operator::Call(Function::Subtract)),
                "*" => (Level::Product, Operator::Call(Function::Multiply)),
                "/" => (Level::Product, Operator::Call(Function::Divide)),
                "%" => (Level::Product, Operator::Call(Function::Modulo)),
                "&" => (Level::Bits, Operator::Call(Function::BitAnd)),
                "|" => (Level::Bits, Operator::Call(Function::BitOr)),
                "#" => (Level::Bits, Operator::Call(Function::BitXor)),
                "<<" => (Level::Bits, Operator::Call(Function::ShiftLeft)),
                ">>" => (Level::Bits, Operator::Call(Function::ShiftRight)),
                "=" => (Level::Compare, Operator::Call(Function::Equal)),
                "<>" => (Level::Compare, Operator::Call(Function::NotEqual)),
                "<" => (Level::Compare, Operator::Call(Function::Less)),
                "<=" => (Level::Compare, Operator::Call(Function::LessOrEqual)),
                ">" => (Level::Compare, Operator::Swapped(Function::Less)),
                ">=" => (Level::Compare, Operator::Swapped(Function::LessOrEqual)),
                _ => return None,
            },
            Token::Word(_) if self.is_keyword("or") => (Level::Or, Operator::Or),
            Token::Word(_) if self.is_keyword("and") => (Level::And, Operator::And),
            Token::Word(_) if self.is_keyword("is") => (Level::Is, Operator::Is),
            Token::Word(_) if self.is_keyword("isnull") => (Level::Is, Operator::IsNull),
            Token::Word(_) if self.is_keyword("notnull") => (Level::Is, Operator::NotNull),
            _ => return None,
        };
        Some(found)
    }

    /// An operand with what stands in front of it.
    fn operand(&mut self) -> Result<Tree, ProgramError> {
        let start = self.token_start;
        match self.token {
            Token::Int(value) => self.leaf(Expr::Constant(Value::Int(value))),
            Token::Double(value) => self.leaf(Expr::Constant(Value::Double(value))),
            Token::Variable(name) => self.leaf(Expr::Variable(name.to_owned())),
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.expression(Level::Or)?;
                self.need_symbol(")", "A closing parenthesis or an operator")?;
                Ok(inner)
            }
            Token::Symbol("+") => {
                self.advance()?;
                self.expression(Level::Sign)
            }
            Token::Symbol("-") => {
                self.advance()?;
                if self.token == Token::MinIntMagnitude {
                    return self.leaf(Expr::Constant(Value::Int(i64::MIN)));
                }
                let operand = self.expression(Level::Sign)?;
                self.call(Function::Subtract, [Tree::leaf(Expr::Constant(Value::Int(0))), operand])
            }
            // It binds as the operators between bits do: `~a + b` is `~(a + b)`.
            Token::Symbol("~") => {
                self.advance()?;
                let operand = self.expression(Level::Bits.above())?;
                self.call(Function::BitXor, [Tree::leaf(Expr::Constant(Value::Int(-1))), operand])
            }
            Token::Word(word) => self.word(start, word),
            _ => Err(self.unexpected("A value")),
        }
    }

    fn leaf(&mut self, expr: Expr) -> Result<Tree, ProgramError> {
        self.advance()?;
        Ok(Tree::leaf(expr))
    }

    /// A constant, NOT, CASE, or the call of a function.
    fn word(&mut self, start: usize, word: &str) -> Result<Tree, ProgramError> {
        match word.to_ascii_lowercase().as_str() {
            "null" => self.leaf(Expr::Constant(Value::Null)),
            "true" => self.leaf(Expr::Constant(Value::Boolean(true))),
            "false" => self.leaf(Expr::Constant(Value::Boolean(false))),
            "not" => {
                self.advance()?;
                let operand = self.expression(Level::Not)?;
                self.call(Function::Not, [operand])
            }
            "case" => {
                self.advance()?;
                self.case()
            }
            "and" | "or" | "is" | "isnull" | "notnull" | "when" | "then" | "else" | "end" => {
                Err(self.unexpected("A value"))
            }
            _ => {
                let Some(named) = named(word) else {
                    return Err(self.tokens.error(
                        start,
                        format!(
                            "There is no function {word}; there are {}. A variable is written with a colon in front of it.",
                            names().join(", ")
                        ),
                    ));
                };
                self.advance()?;
                self.arguments(start, &named)
            }
        }
    }

    fn arguments(&mut self, start: usize, named: &Named) -> Result<Tree, ProgramError> {
        self.need_symbol("(", &format!("An opening parenthesis behind {}", named.name))?;
        let mut arguments = Vec::new();
        if !self.skip_symbol(")")? {
            arguments.push(self.expression(Level::Or)?);
            while self.skip_symbol(",")? {
                arguments.push(self.expression(Level::Or)?);
            }
            self.need_symbol(")", "A closing parenthesis, a comma or an operator")?;
        }
        let (least, most) = (named.least_arguments, named.most_arguments);
        if !(least..=most).contains(&arguments.len()) {
            let takes = match (least, most) {
                (0, 0) => "no argument".to_owned(),
                (1, 1) => "1 argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            let message = format!("{} takes {takes}, not {}.", named.name, arguments.len());
            return Err(self.tokens.error(start, message));
        }
        let takes_seed = matches!(
            named.function,
            Function::HashFnv1a | Function::HashMurmur2 | Function::Permute
        );
        if takes_seed && arguments.len() < most {
            arguments.push(Tree::leaf(Expr::Variable(DEFAULT_SEED.to_owned())));
        }
        self.call(named.function, arguments)
    }

    /// Behind CASE.
    fn case(&mut self) -> Result<Tree, ProgramError> {
        let mut whens = Vec::new();
        let mut depth = 0;
        self.need_keyword("when")?;
        loop {
            let when = self.expression(Level::Or)?;
            self.need_keyword("then")?;
            let then = self.expression(Level::Or)?;
            depth = depth.max(when.depth).max(then.depth);
            whens.push((when.expr, then.expr));
            if !self.skip_keyword("when")? {
                break;
            }
        }
        let otherwise = if self.skip_keyword("else")? {
            self.expression(Level::Or)?
        } else {
            Tree::leaf(Expr::Constant(Value::Null))
        };
        self.need_keyword("end")?;
        let depth = depth.max(otherwise.depth);
        self.tree(Expr::Case(whens, Box::new(otherwise.expr)), depth)
    }

    /// Behind IS.
    fn is(&mut self, left: Tree) -> Result<Tree, ProgramError> {
        let is_negated = self.skip_keyword("not")?;
        let value = match self.token {
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Value::Null,
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Value::Boolean(false),
            _ => return Err(self.unexpected("NULL, TRUE or FALSE")),
        };
        let right = self.leaf(Expr::Constant(value))?;
        let is = self.call(Function::Is, [left, right])?;
        if is_negated {
            self.call(Function::Not, [is])
        } else {
            Ok(is)
        }
    }

    fn call(&self, function: Function, arguments: impl IntoIterator<Item = Tree>) -> Result<Tree, ProgramError> {
        let mut depth = 0;
        let mut exprs = Vec::new();
        for argument in arguments {
            depth = depth.max(argument.depth);
            exprs.push(argument.expr);
        }
        self.tree(Expr::Call(function, exprs), depth)
    }

    fn lazy(&self, operator: fn(Box<Expr>, Box<Expr>) -> Expr, left: Tree, right: Tree) -> Result<Tree, ProgramError> {
        let depth = left.depth.max(right.depth);
        self.tree(operator(Box::new(left.expr), Box::new(right.expr)), depth)
    }

    /// An expression of parts, the deepest of which has this depth.
    fn tree(&self, expr: Expr, depth: usize) -> Result<Tree, ProgramError> {
        if depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        Ok(Tree { expr, depth: depth + 1 })
    }

    fn too_deep(&self) -> ProgramError {
        self.tokens.error(
            self.token_start,
            format!("The expression is more than {MAX_DEPTH} operations deep; work parts of it out by \\set first."),
        )
    }
}
