//! The measuring loop. It can be read aloud, and it runs in tests without a database.

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::experiment::schedule;
use crate::model::look::Look;
use crate::model::trial::Outcome;
use crate::model::trial::Trial;

/// Runs trials on the target.
pub trait Executor: Send {
    /// Puts the visit's source in force and warms the catalog caches for its queries; nothing is timed.
    /// False when it was cancelled.
    fn begin_visit(
        &mut self,
        visit: &[Trial],
        cancel: &CancellationToken,
    ) -> impl Future<Output = anyhow::Result<bool>> + Send;

    /// Runs one trial. When it returns, no statement of ours runs on the target. None when it was cancelled: it does
    /// not count. `Err` means that the target is lost.
    fn execute(
        &mut self,
        trial: &Trial,
        cancel: &CancellationToken,
    ) -> impl Future<Output = anyhow::Result<Option<Outcome>>> + Send;

    /// What else went on at the target while this visit, and short ones before it, were measured; none where that is not
    /// known, or not yet.
    fn end_visit(&mut self, visit: &[Trial], next: Next) -> impl Future<Output = anyhow::Result<Option<Look>>> + Send;

    /// What has set the target back to a cold start since this was asked last, in words, if anything has.
    fn take_restart(&mut self) -> Option<String>;
}

/// Keeps outcomes.
pub trait Journal: Send {
    /// Stores outcomes for good; when it returns they survive a crash. False when this runner was replaced: nothing
    /// was stored.
    fn record(&mut self, outcomes: &[(Trial, Outcome)]) -> impl Future<Output = anyhow::Result<bool>> + Send;

    /// Keeps what was seen of visits whose outcomes are stored. False when this runner was replaced.
    fn note(&mut self, look: &Look) -> impl Future<Output = anyhow::Result<bool>> + Send;

    /// What is recorded from now on, the trial `first_trial` first, belongs to a new segment. False when this runner was
    /// replaced.
    fn begin_segment(&mut self, first_trial: usize, reason: &str) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// What follows a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Visit,
    End,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Completed,
    /// We were asked to stop; the trial in hand did not count.
    Interrupted,
    /// Another runner holds the lease now.
    Replaced,
}

/// Runs the trials in order, each stored before the next begins.
pub async fn run(
    trials: &[Trial],
    executor: &mut impl Executor,
    journal: &mut impl Journal,
    cancel: &CancellationToken,
) -> anyhow::Result<Ended> {
    let mut batching = Batching::default();
    let mut visits = schedule::visits(trials).peekable();
    while let Some(visit) = visits.next() {
        if cancel.is_cancelled() || !executor.begin_visit(visit, cancel).await? {
            return Ok(Ended::Interrupted);
        }
        let mut unwritten: Vec<(Trial, Outcome)> = Vec::new();
        let mut unwritten_since = Instant::now();
        for trial in visit {
            if let Some(reason) = executor.take_restart() {
                let is_kept = unwritten.is_empty() || journal.record(&unwritten).await?;
                if !is_kept || !journal.begin_segment(trial.trial_idx, &reason).await? {
                    return Ok(Ended::Replaced);
                }
                unwritten.clear();
            }
            let started = Instant::now();
            let outcome = executor.execute(trial, cancel).await;
            let took = started.elapsed();
            if let Ok(Some(outcome)) = &outcome {
                unwritten.push((*trial, outcome.clone()));
            }
            let ends_here = !matches!(outcome, Ok(Some(_)));
            if !unwritten.is_empty() && (ends_here || !batching.may_wait(unwritten.len(), unwritten_since.elapsed())) {
                let started = Instant::now();
                if !journal.record(&unwritten).await? {
                    return Ok(Ended::Replaced);
                }
                batching.observe(took, started.elapsed());
                unwritten.clear();
                unwritten_since = Instant::now();
            }
            match outcome {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Ended::Interrupted),
                Err(error) => return Err(error),
            }
        }
        if !unwritten.is_empty() && !journal.record(&unwritten).await? {
            return Ok(Ended::Replaced);
        }
        let next = visits.peek().map_or(Next::End, |_| Next::Visit);
        if let Some(look) = executor.end_visit(visit, next).await?
            && !journal.note(&look).await?
        {
            return Ok(Ended::Replaced);
        }
    }
    Ok(Ended::Completed)
}

/// Whether outcomes may be written together: only when a commit takes more than a tenth of a trial, and then never
/// beyond the visit, 50 trials or 250 ms.
#[derive(Default)]
struct Batching {
    trials: Vec<Duration>,
    commits: Vec<Duration>,
    together: bool,
}

impl Batching {
    const SAMPLE: usize = 50;
    const MOST_TRIALS: usize = 50;
    const LONGEST: Duration = Duration::from_millis(250);

    fn observe(&mut self, trial: Duration, commit: Duration) {
        if self.commits.len() >= Self::SAMPLE {
            return;
        }
        self.trials.push(trial);
        self.commits.push(commit);
        if self.commits.len() == Self::SAMPLE {
            self.together = median(&mut self.commits) * 10 > median(&mut self.trials);
        }
    }

    fn may_wait(&self, n_unwritten: usize, for_so_long: Duration) -> bool {
        self.together && n_unwritten < Self::MOST_TRIALS && for_so_long < Self::LONGEST
    }
}

fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::look::tests::calm;
    use crate::model::trial::Timing;
    use crate::model::trial::TrialKind;

    /// Plays outcomes from a script and notes what it was asked to do.
    #[derive(Default)]
    struct Scripted {
        cancel_at: Option<usize>,
        lose_target_at: Option<usize>,
        /// The trial that costs the server.
        restart_at: Option<usize>,
        has_restarted: bool,
        looks_around: bool,
        ends: Vec<Next>,
        visits: Vec<usize>,
        executed: Vec<usize>,
    }

    impl Executor for Scripted {
        async fn begin_visit(&mut self, visit: &[Trial], _: &CancellationToken) -> anyhow::Result<bool> {
            self.visits.push(visit[0].source_idx);
            Ok(true)
        }

        async fn execute(&mut self, trial: &Trial, _: &CancellationToken) -> anyhow::Result<Option<Outcome>> {
            if self.cancel_at == Some(trial.trial_idx) {
                return Ok(None);
            }
            anyhow::ensure!(self.lose_target_at != Some(trial.trial_idx), "the target is gone");
            self.executed.push(trial.trial_idx);
            self.has_restarted |= self.restart_at == Some(trial.trial_idx);
            Ok(Some(Outcome::Finished(Timing {
                execution_ms: 1.0,
                planning_ms: None,
                cost: None,
                server_ms: None,
            })))
        }

        async fn end_visit(&mut self, visit: &[Trial], next: Next) -> anyhow::Result<Option<Look>> {
            self.ends.push(next);
            Ok(self.looks_around.then(|| look(visit)))
        }

        fn take_restart(&mut self) -> Option<String> {
            std::mem::take(&mut self.has_restarted).then(|| "restarted".to_owned())
        }
    }

    #[derive(Default)]
    struct Notebook {
        written: Vec<usize>,
        /// After how many trials, and why.
        segments: Vec<(usize, usize, String)>,
        /// First and last trial of each, and how many outcomes were written by then.
        looks: Vec<(i32, i32, usize)>,
        writes: usize,
        replaced_after: Option<usize>,
    }

    impl Journal for Notebook {
        async fn record(&mut self, outcomes: &[(Trial, Outcome)]) -> anyhow::Result<bool> {
            if self.replaced_after.is_some_and(|n| self.written.len() >= n) {
                return Ok(false);
            }
            self.writes += 1;
            self.written.extend(outcomes.iter().map(|(trial, _)| trial.trial_idx));
            Ok(true)
        }

        async fn note(&mut self, look: &Look) -> anyhow::Result<bool> {
            self.looks.push((look.first_trial, look.last_trial, self.written.len()));
            Ok(self.replaced_after.is_none())
        }

        async fn begin_segment(&mut self, first_trial: usize, reason: &str) -> anyhow::Result<bool> {
            self.segments.push((self.written.len(), first_trial, reason.to_owned()));
            Ok(true)
        }
    }

    /// `n_visits` visits of three queries.
    fn trials(n_visits: usize) -> Vec<Trial> {
        (0..n_visits * 3)
            .map(|trial_idx| Trial {
                trial_idx,
                kind: TrialKind::Measured,
                round: u32::try_from(trial_idx / 6).unwrap() + 1,
                source_idx: trial_idx / 3 % 2,
                query_idx: trial_idx % 3,
            })
            .collect()
    }

    #[tokio::test]
    async fn every_outcome_is_written_before_the_next_trial() {
        let (mut executor, mut journal) = (Scripted::default(), Notebook::default());
        let ended = run(&trials(4), &mut executor, &mut journal, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(ended, Ended::Completed);
        assert_eq!(executor.visits, [0, 1, 0, 1]);
        assert_eq!(journal.written, (0..12).collect::<Vec<_>>());
        assert_eq!(journal.writes, 12);
    }

    #[tokio::test]
    async fn a_cancelled_trial_does_not_count_and_the_rest_is_left_for_later() {
        let mut executor = Scripted {
            cancel_at: Some(4),
            ..Default::default()
        };
        let mut journal = Notebook::default();
        let ended = run(&trials(4), &mut executor, &mut journal, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(ended, Ended::Interrupted);
        assert_eq!(journal.written, [0, 1, 2, 3]);
    }

    #[tokio::test]
    async fn a_lost_target_loses_no_outcome_that_was_measured_before() {
        let mut executor = Scripted {
            lose_target_at: Some(5),
            ..Default::default()
        };
        let mut journal = Notebook::default();
        assert!(
            run(&trials(4), &mut executor, &mut journal, &CancellationToken::new())
                .await
                .is_err()
        );
        assert_eq!(journal.written, [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_trial_that_costs_the_server_is_the_last_of_its_segment() {
        let mut executor = Scripted {
            restart_at: Some(4),
            ..Default::default()
        };
        let mut journal = Notebook::default();
        let ended = run(&trials(4), &mut executor, &mut journal, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(ended, Ended::Completed);
        assert_eq!(journal.segments, [(5, 5, "restarted".to_owned())]);
    }

    #[tokio::test]
    async fn a_replaced_runner_stops_at_its_first_refused_write() {
        let mut executor = Scripted::default();
        let mut journal = Notebook {
            replaced_after: Some(2),
            ..Default::default()
        };
        let ended = run(&trials(4), &mut executor, &mut journal, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(ended, Ended::Replaced);
        assert_eq!(executor.executed, [0, 1, 2]);
    }

    fn look(visit: &[Trial]) -> Look {
        let place = |trial: Option<&Trial>| i32::try_from(trial.unwrap().trial_idx).unwrap();
        calm(place(visit.first()), place(visit.last()))
    }

    #[tokio::test]
    async fn what_was_seen_of_a_visit_is_kept_behind_its_outcomes_and_a_replaced_runner_keeps_none() {
        for (replaced_after, ended, looks) in [
            (None, Ended::Completed, vec![(0, 2, 3), (3, 5, 6)]),
            (Some(6), Ended::Replaced, vec![(0, 2, 3)]),
        ] {
            let mut executor = Scripted {
                looks_around: true,
                ..Default::default()
            };
            let mut journal = Notebook {
                replaced_after,
                ..Default::default()
            };
            let found = run(&trials(2), &mut executor, &mut journal, &CancellationToken::new()).await;
            assert_eq!((found.unwrap(), journal.looks), (ended, looks));
            let ends = [Next::Visit, Next::End];
            assert_eq!(executor.ends, ends[..executor.visits.len()]);
        }
    }

    #[test]
    fn outcomes_wait_for_each_other_only_when_commits_are_slow_beside_trials() {
        for (trial_ms, commit_ms, together) in [(100, 1, false), (100, 11, true), (1, 1, true)] {
            let mut batching = Batching::default();
            for _ in 0..Batching::SAMPLE {
                assert!(!batching.may_wait(1, Duration::ZERO));
                batching.observe(Duration::from_millis(trial_ms), Duration::from_millis(commit_ms));
            }
            assert_eq!(batching.may_wait(1, Duration::ZERO), together, "{trial_ms} {commit_ms}");
            assert!(!batching.may_wait(Batching::MOST_TRIALS, Duration::ZERO));
            assert!(!batching.may_wait(1, Batching::LONGEST));
        }
    }
}
