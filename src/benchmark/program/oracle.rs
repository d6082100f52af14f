//! Programs beside the real pgbench on a real server: both have to come to the same values, texts, random numbers and
//! refusals.

mod expressions;
mod theirs;

use std::sync::Arc;

use proptest::prelude::*;

use crate::benchmark::program::Linked;
use crate::benchmark::program::Runner;
use crate::benchmark::program::Setup;
use crate::benchmark::program::Step;
use crate::benchmark::program::evaluate::evaluate;
use crate::benchmark::program::failure::Reason;
use crate::benchmark::program::number;
use crate::benchmark::program::random::Random;
use crate::benchmark::program::variables::Slot;
use crate::benchmark::program::variables::Variables;
use crate::sql::pgbench;
use crate::sql::pgbench::Action;
use crate::sql::pgbench::Value;

use theirs::Pgbench;

/// What both are told, where a program asks for variables.
const GIVEN: [(&str, &str); 5] = [
    ("given", "12"),
    ("half", " 0.5"),
    ("yes", "ye"),
    ("nothing", "null"),
    ("default_seed", "4711"),
];

fn setup(seed: u64) -> Setup {
    let definitions = GIVEN.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Setup {
        seed,
        scale: 1,
        definitions: definitions.to_vec(),
    }
}

/// What an expression comes to for us.
fn value(expr: &str) -> Result<Value, Reason> {
    let program = pgbench::parse("p", &format!("\\set v {expr}")).unwrap();
    let Action::Set { expr, .. } = &program.commands[0].action else {
        panic!("{program:?}");
    };
    let mut variables = Variables::new(GIVEN.map(|(name, _)| name.into()));
    for (idx, (_, text)) in GIVEN.iter().enumerate() {
        variables.set_text(Slot(idx), text);
    }
    let expr = expr.map(&mut |name| Slot(GIVEN.iter().position(|(given, _)| given == name).expect(name)));
    evaluate(&expr, &mut variables, &mut Random::from_seed(1))
}

/// A value as pgbench's function `debug` says it.
fn said(value: Value) -> String {
    let mut text = String::new();
    number::write(&mut text, value).unwrap();
    match value {
        Value::Null => "null".to_owned(),
        value => format!("{} {text}", value.type_name()),
    }
}

/// Compares the values of expressions that have one.
fn assert_values(pgbench: &Pgbench, exprs: &[String]) {
    let theirs = pgbench.debug(exprs);
    for (expr, theirs) in exprs.iter().zip(theirs) {
        assert_eq!(value(expr).map(said), Ok(theirs), "{expr}");
    }
}

#[tokio::test]
async fn expressions_come_to_what_they_come_to_under_pgbench() {
    let pgbench = Pgbench::find().await;
    assert_values(&pgbench, &expressions::with_values());
}

#[tokio::test]
async fn what_fails_under_pgbench_fails_here_and_for_the_same_reason() {
    let pgbench = Pgbench::find().await;
    let exprs = expressions::WITHOUT_VALUES;
    let theirs = pgbench.failures(&exprs.map(|(expr, _)| expr.to_owned()));
    for ((expr, reason), theirs) in exprs.into_iter().zip(theirs) {
        assert!(theirs.starts_with(reason), "{expr}: {theirs}");
        assert!(value(expr).is_err(), "{expr}");
    }
}

/// pgbench takes longer to start than to work out a hundred of them.
const EXPRESSIONS_PER_RUN: usize = 150;

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(64), ..ProptestConfig::default() })]

    #[test]
    fn generated_expressions_come_to_what_they_come_to_under_pgbench(
        exprs in prop::collection::vec(expressions::number(), EXPRESSIONS_PER_RUN),
    ) {
        let pgbench = theirs::in_runtime();
        let (good, bad): (Vec<_>, Vec<_>) = exprs.into_iter().partition(|expr| value(expr).is_ok());
        prop_assert!(good.len() > EXPRESSIONS_PER_RUN / 2, "{}", good.len());
        assert_values(&pgbench, &good);
        let bad = &bad[..bad.len().min(20)];
        for (expr, theirs) in bad.iter().zip(pgbench.failures(bad)) {
            prop_assert!(!theirs.is_empty(), "{} has a value", expr);
        }
    }
}

#[tokio::test]
async fn the_random_numbers_of_a_seed_are_those_that_pgbench_draws() {
    const N_CLIENTS: u32 = 3;
    const N_TRANSACTIONS: usize = 40;
    let draws = [
        "random(1, 1000000)",
        "random(-5, 5)",
        "random(0, 9223372036854775806)",
        "random_exponential(1, 1000000, 2.5)",
        "random_exponential(1, 100, 0.01)",
        "random_gaussian(-1000000, 1000000, 2)",
        "random_gaussian(1, 1000, 7.5)",
        "random_zipfian(1, 1000000, 1.001)",
        "random_zipfian(1, 1000000, 1.07)",
        "random_zipfian(1, 1000, 2)",
        "random_zipfian(1, 10, 1000)",
        "random(1, 1000) > random(1, 1000)",
        "hash(random(1, 100))",
        "permute(random(1, 100), 1000)",
    ];
    let set: String = draws
        .iter()
        .enumerate()
        .map(|(idx, draw)| format!("\\set v{idx} {draw}\n"))
        .collect();
    let select: String = (0..draws.len()).map(|idx| format!(" :v{idx}")).collect();
    let ours = pgbench::parse("ours", &format!("{set}select :client_id{select}")).unwrap();
    let linked = Arc::new(Linked::new([&ours]));
    let mut drawn_by_us = Vec::new();
    for client_id in 0..N_CLIENTS {
        let mut runner = Runner::new(Arc::clone(&linked), &setup(42), client_id);
        for _ in 0..N_TRANSACTIONS {
            runner.start(0);
            assert_eq!(runner.next(), Step::Statement(0));
            drawn_by_us.push(runner.text(0).replacen("select ", "", 1));
        }
    }
    let mut drawn_by_them = Pgbench::find().await.draws(&draws, N_CLIENTS, N_TRANSACTIONS);
    // Clients take turns; the transactions of each stay in their order.
    drawn_by_them.sort_by_key(|line| line.split(' ').next().map(str::to_owned));
    assert_eq!(drawn_by_us, drawn_by_them);
}

/// Statements that store what they are, as the server got it.
const STATEMENTS: &str = "\
-- a comment
  /* another, :given */ insert into seen select current_query() -- :given, :unknown
;
\\set x 1.50
insert into seen select current_query() where ':x' = '1.5' and 1 = any (array[1, :x]) and 'a:b' <> $q$;:x$q$ and 1::int = 1;
insert into seen select current_query()\\; insert into seen select 'x' where 1 < \\:given /* ; */ ;
insert into seen (what) select current_query() where (1 = 1 and ';' <> '') and E'\\';' <> '' \\set y \\
  :x + \\
  1
\\if :y = 2.5
insert into seen select current_query() where ':y:given::text:::given' <> '' -- end of file";

#[tokio::test]
async fn statements_are_sent_as_pgbench_sends_them() {
    let program = pgbench::parse("p", STATEMENTS).map_err(|error| error.to_string());
    assert_eq!(
        program.unwrap_err(),
        "line 10, column 1: There is no \\endif to this \\if."
    );
    let text = format!("{STATEMENTS}\n\\endif");
    let program = pgbench::parse("p", &text).unwrap();
    let mut runner = Runner::new(Arc::new(Linked::new([&program])), &setup(1), 0);
    runner.start(0);
    let mut ours = Vec::new();
    while let Step::Statement(idx) = runner.next() {
        ours.push(runner.text(idx).to_owned());
    }
    assert_eq!(ours.len(), 5);
    let theirs = Pgbench::find().await.statements(&text);
    let theirs: Vec<&str> = theirs
        .iter()
        .map(|text| text.trim_end().trim_end_matches(';').trim_end())
        .collect();
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn pgbench_refuses_what_is_refused_here() {
    let pgbench = Pgbench::find().await;
    for text in expressions::REFUSED_BY_BOTH {
        let ours = pgbench::parse("p", text);
        assert!(ours.is_err(), "{text:?} {ours:?}");
        assert!(!pgbench.accepts(text), "{text:?}");
    }
    for text in expressions::ACCEPTED_BY_BOTH {
        let ours = pgbench::parse("p", text);
        assert!(ours.is_ok(), "{text:?} {ours:?}");
        assert!(pgbench.accepts(text), "{text:?}");
    }
}

#[tokio::test]
async fn the_built_in_scripts_of_pgbench_are_read_unchanged() {
    let pgbench = Pgbench::find().await;
    for (name, n_commands, n_parameters) in [
        ("tpcb-like", 11, vec![0, 2, 1, 2, 2, 4, 0]),
        ("simple-update", 9, vec![0, 2, 1, 4, 0]),
        ("select-only", 2, vec![1]),
    ] {
        let program = pgbench::parse(name, &pgbench.script(name)).unwrap();
        assert_eq!(program.commands.len(), n_commands, "{name}");
        assert!(program.missing(&[]).is_empty());
        assert_eq!(program.check_parameters(&[]), Ok(()));
        let linked = Linked::new([&program]);
        let statements = linked.statements(0).iter();
        let counts: Vec<usize> = statements.map(|statement| statement.parameters.len()).collect();
        assert_eq!(counts, n_parameters, "{name}");
    }
}
