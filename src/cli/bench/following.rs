//! Follows a benchmark: a line for every second that was measured.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgConnection;

use crate::app::house::House;
use crate::cli::working::LOOK_EVERY;
use crate::cli::working::MAX_FAILED_LOOKS;
use crate::cli::working::ProgressLine;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::Generators;
use crate::model::benchmark::LevelRecord;
use crate::model::benchmark::LevelStatus;
use crate::model::benchmark::SecondRecord;
use crate::model::ids::BenchmarkId;
use crate::model::text::for_terminal;
use crate::model::units::counted;
use crate::model::units::ms_in_words;
use crate::model::units::rate_in_words;
use crate::model::user::Viewer;
use crate::report::benchmark::data;
use crate::store;
use crate::store::levels::AttemptKey;

/// There is no more to tell than a line a second, and looking takes time from what is measured.
const LOOK_WHILE_MEASURING: Duration = Duration::from_secs(1);

/// Up to which second everything was told: level, attempt, second.
type Told = (i32, i32, i32);

/// Returns when the benchmark is over.
pub(super) async fn follow(house: &House, id: BenchmarkId, is_quiet: bool) -> anyhow::Result<()> {
    let mut progress = ProgressLine::new();
    let mut told: Told = (0, 0, i32::MIN);
    let mut n_failed_looks = 0;
    loop {
        match look(house, id, &mut told, &mut progress, is_quiet).await {
            Ok(Seen::Over) => return Ok(()),
            Ok(Seen::Measuring) => tokio::time::sleep(LOOK_WHILE_MEASURING).await,
            Ok(Seen::Otherwise) => tokio::time::sleep(LOOK_EVERY).await,
            // A store that has died is started again.
            Err(_) if n_failed_looks < MAX_FAILED_LOOKS => {
                n_failed_looks += 1;
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        n_failed_looks = 0;
    }
}

/// What a benchmark was doing.
enum Seen {
    Over,
    Measuring,
    /// It waits, loads or prepares.
    Otherwise,
}

async fn look(
    house: &House,
    id: BenchmarkId,
    told: &mut Told,
    progress: &mut ProgressLine,
    is_quiet: bool,
) -> anyhow::Result<Seen> {
    let mut conn = house.pool.acquire().await?;
    let benchmark = store::benchmarks::get(&mut conn, house.viewer, id).await?;
    let benchmark = benchmark.context("the benchmark is gone")?;
    let attempts = store::levels::list(&mut conn, house.viewer, id).await?;
    let is_measuring = attempts.iter().any(|attempt| attempt.status == LevelStatus::Running);
    let lines = if is_quiet {
        Vec::new()
    } else {
        news(&mut conn, house.viewer, &benchmark, &attempts, told).await?
    };
    drop(conn);
    let job = &benchmark.job;
    if job.status.is_settled() || is_measuring || !lines.is_empty() {
        progress.clear();
    }
    for line in lines {
        eprintln!("{}", for_terminal(&line));
    }
    if job.status.is_settled() {
        return Ok(Seen::Over);
    }
    if is_measuring {
        return Ok(Seen::Measuring);
    }
    let doing = format!("{} {}", job.stage, job.progress.detail);
    progress.show(&doing, job.progress.done, job.progress.total);
    Ok(Seen::Otherwise)
}

/// The lines for all seconds that were not told yet.
async fn news(
    conn: &mut PgConnection,
    viewer: Viewer,
    benchmark: &Benchmark,
    attempts: &[LevelRecord],
    told: &mut Told,
) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let is_shared = benchmark.spec.generators == Generators::All;
    let idx = |second: &SecondRecord| second.second_idx;
    for attempt in attempts {
        let place = (attempt.level.level_idx, attempt.attempt);
        if place < (told.0, told.1) {
            continue;
        }
        let after_idx = if place == (told.0, told.1) { told.2 } else { i32::MIN };
        let key = AttemptKey {
            benchmark_id: benchmark.id,
            level_idx: place.0,
            attempt: place.1,
        };
        // With those before, by which it is told how many workers there are.
        let from_idx = after_idx.saturating_sub(data::SECONDS_TOLD_BY);
        let seconds = store::levels::list_seconds_after(conn, viewer, key, from_idx).await?;
        *told = (place.0, place.1, after_idx);
        let seconds = match attempt.status {
            // By the first alone it cannot be told how many workers there are.
            LevelStatus::Running if is_shared && seconds.first().map(idx) == seconds.last().map(idx) => Vec::new(),
            LevelStatus::Running => data::sent_by_all(seconds),
            _ => seconds,
        };
        let merged = data::merge_shares(seconds)?;
        for second in merged.into_iter().filter(|second| second.second_idx > after_idx) {
            told.2 = second.second_idx;
            lines.push(line(benchmark, attempt, &second)?);
        }
    }
    Ok(lines)
}

/// `level 1 of 3, 20 clients, second 4: 1 234 a second, mean 0.81 ms, p95 1.20 ms, 0 errors`
fn line(benchmark: &Benchmark, attempt: &LevelRecord, second: &SecondRecord) -> anyhow::Result<String> {
    let latencies = data::latencies(Some(&second.latencies))?;
    let source = benchmark.spec.source_label(attempt.level.source_idx);
    let second_of = match second.second_idx {
        measured @ 0.. => format!("second {}", measured + 1),
        _ => "warm-up".to_owned(),
    };
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let throughput = second.totals.n_transactions as f64 * 1000.0 / second.span_ms.max(1.0);
    let mut parts = vec![
        format!(
            "level {} of {}",
            attempt.level.level_idx + 1,
            benchmark.spec.levels().len()
        ),
        data::label(attempt.level.n_clients, source),
        format!("{second_of}: {} a second", rate_in_words(throughput)),
    ];
    let times = [("mean", latencies.mean_ms()), ("p95", latencies.percentile_ms(95.0))];
    parts.extend(
        times
            .into_iter()
            .filter_map(|(name, ms)| Some(format!("{name} {}", ms_in_words(ms?)))),
    );
    parts.push(counted(second.totals.n_failed, "error", "errors"));
    if second.totals.n_skipped > 0 {
        parts.push(format!("{} skipped", second.totals.n_skipped));
    }
    Ok(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::benchmark::Level;
    use crate::testing::benchmarks::form;
    use crate::testing::world::World;

    #[tokio::test]
    async fn a_second_is_told_when_all_workers_have_sent_it() {
        let world = World::new().await;
        let id = world.benchmark(&form("r")).await;
        let lease = world.claim("a").await.unwrap().lease;
        let level = Level {
            level_idx: 0,
            n_clients: 2,
            source_idx: None,
        };
        let key = world.begin_level(&lease, id, level).await;
        let mut told: Told = (0, 0, i32::MIN);
        let mut expected_of = [Vec::new(), vec![0, 1], Vec::new(), vec![2]].into_iter();
        for sent in [vec![(0, 0)], vec![(1, 0), (0, 1), (1, 1)], vec![(0, 2)], vec![(1, 2)]] {
            for (share_idx, second_idx) in sent {
                world.share_of_second(&lease, key, share_idx, second_idx, 100).await;
            }
            let mut conn = world.conn().await;
            let found = store::benchmarks::get(&mut conn, world.viewer, id).await.unwrap();
            let mut benchmark = found.unwrap();
            benchmark.spec.generators = Generators::All;
            let attempts = store::levels::list(&mut conn, world.viewer, id).await.unwrap();
            let lines = news(&mut conn, world.viewer, &benchmark, &attempts, &mut told)
                .await
                .unwrap();
            let expected = expected_of.next().unwrap();
            assert_eq!(lines.len(), expected.len(), "{lines:?}");
            for (line, second_idx) in lines.iter().zip(expected) {
                let beginning = format!("second {}: 200 a second", second_idx + 1);
                assert!(line.contains(&beginning), "{line}");
            }
        }
    }
}
