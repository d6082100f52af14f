//! What the programs of a benchmark and their statements took, and the errors: level by level.

use std::collections::HashMap;

use crate::model::benchmark::ProgramText;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::data::latencies;
use crate::report::benchmark::figures;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::table::Figure;
use crate::sql::pgbench;
use crate::sql::pgbench::Action;

/// One statement of a program, or a whole program, in one level.
#[derive(Clone, Debug)]
pub struct StatementNumbers {
    pub program_idx: i32,
    pub program: String,
    /// The place of the statement among the program's commands, from 0; none for the whole transaction.
    pub command_idx: Option<i32>,
    /// The statement; empty for the whole transaction.
    pub text: String,
    pub n: u64,
    pub n_failed: u64,
    pub mean_ms: Option<f64>,
    pub sd_ms: Option<f64>,
    pub percentiles_ms: Vec<Option<f64>>,
    pub max_ms: Option<f64>,
    /// Of a statement, its part of the time of all statements of the level; of a program, of all programs. 0 to 1.
    pub time_share: Option<f64>,
}

/// The numbers of a level's programs, each with its statements behind it.
pub fn numbers(
    data: &BenchmarkData,
    level: &LevelData,
    percentiles: &Percentiles,
) -> anyhow::Result<Vec<StatementNumbers>> {
    let texts = texts(data);
    let mut rows = Vec::with_capacity(level.statements.len());
    let mut totals = Vec::with_capacity(level.statements.len());
    for statement in &level.statements {
        let latencies = latencies(Some(&statement.latencies))?;
        let mean_ms = latencies.mean_ms();
        #[expect(clippy::cast_precision_loss, reason = "a share of a sum")]
        totals.push(mean_ms.unwrap_or(0.0) * latencies.len() as f64);
        let program = usize::try_from(statement.program_idx).ok();
        let program = program.and_then(|idx| data.benchmark.spec.mix.programs.get(idx));
        rows.push(StatementNumbers {
            program_idx: statement.program_idx,
            program: program.map(|program| program.name.clone()).unwrap_or_default(),
            command_idx: statement.command_idx,
            text: statement
                .command_idx
                .and_then(|command_idx| texts.get(&(statement.program_idx, command_idx)).cloned())
                .unwrap_or_default(),
            n: statement.n,
            n_failed: statement.n_failed,
            mean_ms,
            sd_ms: latencies.sd_ms(),
            percentiles_ms: percentiles
                .as_slice()
                .iter()
                .map(|percentile| latencies.percentile_ms(*percentile))
                .collect(),
            max_ms: latencies.max_ms(),
            time_share: None,
        });
    }
    let sum = |is_whole: bool| -> f64 {
        let of_kind = rows.iter().zip(&totals);
        of_kind
            .filter(|(row, _)| row.command_idx.is_none() == is_whole)
            .map(|(_, total)| total)
            .sum()
    };
    let (of_programs, of_statements) = (sum(true), sum(false));
    for (row, total) in rows.iter_mut().zip(&totals) {
        let of = if row.command_idx.is_none() {
            of_programs
        } else {
            of_statements
        };
        row.time_share = (of > 0.0).then(|| total / of);
    }
    Ok(rows)
}

/// The statements of all programs, by program and place among its commands.
fn texts(data: &BenchmarkData) -> HashMap<(i32, i32), String> {
    let programs = (0_i32..).zip(&data.benchmark.spec.mix.programs);
    let commands = programs.flat_map(|(program_idx, program)| {
        let statements = statements(program).into_iter();
        statements.map(move |(command_idx, text)| ((program_idx, command_idx), text))
    });
    commands.collect()
}

/// The statements of a program, each with its place among the commands.
fn statements(program: &ProgramText) -> Vec<(i32, String)> {
    if program.is_plain_sql {
        return vec![(0, program.text.clone())];
    }
    // What was stored has been read before.
    let commands = pgbench::parse(&program.name, &program.text).map(|program| program.commands);
    let commands = (0_i32..).zip(commands.unwrap_or_default());
    commands
        .filter_map(|(command_idx, command)| match command.action {
            Action::Sql(statement) => Some((command_idx, statement.text)),
            _ => None,
        })
        .collect()
}

/// A statement or a program as a page shows it.
#[derive(Clone, Debug)]
pub struct StatementRow {
    pub program: String,
    /// Empty for the whole transaction.
    pub text: String,
    pub is_whole: bool,
    pub n: Figure,
    pub errors: Figure,
    pub mean: Figure,
    pub sd: Figure,
    pub percentiles: Vec<Figure>,
    pub max: Figure,
    pub time_share: Figure,
}

impl From<&StatementNumbers> for StatementRow {
    fn from(numbers: &StatementNumbers) -> Self {
        Self {
            program: numbers.program.clone(),
            text: numbers.text.clone(),
            is_whole: numbers.command_idx.is_none(),
            n: figures::count(numbers.n),
            errors: figures::count(numbers.n_failed),
            mean: figures::time(numbers.mean_ms),
            sd: figures::time(numbers.sd_ms),
            percentiles: numbers.percentiles_ms.iter().map(|ms| figures::time(*ms)).collect(),
            max: figures::time(numbers.max_ms),
            time_share: figures::share(numbers.time_share),
        }
    }
}

/// A level's programs and statements, as pages show them.
pub fn rows(data: &BenchmarkData, level: &LevelData, percentiles: &Percentiles) -> anyhow::Result<Vec<StatementRow>> {
    let numbers = numbers(data, level, percentiles)?;
    Ok(numbers.iter().map(StatementRow::from).collect())
}

/// One kind of error in one level.
#[derive(Clone, Debug)]
pub struct ErrorRow {
    pub level: String,
    /// Five letters, or a word of ours where the server said nothing.
    pub sqlstate: String,
    pub n: u64,
    /// What the first of them said.
    pub example: String,
}

/// Every kind of error of every level.
pub fn errors(data: &BenchmarkData) -> Vec<ErrorRow> {
    let of_level = |level: &LevelData| {
        let label = level.label();
        let errors = level.record.notes.errors.clone().into_iter();
        errors.map(move |error| ErrorRow {
            level: label.clone(),
            sqlstate: error.sqlstate,
            n: error.n,
            example: error.example,
        })
    };
    data.levels.iter().flat_map(of_level).collect()
}
