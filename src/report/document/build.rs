//! What stands in the report of an experiment, from its title to its last line: the words and numbers of its page.

use crate::analysis::letters;
use crate::model::experiment::ClockKind;
use crate::model::experiment::Experiment;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::Order;
use crate::model::experiment::PlanText;
use crate::model::job::Interrupted;
use crate::model::units::counted;
use crate::plan;
use crate::report::data::ReportData;
use crate::report::disturbed;
use crate::report::document::Block;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::document::Table;
use crate::report::document::numbers::heads;
use crate::report::document::numbers::push_comparisons;
use crate::report::document::numbers::push_observer;
use crate::report::document::numbers::push_times;
use crate::report::made;
use crate::report::surroundings;
use crate::report::table;

/// The whole report. Plans are in it where their texts were read.
pub(super) fn document(data: &ReportData) -> anyhow::Result<Document> {
    let experiment = &data.experiment;
    let table = table::table(data);
    let mut blocks = vec![Block::Paragraph(format!(
        "{} on {}, under {}.",
        experiment.workload_name,
        experiment.dataset_name,
        counted(
            experiment.spec.sources.len() as u64,
            "source of statistics",
            "sources of statistics"
        ),
    ))];
    blocks.extend(filing(experiment).into_iter().map(Block::Paragraph));
    blocks.extend(experiment.headline.clone().map(Block::Headline));
    blocks.extend(experiment.job.message.clone().map(Block::Warning));
    blocks.extend(surroundings::warnings(experiment).into_iter().map(Block::Warning));
    blocks.push(Block::Chapter("How it was measured".to_owned()));
    blocks.extend(method(experiment).into_iter().map(Block::Paragraph));
    if data.summaries.is_empty() {
        blocks.push(Block::Paragraph("There are no measured trials to show.".to_owned()));
    } else {
        push_comparisons(&mut blocks, data, &table);
        push_times(&mut blocks, data, &table)?;
        push_observer(&mut blocks, data);
    }
    push_queries(&mut blocks, data)?;
    push_surroundings(&mut blocks, data);
    Ok(Document {
        title: format!(
            "Experiment {}: {} on {}",
            experiment.id, experiment.workload_name, experiment.dataset_name
        ),
        blocks,
    })
}

/// Tags and memo of its owner, where there are any.
fn filing(experiment: &Experiment) -> Vec<String> {
    let filing = &experiment.filing;
    let tags = (!filing.tags.is_empty()).then(|| format!("Tags: {}", filing.tags.as_slice().join(", ")));
    let memo = filing.memo.as_str().lines().filter(|line| !line.is_empty());
    tags.into_iter().chain(memo.map(str::to_owned)).collect()
}

/// The protocol in words, with what was chosen of it.
fn method(experiment: &Experiment) -> Vec<String> {
    let spec = &experiment.spec;
    let order = match spec.order {
        Order::Randomized => format!(
            "In each of {} the sources were visited in shuffled order, and under each every query ran once, in shuffled \
             order. The seed {} decides the order, so it can be made again.",
            counted(spec.iterations.into(), "round", "rounds"),
            spec.seed
        ),
        Order::Sequential => format!(
            "All {} of one source ran before those of the next: whatever changed on the machine in between is in the \
             comparisons.",
            counted(spec.iterations.into(), "round", "rounds")
        ),
    };
    let clock = match spec.clock {
        ClockKind::Server => {
            "Times are the server's own: Execution Time of EXPLAIN (ANALYZE, TIMING OFF), without sending the rows."
        }
        ClockKind::Client => "Times are the client's: of the plain statement, with all rows read and dropped.",
    };
    let annexes = match spec.annexes().len() {
        0 => "",
        _ => {
            ", and one more for each script, in which the first source was measured again in the same rounds, under the same \
             statistics"
        }
    };
    let warm_up = match spec.warm_up {
        0 => "Nothing ran before to warm caches.".to_owned(),
        n => format!(
            "{} not counted; what ran then filled the caches.",
            counted(n.into(), "round before these is", "rounds before these are")
        ),
    };
    vec![
        format!(
            "The dump was restored, and one copy of it made{annexes}. In that copy the planner statistics of each source were \
             prepared one after the other from a state without any, and exchanged between the trials, so that every source \
             met the same tables and the same caches. {order} {warm_up}"
        ),
        format!("{clock} Planning is kept apart."),
    ]
}

fn push_queries(blocks: &mut Vec<Block>, data: &ReportData) -> anyhow::Result<()> {
    blocks.push(Block::Chapter("Queries and their plans".to_owned()));
    for query in &data.queries {
        blocks.push(Block::Section(query.label.clone()));
        if query.class == crate::model::workload::QueryClass::Writes {
            let words = "It writes; every trial ran in a fresh copy.";
            blocks.push(Block::Paragraph(words.to_owned()));
        }
        blocks.push(Block::Text {
            text: query.sql.clone(),
            language: "sql",
        });
        push_plans(blocks, data, query)?;
    }
    Ok(())
}

/// Each different plan once, with the sources that chose it.
fn push_plans(blocks: &mut Vec<Block>, data: &ReportData, query: &ExperimentQuery) -> anyhow::Result<()> {
    let outlines = data.plans.iter().filter(|plan| plan.query_idx == query.query_idx);
    let fingerprints: Vec<Option<&str>> = outlines.clone().map(|plan| plan.fingerprint.as_deref()).collect();
    let mut shown: Vec<String> = Vec::new();
    let lettered: Vec<_> = outlines.zip(letters(&fingerprints)).collect();
    for (outline, letter) in &lettered {
        let Some(letter) = letter else {
            let message = outline.message.as_deref().unwrap_or("there is no plan");
            let source = data.source_label(outline.source_idx);
            blocks.push(Block::Warning(format!("Under {source}: {message}")));
            continue;
        };
        if shown.contains(letter) {
            continue;
        }
        shown.push(letter.clone());
        let under: Vec<&str> = lettered
            .iter()
            .filter(|(_, other)| other.as_ref() == Some(letter))
            .map(|(other, _)| data.source_label(other.source_idx))
            .collect();
        blocks.push(Block::Paragraph(format!("Plan {letter}, under {}:", under.join(", "))));
        if let Some(message) = &outline.message {
            blocks.push(Block::Warning(message.clone()));
        }
        let text = data
            .plan_texts
            .iter()
            .find(|text| (text.query_idx, text.source_idx) == (outline.query_idx, outline.source_idx));
        if let Some(text) = text.and_then(PlanText::best) {
            blocks.push(Block::Text {
                text: plan::text(&plan::parse(text)?),
                language: "",
            });
        }
    }
    Ok(())
}

/// Every script with what it did.
fn push_scripts(blocks: &mut Vec<Block>, data: &ReportData) {
    for prepared in &data.prepared {
        let Some(alteration) = &prepared.alteration else {
            continue;
        };
        let label = data.source_label(prepared.source_idx);
        blocks.push(Block::Section(format!("What the script of {label} did")));
        blocks.push(Block::Text {
            text: alteration.script.clone(),
            language: "sql",
        });
        let cells = prepared.notes.iter().map(|note| {
            let (before, after) = note.change.clone().unwrap_or_default();
            [note.about.clone(), note.what.clone(), before, after]
                .map(Cell::from)
                .into()
        });
        blocks.push(Block::Table(Table {
            caption: format!("What the script of {label} did"),
            heads: heads(&[("Of", false), ("What", false), ("Before", false), ("After", false)]),
            rows: cells.collect(),
        }));
    }
}

fn push_surroundings(blocks: &mut Vec<Block>, data: &ReportData) {
    let experiment = &data.experiment;
    blocks.push(Block::Chapter("Settings and surroundings".to_owned()));
    for (title, facts) in [
        ("Experiment", surroundings::facts(experiment)),
        ("Session settings", experiment.spec.settings.clone()),
        ("Server and machine", experiment.environment.clone()),
    ] {
        blocks.push(Block::Section(title.to_owned()));
        blocks.push(Block::Facts(facts));
    }
    blocks.push(Block::Section("Sources".to_owned()));
    let rows = surroundings::prepared(data).into_iter().zip(0_i32..);
    let cells = rows.map(|(row, source_idx)| {
        vec![
            Cell::of_source(row.label, source_idx),
            Cell::from(row.n_statistics),
            Cell::from(row.apply),
            Cell::from(match row.targets.len() {
                0 => "as they are".to_owned(),
                n => counted(n as u64, "column has its own", "columns have their own"),
            }),
            Cell::from(row.checksum),
        ]
    });
    blocks.push(Block::Table(Table {
        caption: "What preparing each source gave".to_owned(),
        heads: heads(&[
            ("Source", false),
            ("Statistics rows", true),
            ("Took", true),
            ("Targets of columns", false),
            ("Snapshot (SHA-256)", false),
        ]),
        rows: cells.collect(),
    }));
    push_scripts(blocks, data);
    if !data.segments.is_empty() {
        blocks.push(Block::Section("When it was measured (UTC)".to_owned()));
        blocks.push(Block::Items(surroundings::segments(data)));
    }
    if !data.interruptions.is_empty() {
        blocks.push(Block::Section("What interrupted it".to_owned()));
        let lines = data.interruptions.iter().map(Interrupted::in_words);
        blocks.push(Block::Items(lines.collect()));
    }
    let disturbed = disturbed::sentences(&data.look_counts);
    if !disturbed.is_empty() {
        blocks.push(Block::Section("What else was at work".to_owned()));
        blocks.push(Block::Items(disturbed));
        blocks.push(Block::Paragraph(
            "A visit is one source in one round. Trials of such visits are marked in the exports, and count like all others."
                .to_owned(),
        ));
        blocks.push(Block::Made(made::DISTURBED));
    }
    blocks.push(Block::Section("To check it".to_owned()));
    blocks.push(Block::Paragraph(
        "The bundle of this experiment holds its trials, plans and planner statistics. `pgassay verify` computes every number \
         of it again, and `pgassay rerun` measures again under the same statistics."
            .to_owned(),
    ));
}
