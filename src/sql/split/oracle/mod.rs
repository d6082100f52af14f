//! The splitter beside psql itself: both read the same scripts, and have to find the same statements.
//!
//! psql sends comments and semicolons along, and an unfinished statement at the end of the file; the splitter does
//! neither. Otherwise every byte has to agree.

pub mod blank;
mod server;

use std::sync::LazyLock;

use proptest::prelude::*;

use super::Limits;
use super::Piece;
use super::SplitError;
use super::Splitter;
use super::fuzz;

use server::Oracle;
use server::Sent;

/// Scripts in paragraphs. A symbol such as `␍` stands for the control character that it names, `[BOM]` for that mark,
/// and a paragraph that starts with `#` is a heading.
const CASES: &str = include_str!("cases.txt");

/// Begins the cases that psql reads otherwise before [`SINCE`].
const HEADING_OF_NEW: &str = "# From here on";

/// The minor releases in which psql began to leave out what stands in parentheses, and to forget at a `\;` what came before,
/// when it guesses whether a function's body has begun. Debian 12 was installed with 15.18.
const SINCE: &[(u32, u32)] = &[(15, 20), (16, 16), (17, 12), (18, 7)];

/// Whether this machine's psql reads all cases as the splitter does.
fn is_new(version: &str) -> bool {
    let number = version.split_whitespace().find(|word| word.contains('.'));
    let number = number.expect("psql says its version");
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    match SINCE.iter().find(|since| since.0 == major) {
        Some(since) => minor >= since.1,
        None => major > 18,
    }
}

/// All cases, or those that an old psql reads as a new one does.
fn cases() -> Vec<String> {
    let control = |symbol: char| match symbol {
        '\u{2401}'..='\u{2420}' => char::from_u32(u32::from(symbol) - 0x2400).unwrap(),
        other => other,
    };
    let is_new = is_new(&Oracle::version());
    let paragraphs = CASES
        .trim_end()
        .split("\n\n")
        .take_while(|paragraph| is_new || !paragraph.starts_with(HEADING_OF_NEW))
        .filter(|paragraph| !paragraph.starts_with('#'));
    paragraphs
        .map(|paragraph| {
            paragraph
                .chars()
                .map(control)
                .collect::<String>()
                .replace("[BOM]", "\u{feff}")
        })
        .collect()
}

/// What the splitter finds, in psql's terms.
fn ours(script: &str) -> (Vec<Sent>, Option<SplitError>) {
    let mut splitter = Splitter::new(Limits::default());
    let mut pieces = Vec::new();
    let pushed = splitter.push(script.as_bytes(), &mut pieces);
    let ending = pushed.and_then(|()| splitter.finish(&mut pieces));
    let mut sent = Vec::new();
    for piece in pieces {
        match (piece, sent.last_mut()) {
            (Piece::Statement(statement), _) => sent.push(Sent::Query(statement.text)),
            (Piece::CopyStart(statement), _) => {
                sent.extend([Sent::Query(statement.text), Sent::Data(String::new())]);
            }
            (Piece::CopyData(data), Some(Sent::Data(so_far))) => so_far.push_str(str::from_utf8(&data).unwrap()),
            (Piece::CopyData(_), _) => panic!("data without a COPY"),
            (Piece::CopyEnd { .. } | Piece::PsqlLine(_), _) => {}
        }
    }
    (sent, ending.err())
}

fn is_same(ours: &Sent, theirs: &Sent) -> bool {
    match (ours, theirs) {
        (Sent::Query(ours), Sent::Query(theirs)) => {
            let (ours, theirs) = (without_empty_lines(ours), without_empty_lines(theirs));
            let rest = blank::skip(&theirs).strip_prefix(ours.as_str());
            rest.is_some_and(|rest| blank::skip(rest).is_empty())
        }
        (ours, theirs) => ours == theirs,
    }
}

/// psql drops them from a statement, except in quotes.
fn without_empty_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let last = lines.pop();
    lines.retain(|line| !line.is_empty());
    lines.extend(last);
    lines.join("\n")
}

/// What is wrong with the splitter's view of a script, if anything is.
fn difference(script: &str, theirs: Vec<Sent>) -> Option<String> {
    let (ours, error) = ours(script);
    let has_words = |sent: &Sent| !matches!(sent, Sent::Query(query) if blank::skip(query).is_empty());
    let theirs: Vec<Sent> = theirs.into_iter().filter(has_words).collect();
    let n_common = ours
        .iter()
        .zip(&theirs)
        .take_while(|(ours, theirs)| is_same(ours, theirs))
        .count();
    let is_right = match &error {
        None => n_common == ours.len() && n_common == theirs.len(),
        // psql sends what it has.
        Some(SplitError::Unclosed { .. }) => n_common == ours.len() && theirs.len() <= n_common + 1,
        Some(SplitError::InsideCopy { .. }) => n_common + 1 >= ours.len() && theirs.len() == ours.len(),
        Some(_) => false,
    };
    (!is_right).then(|| format!("\n{script:?}\nwe: {ours:#?} {error:?}\npsql: {theirs:#?}"))
}

fn assert_agreement(scripts: &[String]) {
    let theirs = Oracle::start().ask(scripts);
    let differences: Vec<String> = scripts
        .iter()
        .zip(theirs)
        .filter_map(|(script, theirs)| difference(script, theirs))
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {}:{}",
        differences.len(),
        scripts.len(),
        differences.concat()
    );
}

#[test]
fn an_old_psql_is_known_by_its_version() {
    for (version, new) in [
        ("psql (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", false),
        ("psql (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", true),
        ("psql (PostgreSQL) 14.99", false),
        ("psql (PostgreSQL) 18.4", false),
        ("psql (PostgreSQL) 18.10", true),
        ("psql (PostgreSQL) 19.0", true),
    ] {
        assert_eq!(is_new(version), new, "{version}");
    }
    assert!(CASES.contains(HEADING_OF_NEW));
}

#[test]
fn psql_finds_the_same_statements_in_every_case() {
    assert_agreement(&cases());
}

#[test]
fn psql_finds_the_same_statements_when_lines_end_as_on_windows() {
    let scripts: Vec<String> = cases().iter().map(|case| case.replace('\n', "\r\n")).collect();
    assert_agreement(&scripts);
}

#[test]
fn psql_finds_the_same_statements_when_backslashes_escape() {
    let off = "set standard_conforming_strings = off;\n";
    let scripts: Vec<String> = cases().iter().map(|case| format!("{off}{case}")).collect();
    assert_agreement(&scripts);
}

/// psql 15.20 guesses by its words whether a query is a COPY that has failed, and then skips what it thinks are its data.
/// It is wrong where the words stand in something else, and where a query behind a COPY has no word of its own.
fn confuses_psql(sent: &[Sent]) -> bool {
    let has_data = |query: &str| query.to_ascii_lowercase().contains("stdin");
    let is_word = |text: &str| text.len() > 1 && text.bytes().take(2).all(|byte| byte.is_ascii_alphabetic());
    (0..sent.len()).any(|idx| match (&sent[idx], sent.get(idx + 1)) {
        (Sent::Query(query), following) => has_data(query) && !matches!(following, Some(Sent::Data(_))),
        (Sent::Data(_), Some(Sent::Query(query))) => !is_word(blank::skip(query)),
        (Sent::Data(_), _) => false,
    })
}

static ORACLE: LazyLock<Oracle> = LazyLock::new(Oracle::start);

/// psql takes longer to start than to read.
const SCRIPTS_PER_PSQL: usize = 16;

fn a_sixteenth_of_the_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(16),
        ..usual
    }
}

proptest! {
    #![proptest_config(a_sixteenth_of_the_cases())]

    #[test]
    fn psql_finds_the_same_statements_in_generated_scripts(
        scripts in prop::collection::vec(fuzz::script_for_psql(), SCRIPTS_PER_PSQL),
    ) {
        for (script, theirs) in scripts.iter().zip(ORACLE.ask(&scripts)) {
            if !confuses_psql(&theirs) && !confuses_psql(&ours(script).0) {
                let difference = difference(script, theirs);
                prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
            }
        }
    }
}
