//! A benchmark as a document, from its title to its last line: the words and numbers of its page.

use crate::model::benchmark::Benchmark;
use crate::model::dataset::Setting;
use crate::report::benchmark::chart;
use crate::report::benchmark::chart::ChartKind;
use crate::report::benchmark::chart::ChartWish;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::facts;
use crate::report::benchmark::levels;
use crate::report::benchmark::made;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::server;
use crate::report::benchmark::shares;
use crate::report::benchmark::shares::LevelShares;
use crate::report::benchmark::statements;
use crate::report::document::Block;
use crate::report::document::Cell;
use crate::report::document::Document;
use crate::report::document::Head;
use crate::report::document::Picture;
use crate::report::document::Table;
use crate::report::document::html as page;
use crate::report::document::markdown as plain;
use crate::report::document::numbers::heads;

pub(super) fn html(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    page::page(&document(data, percentiles)?)
}

pub(super) fn markdown(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    Ok(plain::text(&document(data, percentiles)?).into_bytes())
}

fn document(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Document> {
    let benchmark = &data.benchmark;
    let mut blocks = vec![Block::Paragraph(benchmark.spec.mix.operation.title().to_owned() + ".")];
    blocks.extend(filing(benchmark).into_iter().map(Block::Paragraph));
    blocks.extend(benchmark.headline.clone().map(Block::Headline));
    blocks.extend(benchmark.job.message.clone().map(Block::Warning));
    blocks.extend(facts::warnings(benchmark).into_iter().map(Block::Warning));
    if data.levels.is_empty() {
        blocks.push(Block::Paragraph("No level has been measured to its end.".to_owned()));
    } else {
        push_levels(&mut blocks, data, percentiles)?;
        push_statements(&mut blocks, data, percentiles)?;
        push_errors(&mut blocks, data);
        push_server(&mut blocks, data, percentiles)?;
    }
    push_surroundings(&mut blocks, data);
    Ok(Document {
        title: format!("Benchmark {}: {}", benchmark.id, benchmark.target_name),
        blocks,
    })
}

/// Tags and memo of its owner, where there are any.
fn filing(benchmark: &Benchmark) -> Vec<String> {
    let filing = &benchmark.filing;
    let tags = (!filing.tags.is_empty()).then(|| format!("Tags: {}", filing.tags.as_slice().join(", ")));
    let memo = filing.memo.as_str().lines().filter(|line| !line.is_empty());
    tags.into_iter().chain(memo.map(str::to_owned)).collect()
}

fn push_levels(blocks: &mut Vec<Block>, data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<()> {
    blocks.push(Block::Chapter("Levels".to_owned()));
    for kind in [ChartKind::Throughput, ChartKind::Latency] {
        blocks.push(Block::Picture(picture(data, kind, percentiles)?));
    }
    let rows = levels::rows(data, percentiles);
    let mut columns = heads(&[
        ("Level", false),
        ("Transactions", true),
        ("A second", true),
        ("95 % interval", true),
        ("Mean (ms)", true),
    ]);
    columns.extend(percentile_heads(percentiles));
    columns.extend(heads(&[("Max (ms)", true), ("Errors", true), ("Error rate", true)]));
    let has_rate = rows.iter().any(|row| !row.lag_mean.exact.is_empty());
    if has_rate {
        columns.extend(heads(&[("Lag (ms)", true), ("Skipped", true)]));
    }
    let has_objective = rows.iter().any(|row| row.is_met.is_some());
    if has_objective {
        columns.extend(heads(&[("Objective", false)]));
    }
    columns.extend(heads(&[("Generator", true)]));
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            Cell::from(row.label.clone()),
            Cell::from(row.operations.clone()),
            Cell::strong(row.throughput.clone()),
            Cell::from(row.throughput_interval.clone()),
            Cell::from(row.mean.clone()),
        ];
        cells.extend(row.percentiles.iter().cloned().map(Cell::from));
        cells.extend([&row.max, &row.errors, &row.error_rate].map(|figure| Cell::from(figure.clone())));
        if has_rate {
            cells.extend([&row.lag_mean, &row.skipped].map(|figure| Cell::from(figure.clone())));
        }
        if has_objective {
            let verdict = row.is_met.map(|is_met| if is_met { "met" } else { "not met" });
            cells.push(Cell::from(verdict.unwrap_or_default().to_owned()));
        }
        cells.push(Cell::from(row.generator_load.clone()));
        cells
    });
    blocks.push(Block::Table(Table {
        caption: "What each level came to".to_owned(),
        rows: cells.collect(),
        heads: columns,
    }));
    let remarks = rows
        .iter()
        .flat_map(|row| row.remarks.iter().map(|remark| format!("{}: {remark}", row.label)));
    let remarks: Vec<String> = remarks.chain(data.uncounted()).collect();
    if !remarks.is_empty() {
        blocks.push(Block::Items(remarks));
    }
    blocks.push(Block::Made(made::LEVELS));
    let shares = shares::rows(data);
    if !shares.is_empty() {
        blocks.extend(shares.into_iter().map(|level| Block::Table(of_workers(level))));
        blocks.push(Block::Made(made::SHARES));
    }
    for kind in [
        ChartKind::Cdf,
        ChartKind::ThroughputOverTime,
        ChartKind::LatencyOverTime,
        ChartKind::ErrorsOverTime,
    ] {
        if kind.has_data(data) {
            blocks.push(Block::Picture(picture(data, kind, percentiles)?));
        }
    }
    Ok(())
}

/// Where the load of a level came from.
fn of_workers(level: LevelShares) -> Table {
    let rows = level.rows.into_iter().map(|row| {
        vec![
            Cell::from(row.worker),
            Cell::from(row.status.to_owned()),
            Cell::from(row.clients),
            Cell::from(row.operations),
            Cell::from(row.part),
            Cell::from(row.generator_load),
            Cell::from(row.clock_error),
            Cell::from(row.message),
        ]
    });
    Table {
        caption: format!("Where the load came from, {}", level.level),
        heads: heads(&[
            ("Worker", false),
            ("Share", false),
            ("Clients", true),
            ("Transactions", true),
            ("Of all", true),
            ("Generator", true),
            ("Clock, at most off by (ms)", true),
            ("Why", false),
        ]),
        rows: rows.collect(),
    }
}

fn percentile_heads(percentiles: &Percentiles) -> impl Iterator<Item = Head> {
    percentiles.labels().into_iter().map(|label| Head {
        text: format!("{label} (ms)"),
        is_number: true,
    })
}

fn picture(data: &BenchmarkData, kind: ChartKind, percentiles: &Percentiles) -> anyhow::Result<Picture> {
    let wish = ChartWish {
        percentiles: percentiles.clone(),
        ..ChartWish::default()
    };
    let chart = chart::chart(data, kind, &wish)?;
    let caption = format!("{}.", kind.title());
    let alt = match &data.benchmark.headline {
        Some(headline) if kind == ChartKind::Throughput => format!("{caption} {headline}"),
        Some(_) | None => caption.clone(),
    };
    let size = chart.default_size()?;
    Ok(Picture::draw(size, caption, alt, |canvas| chart.draw(canvas))?)
}

fn push_statements(blocks: &mut Vec<Block>, data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<()> {
    blocks.push(Block::Chapter("Programs and their statements".to_owned()));
    for program in &data.benchmark.spec.mix.programs {
        blocks.push(Block::Section(format!("{} (weight {})", program.name, program.weight)));
        blocks.push(Block::Text {
            text: program.text.clone(),
            language: "sql",
        });
    }
    for level in &data.levels {
        let rows = statements::rows(data, level, percentiles)?;
        if rows.is_empty() {
            continue;
        }
        let mut columns = heads(&[
            ("Program", false),
            ("Statement", false),
            ("Runs", true),
            ("Errors", true),
            ("Mean (ms)", true),
        ]);
        columns.extend(percentile_heads(percentiles));
        columns.extend(heads(&[("Max (ms)", true), ("Share of time", true)]));
        let cells = rows.into_iter().map(|row| {
            let statement = if row.is_whole {
                "the whole transaction".to_owned()
            } else {
                row.text
            };
            let mut cells = vec![Cell::from(row.program), Cell::from(statement)];
            cells.extend([row.n, row.errors, row.mean].map(Cell::from));
            cells.extend(row.percentiles.into_iter().map(Cell::from));
            cells.extend([row.max, row.time_share].map(Cell::from));
            cells
        });
        blocks.push(Block::Table(Table {
            caption: format!("Statements with {}", level.label()),
            rows: cells.collect(),
            heads: columns,
        }));
    }
    Ok(())
}

fn push_errors(blocks: &mut Vec<Block>, data: &BenchmarkData) {
    let errors = statements::errors(data);
    if errors.is_empty() {
        return;
    }
    blocks.push(Block::Chapter("Errors".to_owned()));
    let cells = errors.into_iter().map(|error| {
        [error.level, error.sqlstate, error.n.to_string(), error.example]
            .map(Cell::from)
            .into()
    });
    blocks.push(Block::Table(Table {
        caption: "Errors by kind, with what the first of each said".to_owned(),
        heads: heads(&[
            ("Level", false),
            ("SQLSTATE", false),
            ("How many", true),
            ("Example", false),
        ]),
        rows: cells.collect(),
    }));
}

fn push_server(blocks: &mut Vec<Block>, data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<()> {
    let rows = server::rows(data);
    if rows.is_empty() {
        return Ok(());
    }
    blocks.push(Block::Chapter("What the server did".to_owned()));
    let cells = rows.into_iter().map(|row| {
        let mut cells = vec![Cell::from(row.level)];
        cells.extend(
            [
                row.hit_share,
                row.rows_read,
                row.rows_written,
                row.wal_per_s,
                row.wal_per_transaction,
                row.cpu_cores,
                row.cpu_per_transaction,
                row.temp,
                row.deadlocks,
            ]
            .map(Cell::from),
        );
        cells.push(Cell::from(row.waits));
        cells
    });
    blocks.push(Block::Table(Table {
        caption: "The server in each level; where a number is missing, it could not be seen".to_owned(),
        heads: heads(&[
            ("Level", false),
            ("Shared buffers", true),
            ("Rows read a second", true),
            ("Rows written a second", true),
            ("WAL a second", true),
            ("WAL a transaction", true),
            ("Processors", true),
            ("CPU a transaction", true),
            ("Temporary files", true),
            ("Deadlocks", true),
            ("Waiting sessions", false),
        ]),
        rows: cells.collect(),
    }));
    blocks.push(Block::Made(made::SERVER));
    for kind in [ChartKind::Waits, ChartKind::CacheHits, ChartKind::Wal, ChartKind::Cpu] {
        if kind.has_data(data) {
            blocks.push(Block::Picture(picture(data, kind, percentiles)?));
        }
    }
    Ok(())
}

fn push_surroundings(blocks: &mut Vec<Block>, data: &BenchmarkData) {
    let benchmark = &data.benchmark;
    blocks.push(Block::Chapter("Settings and surroundings".to_owned()));
    let loading = benchmark.load.as_ref().map(facts::loading).unwrap_or_default();
    let sections: [(&str, Vec<Setting>); 4] = [
        ("Benchmark", facts::facts(benchmark)),
        ("How the tables were loaded", loading),
        ("Session settings", benchmark.spec.settings.clone()),
        ("Server and machine", benchmark.environment.clone()),
    ];
    for (title, facts) in sections {
        if !facts.is_empty() {
            blocks.push(Block::Section(title.to_owned()));
            blocks.push(Block::Facts(facts));
        }
    }
}
