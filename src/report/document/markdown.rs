//! A document as Markdown, its tables ready to be pasted into an issue or a chat. It has no pictures.

use std::fmt::Write as _;

use crate::model::trial::RecordedTrial;
use crate::report::data::ReportData;
use crate::report::document::Block;
use crate::report::document::Document;
use crate::report::document::Table;
use crate::report::document::build;
use crate::report::export::Exporter;

/// The report as text.
pub struct Markdown;

impl Exporter for Markdown {
    fn name(&self) -> &'static str {
        "report.md"
    }

    fn about(&self) -> &'static str {
        "The same as Markdown, its tables ready to be pasted"
    }

    fn media_type(&self) -> &'static str {
        "text/markdown; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "report.md"
    }

    fn is_read(&self) -> bool {
        true
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        Ok(text(&build::document(data)?).into_bytes())
    }
}

/// A document as text.
pub(in crate::report) fn text(document: &Document) -> String {
    let mut text = format!("# {}\n", escaped(&document.title));
    for block in &document.blocks {
        text.push('\n');
        push_block(&mut text, block);
    }
    text
}

fn push_block(text: &mut String, block: &Block) {
    let written = match block {
        Block::Chapter(title) => writeln!(text, "## {}", escaped(title)),
        Block::Section(title) => writeln!(text, "### {}", escaped(title)),
        Block::Paragraph(words) => writeln!(text, "{}", escaped(words)),
        Block::Headline(words) => writeln!(text, "**{}**", escaped(words)),
        Block::Warning(words) => writeln!(text, "> {}", escaped(words)),
        Block::Items(items) => items.iter().try_for_each(|item| writeln!(text, "- {}", escaped(item))),
        Block::Facts(facts) => facts
            .iter()
            .try_for_each(|fact| writeln!(text, "- {}: {}", escaped(&fact.name), escaped(&fact.value))),
        Block::Table(table) => push_table(text, table),
        Block::Picture(picture) => writeln!(text, "{} (The chart is in the HTML report.)", escaped(&picture.alt)),
        Block::Text { text: inner, language } => {
            let fence = fence(inner);
            writeln!(text, "{fence}{language}\n{}\n{fence}", inner.trim_end())
        }
        Block::Made(numbers) => numbers.iter().try_for_each(|number| {
            let reference = match number.reference {
                "" => String::new(),
                reference => format!(" ({})", escaped(reference)),
            };
            writeln!(text, "- *{}*: {}{reference}", escaped(number.name), escaped(number.how))
        }),
    };
    written.expect("a String takes whatever is written to it");
}

fn push_table(text: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(text, "{}\n", escaped(&table.caption))?;
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let heads = table.heads.iter().map(|head| escaped(&head.text));
    writeln!(text, "{}", line(heads.collect()))?;
    let rules = table
        .heads
        .iter()
        .map(|head| if head.is_number { "---:" } else { "---" });
    writeln!(text, "{}", line(rules.map(str::to_owned).collect()))?;
    for row in &table.rows {
        let cells = row
            .iter()
            .map(|cell| match (cell.is_strong, escaped(&cell.figure.shown)) {
                (true, shown) if !shown.is_empty() => format!("**{shown}**"),
                (_, shown) => shown,
            });
        writeln!(text, "{}", line(cells.collect()))?;
    }
    Ok(())
}

/// Text in which nothing means anything to Markdown or to HTML, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_within = |other: Option<char>| other.is_some_and(char::is_alphanumeric);
        let means_something = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' => true,
            // Only at the beginning of a line.
            '#' | '>' | '-' | '+' => before.is_none(),
            // Names are full of them, and within a word they mean nothing.
            '_' => !(is_within(before) && is_within(rest.peek().copied())),
            _ => false,
        };
        if means_something {
            escaped.push('\\');
        }
        escaped.push(if matches!(c, '\n' | '\r') { ' ' } else { c });
        before = Some(c);
    }
    escaped
}

/// A fence that is longer than any in the text.
fn fence(text: &str) -> String {
    let mut longest = 0;
    for run in text.split(|c| c != '`') {
        longest = longest.max(run.len());
    }
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Cell;
    use crate::report::document::Head;

    #[test]
    fn what_a_dump_or_a_query_says_means_nothing_to_markdown() {
        let head = |text: &str, is_number| Head {
            text: text.to_owned(),
            is_number,
        };
        let document = Document {
            title: "Experiment 1: *queries* on <b>".to_owned(),
            blocks: vec![
                Block::Warning("one\n# two".to_owned()),
                Block::Table(Table {
                    caption: "Times".to_owned(),
                    heads: vec![head("Query", false), head("Median (ms)", true)],
                    rows: vec![vec![
                        Cell::from("a|b_c_".to_owned()),
                        Cell::strong(crate::report::table::time(Some(1.5), false)),
                    ]],
                }),
                Block::Text {
                    text: "select '```'\n".to_owned(),
                    language: "sql",
                },
            ],
        };
        assert_eq!(
            text(&document),
            "# Experiment 1: \\*queries\\* on \\<b>\n\n\
             > one # two\n\n\
             Times\n\n\
             | Query | Median (ms) |\n\
             | --- | ---: |\n\
             | a\\|b_c\\_ | **1.50** |\n\n\
             ````sql\nselect '```'\n````\n"
        );
    }
}
