//! Whole programs, step by step.

use std::sync::Arc;
use std::time::Duration;

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
    assert_eq!(
        run("\\set a 1 + 2\nselect :a, :client_id, :scale, :given;\n\\sleep 5ms\nend"),
        ["select 3, 2, 3, 12", "5ms", "end"]
    );
}

#[test]
fn expressions_have_the_values_that_they_have_under_pgbench() {
    for (expr, expected) in [
        ("1 + 2 * 3 - -4", "11"),
        ("~1 + 2", "-4"),
        ("not false and 1 = 1", "true"),
        ("7 / 2 * 2.0", "6"),
        ("5.5 % 4", "2"),
        ("null is null", "true"),
        ("case when 0 then 1 when 2 > 1 then 5 end", "5"),
        ("hash(10, 5432)", "-5817877081768721676"),
        ("hash_fnv1a(10, 5432)", "-7793829335365542153"),
        ("pi()", "3.14159265358979"),
        ("1e20", "1e+20"),
        ("least(3, 1.5, 2)", "1.5"),
    ] {
        assert_eq!(value(expr), expected, "{expr}");
    }
}
