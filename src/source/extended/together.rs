//! Which columns of a table a plan filters, joins or groups on together. Conditions are read as the server prints them under
//! VERBOSE: every column behind the alias of its table.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::plan::Node;
use crate::plan::Plan;
use crate::sql::lexer;
use crate::sql::lexer::Kind;
use crate::sql::lexer::Lexeme;

/// What columns are used for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    Filters,
    Joins,
    Groups,
}

impl Use {
    /// In front of the names of queries.
    pub fn words(self) -> &'static str {
        match self {
            Self::Filters => "filtered together by",
            Self::Joins => "joined on together by",
            Self::Groups => "grouped together by",
        }
    }
}

/// Columns of one table that are used together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// The table with its schema, as EXPLAIN names it.
    pub relation: String,
    pub used_in: Use,
    /// Two at least.
    pub columns: BTreeSet<String>,
}

/// Conditions on the rows of one table, at the node that scans it.
const SCAN_CONDITIONS: [&str; 3] = ["Index Cond", "Recheck Cond", "Filter"];
/// Conditions between tables.
const JOIN_CONDITIONS: [&str; 3] = ["Hash Cond", "Merge Cond", "Join Filter"];

/// Everything that is used together, node by node.
pub fn together(plan: &Plan) -> Vec<Together> {
    let mut reading = Reading::default();
    name_tables(&plan.root, &mut reading.tables);
    reading.read(&plan.root);
    reading.found
}

/// What the aliases of a plan stand for; those of subqueries and functions stand for no table.
fn name_tables(node: &Node, tables: &mut BTreeMap<String, String>) {
    if let (Some(alias), Some(relation)) = (&node.alias, &node.relation) {
        tables.insert(alias.clone(), relation.clone());
    }
    for child in &node.children {
        name_tables(child, tables);
    }
}

/// The columns of each alias.
type Columns = BTreeMap<String, BTreeSet<String>>;

#[derive(Default)]
struct Reading {
    tables: BTreeMap<String, String>,
    found: Vec<Together>,
}

impl Reading {
    fn read(&mut self, node: &Node) {
        let conditions = |names: &[&str]| -> Vec<&str> {
            let is_one = |name: &str| names.contains(&name);
            let found = node.details.iter().filter(|(name, _)| is_one(name));
            found.map(|(_, text)| text.as_str()).collect()
        };
        if let Some(own) = node.alias.as_ref().filter(|_| node.relation.is_some()) {
            self.read_scan(own, &conditions(&SCAN_CONDITIONS));
        }
        let mut joined = Columns::new();
        for text in conditions(&JOIN_CONDITIONS) {
            merge(&mut joined, self.columns(&lexemes(text)));
        }
        self.keep(Use::Joins, joined);
        for text in conditions(&["Group Key"]) {
            let mut grouped = Columns::new();
            for key in split(&lexemes(text), |lexeme| lexeme.is_symbol(",")) {
                // Of an expression the server cannot count the distinct values by those of its columns.
                if key.len() == 3 {
                    merge(&mut grouped, self.columns(&key));
                }
            }
            self.keep(Use::Groups, grouped);
        }
        for child in &node.children {
            self.read(child);
        }
    }

    /// Conditions that name no other table filter; those that do join, in a loop that looks this table up.
    fn read_scan(&mut self, own: &str, conditions: &[&str]) {
        let (mut filtered, mut joined) = (Columns::new(), Columns::new());
        for text in conditions {
            for condition in conjuncts(lexemes(text)) {
                let mut columns = self.columns(&condition);
                let of_others = columns.keys().any(|alias| alias != own);
                columns.retain(|alias, _| alias == own);
                merge(if of_others { &mut joined } else { &mut filtered }, columns);
            }
        }
        self.keep(Use::Filters, filtered);
        self.keep(Use::Joins, joined);
    }

    /// The columns that a piece of text names.
    fn columns(&self, lexemes: &[Lexeme<'_>]) -> Columns {
        let mut columns = Columns::new();
        for (at, window) in lexemes.windows(3).enumerate() {
            // Behind a cast stands a type, before a parenthesis a function, each with its schema.
            let is_type = at > 0 && lexemes[at - 1].is_symbol("::");
            let is_function = lexemes.get(at + 3).is_some_and(|next| next.kind == Kind::Open);
            let (Some(alias), true, Some(column)) = (window[0].name(), window[1].is_symbol("."), window[2].name())
            else {
                continue;
            };
            if !is_type && !is_function && self.tables.contains_key(&alias) {
                columns.entry(alias).or_default().insert(column);
            }
        }
        columns
    }

    fn keep(&mut self, used_in: Use, columns: Columns) {
        for (alias, columns) in columns {
            if let Some(relation) = self.tables.get(&alias).filter(|_| columns.len() > 1) {
                self.found.push(Together {
                    relation: relation.clone(),
                    used_in,
                    columns,
                });
            }
        }
    }
}

fn merge(into: &mut Columns, columns: Columns) {
    for (alias, columns) in columns {
        into.entry(alias).or_default().extend(columns);
    }
}

fn lexemes(text: &str) -> Vec<Lexeme<'_>> {
    lexer::tokens(text).collect()
}

/// The conditions that all have to hold: what AND puts together outside of all parentheses but those around the whole.
fn conjuncts(mut lexemes: Vec<Lexeme<'_>>) -> Vec<Vec<Lexeme<'_>>> {
    while is_wrapped(&lexemes) {
        lexemes.remove(0);
        lexemes.pop();
    }
    split(&lexemes, |lexeme| lexeme.is("and"))
}

/// Whether one pair of parentheses is around everything.
fn is_wrapped(lexemes: &[Lexeme<'_>]) -> bool {
    let mut depth = 0_usize;
    for (at, lexeme) in lexemes.iter().enumerate() {
        match lexeme.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at > 0 && at + 1 == lexemes.len();
        }
    }
    false
}

/// Cuts at what stands outside of all parentheses.
fn split<'a>(lexemes: &[Lexeme<'a>], is_between: impl Fn(&Lexeme<'a>) -> bool) -> Vec<Vec<Lexeme<'a>>> {
    let (mut pieces, mut depth) = (vec![Vec::new()], 0_usize);
    for lexeme in lexemes {
        match lexeme.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && is_between(lexeme) {
            pieces.push(Vec::new());
        } else if let Some(last) = pieces.last_mut() {
            last.push(*lexeme);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    fn found(root: &Value) -> Vec<(Use, String)> {
        let plan = crate::plan::parse(&json!([{ "Plan": root }]).to_string()).unwrap();
        let shown = |together: Together| {
            let columns: Vec<String> = together.columns.into_iter().collect();
            (
                together.used_in,
                format!("{} ({})", together.relation, columns.join(", ")),
            )
        };
        together(&plan).into_iter().map(shown).collect()
    }

    fn scan(alias: &str, table: &str, conditions: &[(&str, &str)]) -> Value {
        let mut node = json!({ "Node Type": "Seq Scan", "Schema": "public", "Relation Name": table, "Alias": alias });
        for (name, condition) in conditions {
            node[*name] = json!(condition);
        }
        node
    }

    #[test]
    fn conditions_of_a_scan_filter_together_wherever_they_stand() {
        let node = scan(
            "c",
            "customer",
            &[
                ("Index Cond", "(c.city_id = 7)"),
                (
                    "Filter",
                    "((c.country_id = 7) AND (lower(c.\"Name\") = 'a.b'::text) AND (c.kind = ANY ('{1,2}'::public.kind[])))",
                ),
            ],
        );
        assert_eq!(
            found(&node),
            [(
                Use::Filters,
                "public.customer (Name, city_id, country_id, kind)".to_owned()
            )]
        );
        let either = scan(
            "c",
            "customer",
            &[("Filter", "((c.a = 1) OR ((c.b > 2) AND (c.b < 4)))")],
        );
        assert_eq!(found(&either), [(Use::Filters, "public.customer (a, b)".to_owned())]);
        let between = scan("c", "customer", &[("Filter", "((c.a >= 1) AND (c.a <= 2))")]);
        assert!(found(&between).is_empty(), "one column is no pair");
    }

    #[test]
    fn keys_of_a_join_belong_together_on_each_side_and_not_with_filters() {
        let inner = scan(
            "l",
            "line",
            &[
                ("Index Cond", "((l.order_id = o.id) AND (l.shop = o.shop))"),
                ("Filter", "(l.price > '3'::numeric)"),
            ],
        );
        let root = json!({
            "Node Type": "Nested Loop",
            "Join Filter": "((o.day = l.day) AND (o.shop = l.shop))",
            "Plans": [scan("o", "orders", &[]), inner],
        });
        let expected = [
            (Use::Joins, "public.line (day, shop)"),
            (Use::Joins, "public.orders (day, shop)"),
            (Use::Joins, "public.line (order_id, shop)"),
        ];
        assert_eq!(
            found(&root),
            expected.map(|(used_in, columns)| (used_in, columns.to_owned()))
        );
    }

    #[test]
    fn plain_keys_are_grouped_together_and_functions_types_and_subqueries_are_no_columns() {
        let root = json!({
            "Node Type": "Aggregate",
            "Group Key": ["o.status", "date_trunc('month'::text, o.day)", "o.channel", "s.n", "s.m"],
            "Plans": [
                { "Node Type": "Subquery Scan", "Alias": "s", "Filter": "((s.n > 1) AND (s.m > 2))" },
                scan("o", "orders", &[("Filter", "((o.a)::o.b = o.c('1'::o.d))")]),
            ],
        });
        assert_eq!(
            found(&root),
            [(Use::Groups, "public.orders (channel, status)".to_owned())]
        );
    }
}
