//! Levels in the words in which `pgbench -r` reports a run, for scripts that read those. The words and their order are those
//! of `printResults` in pgbench 15; what pgassay does not count, or has no like of, is left out.

use std::fmt::Write as _;

use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Pace;
use crate::report::benchmark::data::BenchmarkData;
use crate::report::benchmark::data::LevelData;
use crate::report::benchmark::levels;
use crate::report::benchmark::levels::LevelNumbers;
use crate::report::benchmark::percentiles::Percentiles;
use crate::report::benchmark::statements;
use crate::report::benchmark::statements::StatementNumbers;

pub(super) fn text(data: &BenchmarkData, percentiles: &Percentiles) -> anyhow::Result<Vec<u8>> {
    let mut text = String::new();
    for (level, numbers) in data.levels.iter().zip(levels::numbers(data, percentiles)) {
        if !text.is_empty() {
            text.push('\n');
        }
        let statements = statements::numbers(data, level, percentiles)?;
        push_level(&mut text, data, level, &numbers)?;
        push_programs(&mut text, data, &numbers, &statements)?;
    }
    Ok(text.into_bytes())
}

fn push_level(text: &mut String, data: &BenchmarkData, level: &LevelData, numbers: &LevelNumbers) -> std::fmt::Result {
    let (spec, totals) = (&data.benchmark.spec, numbers.totals);
    writeln!(
        text,
        "pgassay {}, benchmark {}, {}",
        env!("CARGO_PKG_VERSION"),
        data.benchmark.id,
        level.label()
    )?;
    let kind = match spec.mix.programs.as_slice() {
        [program] => program.name.as_str(),
        _ => "multiple scripts",
    };
    writeln!(text, "transaction type: {kind}")?;
    if let Some(generated) = spec.target.generated() {
        writeln!(text, "scaling factor: {}", generated.n_branches())?;
    }
    writeln!(text, "query mode: {}", spec.protocol.word())?;
    writeln!(text, "number of clients: {}", numbers.n_clients)?;
    writeln!(text, "maximum number of tries: {}", spec.max_tries)?;
    let duration_s = numbers.measured_ms.unwrap_or(0.0) / 1000.0;
    writeln!(text, "duration: {duration_s:.0} s")?;
    writeln!(
        text,
        "number of transactions actually processed: {}",
        totals.n_transactions
    )?;
    let n_all = totals.n_transactions + totals.n_failed + totals.n_skipped;
    let with_share = |n: u64| format!("{n} ({:.3}%)", percent(n, n_all));
    writeln!(text, "number of failed transactions: {}", with_share(totals.n_failed))?;
    if spec.max_tries > 1 {
        writeln!(text, "total number of retries: {}", totals.n_retries)?;
    }
    let is_limited = matches!(
        spec.pace,
        Pace::Rate {
            latency_limit_ms: Some(_),
            ..
        }
    );
    if is_limited {
        writeln!(text, "number of transactions skipped: {}", with_share(totals.n_skipped))?;
    }
    push_latency(text, "", numbers.mean_ms, numbers.sd_ms)?;
    if let Some((mean_ms, max_ms)) = numbers.lag_mean_ms.zip(numbers.lag_max_ms) {
        writeln!(text, "rate limit schedule lag: avg {mean_ms:.3} (max {max_ms:.3}) ms")?;
    }
    let tps = numbers.throughput.unwrap_or(0.0);
    match spec.connection {
        ConnectionMode::PerClient => {
            // All clients connect at once, so the slowest of them says how long that took.
            if let Some(connect_ms) = numbers.connect_max_ms {
                writeln!(text, "initial connection time = {connect_ms:.3} ms")?;
            }
            writeln!(text, "tps = {tps:.6} (without initial connection time)")
        }
        ConnectionMode::PerTransaction => {
            if let Some(connect_ms) = numbers.connect_mean_ms {
                writeln!(text, "average connection time = {connect_ms:.3} ms")?;
            }
            writeln!(text, "tps = {tps:.6} (including reconnection times)")
        }
    }
}

fn push_latency(text: &mut String, before: &str, mean_ms: Option<f64>, sd_ms: Option<f64>) -> std::fmt::Result {
    let (mean_ms, sd_ms) = (mean_ms.unwrap_or(0.0), sd_ms.unwrap_or(0.0));
    writeln!(text, "{before}latency average = {mean_ms:.3} ms")?;
    writeln!(text, "{before}latency stddev = {sd_ms:.3} ms")
}

fn push_programs(
    text: &mut String,
    data: &BenchmarkData,
    numbers: &LevelNumbers,
    statements: &[StatementNumbers],
) -> std::fmt::Result {
    let programs = &data.benchmark.spec.mix.programs;
    let is_alone = programs.len() == 1;
    let before = if is_alone { "" } else { " - " };
    let weights: u64 = programs.iter().map(|program| u64::from(program.weight)).sum();
    for of_program in statements.chunk_by(|a, b| a.program_idx == b.program_idx) {
        let whole = of_program.iter().find(|row| row.command_idx.is_none());
        let place = of_program.first().and_then(|row| usize::try_from(row.program_idx).ok());
        let program = place.and_then(|idx| programs.get(idx));
        if let Some((whole, program)) = whole.zip(program).filter(|_| !is_alone) {
            let share = percent(whole.n, numbers.totals.n_transactions);
            #[expect(clippy::cast_precision_loss, reason = "shown with six digits")]
            let tps = whole.n as f64 * 1000.0 / numbers.measured_ms.unwrap_or(f64::INFINITY);
            writeln!(text, "SQL script {}: {}", whole.program_idx + 1, whole.program)?;
            let targeted = percent(program.weight.into(), weights);
            writeln!(text, " - weight: {} (targets {targeted:.1}% of total)", program.weight)?;
            writeln!(
                text,
                " - {} transactions ({share:.1}% of total, tps = {tps:.6})",
                whole.n
            )?;
            let failed = percent(whole.n_failed, whole.n + whole.n_failed);
            writeln!(
                text,
                " - number of failed transactions: {} ({failed:.3}%)",
                whole.n_failed
            )?;
            push_latency(text, before, whole.mean_ms, whole.sd_ms)?;
        }
        let mut statements = of_program.iter().filter(|row| row.command_idx.is_some()).peekable();
        if statements.peek().is_some() {
            writeln!(text, "{before}statement latencies in milliseconds and failures:")?;
        }
        for row in statements {
            let first_line = row.text.lines().next().unwrap_or_default();
            let mean_ms = row.mean_ms.unwrap_or(0.0);
            writeln!(text, "   {mean_ms:11.3}  {:10}  {first_line}", row.n_failed)?;
        }
    }
    Ok(())
}

fn percent(n: u64, of: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let percent = 100.0 * n as f64 / of.max(1) as f64;
    percent
}
