//! Whole programs, step by step.

use std::sync::Arc;

use crate::sql::pgbench;

use super::Linked;
use super::Runner;
use super::Setup;
use super::Step;

fn setup() -> Setup {
    Setup {
        seed: 7,
        scale: 3,
        definitions: vec![
            ("given".to_owned(), "12".to_owned()),
            ("word".to_owned(), "it's".to_owned()),
        ],
    }
}

/// A client with these programs.
fn runner(texts: &[&str]) -> Runner {
    let programs: Vec<_> = texts.iter().map(|text| pgbench::parse("p", text).unwrap()).collect();
    Runner::new(Arc::new(Linked::new(&programs)), &setup(), 2)
}

/// What a program does, told in lines: statements as the simple protocol sends them, sleeps, and how it ends.
fn told(runner: &mut Runner, program_idx: usize) -> Vec<String> {
    runner.start(program_idx);
    let mut lines = Vec::new();
    loop {
        match runner.next() {
            Step::Statement(idx) => lines.push(runner.text(idx).to_owned()),
            Step::Sleep(time) => lines.push(format!("{time:?}")),
            Step::Done => return lines,
            Step::Failed(failure) => {
                lines.push(failure.to_string());
                return lines;
            }
        }
    }
}

fn run(text: &str) -> Vec<String> {
    told(&mut runner(&[text]), 0)
}

/// What an expression comes to, as text.
fn value(expr: &str) -> String {
    run(&format!("\\set v {expr}\nselect :v"))
        .pop()
        .unwrap()
        .replacen("select ", "", 1)
}

#[test]
fn a_program_says_what_is_next() {
    let text = "\\set a 1 + 2\nselect :a, :client_id, :scale, :given, ':word';\n\\sleep 5ms\nend";
    assert_eq!(run(text), ["select 3, 2, 3, 12, 'it's'", "5ms", "end"]);
    assert_eq!(run("select :random_seed = 7"), ["select 7 = 7"]);
}

#[test]
fn what_is_not_set_stays_as_it_is_written() {
    assert_eq!(
        run("select ':a', b::int, :a;\n\\set a null\nselect :a"),
        ["select ':a', b::int, :a", "select NULL"]
    );
}

#[test]
fn values_have_the_text_that_pgbench_gives_them() {
    for (expr, text) in [
        ("true and not false", "true"),
        ("1 = 2", "false"),
        ("null", "NULL"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("7 / 2 * 2.0", "6"),
        ("pi()", "3.14159265358979"),
        ("1e15", "1e+15"),
        ("1e14 + 0.5", "100000000000000"),
        ("123456.789", "123456.789"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("-1.5e-300", "-1.5e-300"),
        ("1.0 / 0", "Infinity"),
        ("-1.0 / 0", "-Infinity"),
        ("ln(-1)", "NaN"),
        ("debug(5)", "5"),
        ("hash(10, 5432)", "-5817877081768721676"),
        ("hash_fnv1a(10, 5432)", "-7793829335365542153"),
    ] {
        assert_eq!(value(expr), text, "{expr}");
    }
}

#[test]
fn one_branch_of_a_block_is_run() {
    let text = "\\if :given > 20\nselect 1;\n\\if true\nselect 2;\n\\endif\n\\elif :given > 10\nselect 3;\n\\if null\nselect 4;\n\
                \\else\nselect 5;\n\\endif\n\\elif 1 / 0\nselect 6;\n\\else\nselect 7;\n\\endif\nselect 8;";
    assert_eq!(run(text), ["select 3", "select 5", "select 8"]);
    assert_eq!(run("\\if 0.0\nselect 1;\n\\else\n\\endif"), Vec::<String>::new());
    assert_eq!(
        run("\\if 0\nselect 1;\n\\elif 0\nselect 2;\n\\endif\nselect 3;"),
        ["select 3"]
    );
}

#[test]
fn sleeps_have_units_and_may_come_from_variables() {
    let text = "\\sleep 2\n\\sleep 3 us\n\\sleep -1 s\n\\sleep :given ms\n\\set t 1.9\n\\sleep :t s\n\\sleep :word";
    assert_eq!(
        run(text),
        [
            "2s",
            "3µs",
            "0ns",
            "12ms",
            "1s",
            "line 7: the variable :word holds \"it's\", which is no time to sleep"
        ]
    );
}

#[test]
fn a_failure_names_its_line() {
    for (text, failure) in [
        ("select 1;\n\n\\set x 1 / 0", "line 3: division by zero"),
        (
            "\\set x 9223372036854775807 + 1",
            "line 1: the result of + is out of the range of 64-bit integers",
        ),
        ("\\set x :y", "line 1: the variable :y is not set"),
        (
            "\\set x :word + 1",
            "line 1: the variable :word holds \"it's\", which is no number, truth value or null",
        ),
        (
            "\\if 1 and true\n\\endif",
            "line 1: int cannot be taken for a truth value",
        ),
        ("\\sleep :y", "line 1: the variable :y is not set"),
        (
            "\\set x random(2, 1)",
            "line 1: the range of random numbers is empty: 2 to 1",
        ),
        (
            "\\set x random_gaussian(1, 2, 1.5)",
            "line 1: the parameter of random_gaussian is 1.5; it has to be at least 2",
        ),
    ] {
        assert_eq!(run(text).pop().unwrap(), failure);
    }
}

#[test]
fn a_client_keeps_its_variables_from_one_transaction_to_the_next() {
    let mut runner = runner(&["\\set n :n + 1\nselect :n", "\\set n 5\n\\set m 1", "select :m, :n"]);
    assert_eq!(told(&mut runner, 0), ["line 1: the variable :n is not set"]);
    assert_eq!(told(&mut runner, 1), Vec::<String>::new());
    assert_eq!(told(&mut runner, 0), ["select 6"]);
    assert_eq!(told(&mut runner, 0), ["select 7"]);
    assert_eq!(told(&mut runner, 2), ["select 1, 7"]);
}

#[test]
fn a_retried_transaction_draws_the_same_numbers() {
    let mut runner = runner(&["\\set x random(1, 1000000000)\nselect :x"]);
    let text = |runner: &mut Runner| {
        assert_eq!(runner.next(), Step::Statement(0));
        runner.text(0).to_owned()
    };
    runner.start(0);
    let first = text(&mut runner);
    runner.retry();
    assert_eq!(text(&mut runner), first);
    runner.start(0);
    assert_ne!(text(&mut runner), first);
}

#[test]
fn clients_draw_different_numbers_and_hash_alike() {
    let program = pgbench::parse("p", "\\set x random(1, 1000000000)\nselect :x;\nselect :default_seed").unwrap();
    let linked = Arc::new(Linked::new([&program]));
    let told_by = |client_id| told(&mut Runner::new(Arc::clone(&linked), &setup(), client_id), 0);
    assert_ne!(told_by(0)[0], told_by(1)[0]);
    assert_eq!(told_by(0)[1], told_by(1)[1]);
    assert_eq!(told_by(0), told_by(0));
}

#[test]
fn statements_with_parameters_have_one_for_each_use_of_a_variable() {
    let text = "\\set x 2.50\n\\set n null\nselect :x, a[:x:], ':x', :n, :unset, :word::text /* :x */;\nselect 1";
    let mut runner = runner(&[text]);
    runner.start(0);
    assert_eq!(runner.next(), Step::Statement(0));
    let params: Vec<Option<&str>> = runner.params(0).collect();
    assert_eq!(params, [Some("2.5"), Some("2.5"), None, None, Some("it's")]);
    let program = pgbench::parse("p", text).unwrap();
    let linked = Linked::new([&program]);
    let statements = linked.statements(0);
    assert_eq!(
        statements[0].parameterised(),
        "select $1, a[$2:], ':x', $3, $4, $5::text /* :x */"
    );
    assert_eq!((statements[0].parameters.len(), statements[1].parameters.len()), (5, 0));
    assert_eq!(statements[1].parameterised(), "select 1");
    assert_eq!(statements[0].gset(), None);
}

#[test]
fn gset_makes_variables_of_a_row() {
    let mut runner = runner(&["select 1 \\gset\nselect 2 \\gset p_\n\\set sum :a + :p_a\nselect :sum, ':p_b', ':p_c'"]);
    runner.start(0);
    assert_eq!(runner.next(), Step::Statement(0));
    assert_eq!(
        runner.gset(0, 1, [("a", Some("40")), ("unheard_of", Some("x"))]),
        Ok(())
    );
    assert_eq!(runner.next(), Step::Statement(1));
    assert_eq!(
        runner.gset(1, 1, [("a", Some("2")), ("b", None), ("c", Some("it"))]),
        Ok(())
    );
    assert_eq!(runner.next(), Step::Statement(2));
    assert_eq!(runner.text(2), "select 42, '', 'it'");
    assert_eq!(
        runner.gset(0, 2, []).unwrap_err().to_string(),
        "line 1: \\gset needs one row, and the query gave 2"
    );
    assert_eq!(
        runner.gset(1, 1, [("?column?", Some("1"))]).unwrap_err().to_string(),
        "line 2: \\gset cannot store the column \"?column?\": no variable can be called so"
    );
}

#[test]
fn definitions_win_over_automatic_variables() {
    let program = pgbench::parse("p", "select :scale, :client_id").unwrap();
    let mut setup = setup();
    setup.definitions = vec![("scale".to_owned(), "100".to_owned())];
    let mut runner = Runner::new(Arc::new(Linked::new([&program])), &setup, 4);
    assert_eq!(told(&mut runner, 0), ["select 100, 4"]);
}
