//! Processes that die in the middle of trials: nothing is lost, nothing is done twice, nothing is left running.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::scratch;
use crate::support;
use crate::support::SOURCES;
use crate::support::ask_store;
use crate::support::wait_for;

/// Slow enough to be killed in the middle, quick enough to wait for.
const QUERIES: &str = "-- name: slow\nselect pg_sleep(0.05);\n-- name: joins\nselect count(*) from orders join customer \
                       using (customer_id);\n-- name: writes\ndelete from payment where amount < 10;\n";
/// Three queries under three sources, ten rounds and one to warm up.
const N_TRIALS: &str = "99";

struct Ground {
    data_dir: PathBuf,
    run: Child,
}

impl Ground {
    /// A run of which some trials are stored and many are not.
    fn in_the_middle() -> Self {
        let dir = scratch::dir();
        let queries = dir.join("queries.sql");
        fs::write(&queries, QUERIES).unwrap();
        let data_dir = dir.join("data");
        let mut run = support::run(&data_dir, &support::sample("dump.sql"), &queries, &SOURCES);
        run.args(["--iterations", "10", "--seed", "3"]);
        let run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ground = Self { data_dir, run };
        wait_for("some trials", || {
            let n_trials: u32 = ground.ask("select count(*) from trials")?.parse().ok()?;
            (n_trials >= 20).then_some(())
        });
        assert_eq!(ground.status(), Some("running".to_owned()));
        ground
    }

    fn ask(&self, sql: &str) -> Option<String> {
        ask_store(&self.data_dir, sql)
    }

    /// Of the experiment's job.
    fn status(&self) -> Option<String> {
        self.ask("select status from jobs where kind = 'experiment'")
    }

    fn wait_for_the_end(&self) {
        wait_for("the end of the experiment", || {
            let status = self.status()?;
            assert!(status != "failed" && status != "cancelled", "{status}");
            (status == "completed").then_some(())
        });
    }

    /// Exactly the planned trials, each once, all of them good, in so many segments.
    fn assert_complete(&self, n_segments: &str) {
        let answers = |sql: &str| self.ask(sql).unwrap();
        assert_eq!(answers("select n_trials from experiments"), N_TRIALS);
        assert_eq!(answers("select count(*) from trials"), N_TRIALS);
        assert_eq!(
            answers("select count(distinct (kind, round, source_idx, query_idx)) from trials"),
            N_TRIALS
        );
        assert_eq!(
            answers("select string_agg(distinct outcome || ' ' || coalesce(message, ''), ';') from trials").trim(),
            "finished"
        );
        assert_eq!(answers("select count(*) from segments"), n_segments);
        assert_eq!(
            answers(
                "select count(*) from segments where segment_no > 1 and reason not like 'resumed after % of 99 trials%'"
            ),
            "0"
        );
        assert_eq!(answers("select count(*) from summaries where n = 10"), "9");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Only where a test has failed is there anything left to kill.
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

/// Serves a data directory until it is told to stop, and insists that it stops in order.
struct Served(Child);

impl Served {
    fn start(data_dir: &Path) -> Self {
        let mut serve = support::pgassay(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        let mut child = serve.arg(data_dir).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        // Read to the end, so that the pipe never fills.
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        Self(child)
    }

    fn stop(mut self) {
        support::send(self.0.id(), Signal::SIGTERM);
        let status = wait_for("the server to stop", || self.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Only where a test has failed is there anything left to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn assert_nothing_runs(data_dir: &Path) {
    assert_eq!(support::processes_of(data_dir), Vec::<String>::new());
}

#[test]
fn a_killed_process_is_resumed_by_the_next_to_exactly_the_planned_trials() {
    let mut ground = Ground::in_the_middle();
    ground.run.kill().unwrap();
    ground.run.wait().unwrap();
    let served = Served::start(&ground.data_dir);
    ground.wait_for_the_end();
    ground.assert_complete("2");
    served.stop();
    assert_nothing_runs(&ground.data_dir);
}

/// Kills the server in this place of the data directory; the run has to end well all the same, in so many segments.
fn the_run_survives_the_death_of(server: &str, n_segments: &str) {
    let mut ground = Ground::in_the_middle();
    let (pid, _) = support::postmaster(&ground.data_dir.join(server)).unwrap();
    support::send(pid, Signal::SIGKILL);
    let status = wait_for("the run to end", || ground.run.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert_nothing_runs(&ground.data_dir);
    let served = Served::start(&ground.data_dir);
    wait_for("the store", || ground.status());
    ground.assert_complete(n_segments);
    served.stop();
}

#[test]
fn a_killed_sandbox_is_started_again_and_the_run_goes_on_to_its_end() {
    the_run_survives_the_death_of("sandboxes/1", "2");
}

#[test]
fn a_killed_store_is_started_again_and_the_run_goes_on_to_its_end() {
    // The sandbox never stopped, and what was measured meanwhile waited: it is still the first segment.
    the_run_survives_the_death_of("store", "1");
}

#[test]
fn a_process_that_is_told_to_stop_leaves_its_experiment_to_the_next() {
    let mut ground = Ground::in_the_middle();
    support::send(ground.run.id(), Signal::SIGTERM);
    let status = wait_for("the run to stop", || ground.run.try_wait().unwrap());
    assert_eq!(status.code(), Some(1), "it did not finish");
    assert_nothing_runs(&ground.data_dir);
    let served = Served::start(&ground.data_dir);
    ground.wait_for_the_end();
    ground.assert_complete("2");
    assert_eq!(
        ground
            .ask("select interruptions from jobs where kind = 'experiment'")
            .unwrap(),
        "0"
    );
    served.stop();
    assert_nothing_runs(&ground.data_dir);
}
