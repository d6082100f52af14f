//! The chapters of a report that hold its numbers: what differs from the baseline, the times, and what measuring costs.

use crate::report::chart::Scale;
use crate::report::charts;
use crate::report::charts::Metric;
use crate::report::compared;
use crate::report::data::ReportData;
use crate::report::document::Block;
use crate::report::document::Cell;
use crate::report::document::Head;
use crate::report::document::Picture;
use crate::report::document::Table;
use crate::report::made;
use crate::report::observer;
use crate::report::observer::Explained;
use crate::report::sources;
use crate::report::table::QueryRows;

pub(super) fn push_comparisons(blocks: &mut Vec<Block>, data: &ReportData, table: &[QueryRows]) {
    if data.family.is_empty() {
        return;
    }
    let base = data.source_label(data.base_idx);
    blocks.push(Block::Chapter(format!("What differs from {base}")));
    let about_clones = sources::about_clones(data);
    if !about_clones.is_empty() {
        blocks.push(Block::Paragraph(about_clones));
    }
    blocks.push(Block::Table(sources_table(data, base)));
    blocks.push(Block::Made(made::SOURCES));
    let rows = table.iter().flat_map(|query| &query.rows).zip(labels(table));
    let cells = rows.filter_map(|(row, label)| {
        let compared = row.compared.as_ref()?;
        let verdict = Cell {
            is_strong: compared.verdict.is_difference(),
            ..Cell::from(compared.verdict.word().to_owned())
        };
        Some(vec![
            Cell::from(label.to_owned()),
            Cell::of_source(row.source.clone(), row.source_idx),
            verdict,
            Cell::from(compared.ratio.clone()),
            Cell::from(compared.interval.clone()),
            Cell::from(compared.p.clone()),
            Cell::from(compared.detectable.clone()),
            Cell::from(compared.n_rounds.clone()),
            Cell::from(row.letter.clone()),
        ])
    });
    blocks.push(Block::Table(Table {
        caption: format!("Execution times beside {base}; a ratio below 1 is faster"),
        heads: heads(&[
            ("Query", false),
            ("Source", false),
            ("Verdict", false),
            ("Ratio", true),
            ("95 % interval", true),
            ("p", true),
            ("Would have shown", true),
            ("Rounds", true),
            ("Plan", false),
        ]),
        rows: cells.collect(),
    }));
    blocks.push(Block::Made(made::COMPARISONS));
}

fn sources_table(data: &ReportData, base: &str) -> Table {
    let n_common = sources::n_common(data);
    let totals_of = if n_common == data.queries.len() {
        String::new()
    } else {
        format!(" Totals are of the {n_common} queries that have a median under every source.")
    };
    let rows = sources::rows(data).into_iter().map(|row| {
        let ratio = if row.apart.is_empty() {
            Cell::strong(row.ratio)
        } else {
            Cell::from(row.apart)
        };
        vec![
            Cell::of_source(row.source, row.source_idx),
            ratio,
            Cell::from(row.interval),
            Cell::from(row.score),
            Cell::from(row.total),
            Cell::from(row.planning),
            Cell::from(row.preparing),
            Cell::from(row.statistics),
        ]
    });
    Table {
        caption: format!("Each source over the whole workload, beside {base}; a ratio below 1 is faster.{totals_of}"),
        heads: heads(&[
            ("Source", false),
            ("All queries", true),
            ("95 % interval", true),
            ("Won / lost / undecided", true),
            ("Total time (ms)", true),
            ("Planning (ms)", true),
            ("Preparing (ms)", true),
            ("Statistics", true),
        ]),
        rows: rows.collect(),
    }
}

pub(super) fn push_times(blocks: &mut Vec<Block>, data: &ReportData, table: &[QueryRows]) -> anyhow::Result<()> {
    blocks.push(Block::Chapter("Times by query and source".to_owned()));
    blocks.push(Block::Picture(medians(data)?));
    let rows = table.iter().flat_map(|query| &query.rows).zip(labels(table));
    let cells = rows.map(|(row, label)| {
        vec![
            Cell::from(label.to_owned()),
            Cell::of_source(row.source.clone(), row.source_idx),
            Cell::from(row.letter.clone()),
            Cell::strong(row.median.clone()),
            Cell::from(row.interval.clone()),
            Cell::from(row.mean.clone()),
            Cell::from(row.stddev.clone()),
            Cell::from(row.min.clone()),
            Cell::from(row.p95.clone()),
            Cell::from(row.n.clone()),
            Cell::from(row.noise.clone()),
            Cell::from(row.outliers.clone()),
            Cell::from(row.planning.clone()),
            Cell::from(row.cost.clone()),
            Cell::from(row.trouble.clone()),
        ]
    });
    blocks.push(Block::Table(Table {
        caption: "Execution times".to_owned(),
        heads: heads(&[
            ("Query", false),
            ("Source", false),
            ("Plan", false),
            ("Median (ms)", true),
            ("95 % interval", true),
            ("Mean (ms)", true),
            ("Std. dev. (ms)", true),
            ("Min (ms)", true),
            ("p95 (ms)", true),
            ("n", true),
            ("Noise", false),
            ("Outliers", true),
            ("Planning (ms)", true),
            ("Cost", true),
            ("Timeouts, errors", false),
        ]),
        rows: cells.collect(),
    }));
    blocks.push(Block::Made(made::TIMES));
    Ok(())
}

fn medians(data: &ReportData) -> anyhow::Result<Picture> {
    let scale = if charts::wants_log(data, Metric::Median) {
        Scale::Log
    } else {
        Scale::Linear
    };
    let chart = charts::bars(data, Metric::Median, scale);
    let overall: Vec<String> = data
        .overall
        .iter()
        .map(|(source_idx, overall)| {
            let ratio = compared::bounded(overall.ratio, sources::bound(data, *source_idx)).shown;
            format!("{ratio} under {}", data.source_label(*source_idx))
        })
        .collect();
    let caption = format!(
        "Median execution time of each query under each source{}. Lines are standard deviations.",
        if scale == Scale::Log {
            ", on a logarithmic scale"
        } else {
            ""
        }
    );
    let alt = if overall.is_empty() {
        "Median execution times by query and source.".to_owned()
    } else {
        format!(
            "Median execution times by query and source. Over all queries, beside {}: {}.",
            data.source_label(data.base_idx),
            overall.join(", ")
        )
    };
    let size = chart.default_size()?;
    Ok(Picture::draw(size, caption, alt, |canvas| chart.draw(canvas))?)
}

pub(super) fn push_observer(blocks: &mut Vec<Block>, data: &ReportData) {
    if !data.experiment.spec.has_observer {
        return;
    }
    blocks.push(Block::Chapter("What measuring costs".to_owned()));
    blocks.extend(observer::finding(data).map(Block::Paragraph));
    blocks.push(Block::Paragraph(observer::method(data)));
    let explained = |way: Explained| [way.tax, way.interval, way.client, way.server].map(Cell::from);
    let rows = observer::rows(data).into_iter().map(|row| {
        let mut cells = vec![Cell::from(row.query), Cell::from(row.plain)];
        cells.extend(explained(row.off));
        cells.extend(explained(row.on));
        cells.push(Cell::from(row.n_rounds));
        cells
    });
    blocks.push(Block::Table(Table {
        caption: "Each query plain and by EXPLAIN ANALYZE; a tax is the time over that of the plain query".to_owned(),
        heads: heads(&[
            ("Query", false),
            ("Plain (ms)", true),
            ("Tax of TIMING OFF", true),
            ("95 % interval", true),
            ("OFF (ms)", true),
            ("OFF, server (ms)", true),
            ("Tax of TIMING ON", true),
            ("95 % interval", true),
            ("ON (ms)", true),
            ("ON, server (ms)", true),
            ("Rounds", true),
        ]),
        rows: rows.collect(),
    }));
    blocks.extend(observer::left_out(data).map(Block::Paragraph));
    blocks.push(Block::Made(made::OBSERVER));
}

/// The label of the query of every row.
fn labels(table: &[QueryRows]) -> impl Iterator<Item = &str> {
    table
        .iter()
        .flat_map(|query| query.rows.iter().map(|_| query.label.as_str()))
}

pub(in crate::report) fn heads(heads: &[(&str, bool)]) -> Vec<Head> {
    let head = |(text, is_number): &(&str, bool)| Head {
        text: (*text).to_owned(),
        is_number: *is_number,
    };
    heads.iter().map(head).collect()
}
