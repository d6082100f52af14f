//! `kill -9` in every phase, of every process that there is in it: pgassay, the sandbox's server, the store's server.

use std::fs;

use nix::sys::signal::Signal;

use crate::faults::ground;
use crate::faults::ground::DUMP;
use crate::faults::ground::Ground;
use crate::faults::ground::N_ROWS;
use crate::faults::ground::QUERIES;
use crate::faults::http;
use crate::faults::http::Upload;
use crate::support;
use crate::support::wait_for;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Pgassay,
    Sandbox,
    Store,
}

const WARM_UP: u32 = 2;
const ITERATIONS: u32 = 3;

impl Victim {
    /// Kills it; a pgassay is started again, as by whoever watches over it.
    pub fn kill(self, ground: &mut Ground) {
        let kill = |pid| support::send(pid, Signal::SIGKILL);
        match self {
            Self::Pgassay => ground.kill_and_start(),
            Self::Sandbox => kill(support::postmaster(&ground.sandbox("1")).unwrap().0),
            Self::Store => {
                let pid = ground.store_pid();
                kill(pid);
                wait_for("another store", || (ground.store_pid() != pid).then_some(()));
            }
        }
    }

    /// What the pages give as the reason, where there was anything that did not go on by itself.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Pgassay => Some("pgassay ended without a word"),
            Self::Sandbox => Some("a PostgreSQL server was lost"),
            Self::Store => None,
        }
    }

    /// How it was interrupted, given what it was doing.
    fn interruptions(self, stages: &[&str]) -> Vec<String> {
        let reason = self.reason().into_iter();
        reason
            .flat_map(|reason| stages.iter().map(move |stage| format!("{stage}: {reason}")))
            .collect()
    }

    fn assert_page_says(self, ground: &Ground, path: &str) {
        let page = ground.page(path);
        match self.reason() {
            Some(reason) => assert!(page.contains("was interrupted") && page.contains(reason), "{page}"),
            None => assert!(!page.contains("was interrupted"), "{page}"),
        }
    }
}

/// A whole life of a dataset and its experiment, with a death in every phase of it.
fn nothing_is_lost_by_the_death_of(victim: Victim) {
    let mut ground = Ground::open();
    upload(&mut ground, victim);
    restore(&mut ground, victim);
    let workload = ground.upload_queries(QUERIES);
    let experiment = ground.launch("1", &workload, WARM_UP, ITERATIONS);
    prepare(&mut ground, victim);
    warm_up(&mut ground, victim);
    trials(&mut ground, victim);
    summary(&mut ground, victim, &experiment);

    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, WARM_UP, ITERATIONS);
    let stages = ["preparing statistics", "measuring", "measuring", "measuring"];
    let n_deaths = if victim == Victim::Sandbox { 3 } else { 4 };
    assert_eq!(
        ground.interruptions("experiments", &experiment),
        victim.interruptions(&stages[..n_deaths])
    );
    // The store is waited for; any other death while trials run begins a segment.
    let n_segments = if victim == Victim::Store { "1" } else { "3" };
    assert_eq!(ground.answer("select count(*) from segments"), n_segments);
    victim.assert_page_says(&ground, &format!("/results/{experiment}"));
    ground.assert_at_rest("1");
    ground.assert_files(&["1"]);

    delete(&mut ground, victim);
    ground.assert_files(&[]);
    assert!(
        ground
            .page(&format!("/results/{experiment}"))
            .contains("Times by query and source")
    );
    ground.close();
}

fn upload(ground: &mut Ground, victim: Victim) {
    let request_id = ground.request_id();
    let begin = |ground: &Ground| {
        Upload::begin(
            ground.address(),
            "/upload/dump",
            &request_id,
            "dump.sql",
            DUMP.as_bytes(),
        )
    };
    let incoming = ground.data_dir.join("uploads/incoming");
    let mut upload = begin(ground);
    wait_for("half a file", || {
        let entry = fs::read_dir(&incoming).unwrap().next()?.unwrap();
        (entry.metadata().ok()?.len() > 0).then_some(())
    });
    // No dataset, no sandbox.
    if victim != Victim::Sandbox {
        victim.kill(ground);
    }
    if victim == Victim::Pgassay {
        assert!(upload.finish().is_none());
        assert_eq!(ground::names(&incoming), Vec::<String>::new());
        assert_eq!(ground.answer("select count(*) from datasets"), "0");
        upload = begin(ground);
    }
    assert_eq!(ground::id_of(&upload.finish().unwrap()), "1");
}

fn restore(ground: &mut Ground, victim: Victim) {
    ground.wait_for_sleeper("1", "pgassay restore");
    victim.kill(ground);
    ground.wait_for_end("datasets", "1");
    assert_eq!(ground.answer("select sum(n_rows) from dataset_tables"), N_ROWS);
    assert_eq!(
        ground.interruptions("datasets", "1"),
        victim.interruptions(&["restoring"])
    );
    victim.assert_page_says(ground, "/datasets/1");
    ground.assert_at_rest("1");
    ground.assert_files(&["1"]);
}

/// Some sources are captured; the last is applied and not captured, which is held up by somebody else's lock.
fn prepare(ground: &mut Ground, victim: Victim) {
    let captured = "select count(*) from experiment_sources where snapshot is not null";
    wait_for("the first snapshot", || (ground.ask(captured)? != "0").then_some(()));
    ground.wait_for_sleeper("1", "pgassay prepare");
    // Nothing but a capture reads it.
    let lock = "begin; lock table pg_statistic_ext_data in access exclusive mode; select pg_sleep(600)";
    let mut holder = ground::session(&ground.sandbox("1"), "e_1", lock);
    let waiting = "select count(*) from pg_stat_activity where datname = 'e_1' and application_name = 'pgassay admin' \
                   and wait_event_type = 'Lock'";
    wait_for("a capture", || (ground.ask_sandbox("1", waiting)? != "0").then_some(()));
    assert_eq!(ground.answer(captured), "2");
    victim.kill(ground);
    holder.kill().unwrap();
    holder.wait().unwrap();
}

fn warm_up(ground: &mut Ground, victim: Victim) {
    ground.wait_for_trials("1", "warm_up", 2);
    victim.kill(ground);
    assert_eq!(
        ground.answer("select count(*) from trials where kind = 'measured'"),
        "0"
    );
}

fn trials(ground: &mut Ground, victim: Victim) {
    ground.wait_for_trials("1", "measured", 4);
    victim.kill(ground);
    assert_ne!(ground.status("experiments", "1").as_deref(), Some("completed"));
}

/// All trials are stored, and the summaries are held up by somebody else's lock.
fn summary(ground: &mut Ground, victim: Victim, experiment: &str) {
    ground.wait_for_trials(experiment, "measured", 5);
    let store = ground.data_dir.join("store");
    let lock = "begin; lock table summaries in access exclusive mode; select pg_sleep(600)";
    let mut holder = ground::session(&store, "postgres", lock);
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%summaries%'";
    wait_for("the summaries to be stored", || {
        (ground.ask(waiting)? != "0").then_some(())
    });
    assert_eq!(
        ground.answer("select count(*) = max(e.n_trials) from trials t join experiments e on e.id = t.experiment_id"),
        "t"
    );
    assert!(
        support::postmaster(&ground.sandbox("1")).is_none(),
        "it is not needed any more"
    );
    // It needs no sandbox any more.
    if victim != Victim::Sandbox {
        victim.kill(ground);
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// The row is gone and the dump is gone; the sandbox is going.
fn delete(ground: &mut Ground, victim: Victim) {
    let dump = ground.data_dir.join("uploads/1");
    let stream = http::send_form(ground.address(), "/datasets/1/delete", &[]);
    while dump.exists() {
        std::thread::yield_now();
    }
    // Nothing runs in a sandbox that is deleted.
    if victim != Victim::Sandbox {
        victim.kill(ground);
    }
    drop(stream);
    wait_for("the sandbox to be gone", || {
        (!ground.sandbox("1").exists()).then_some(())
    });
    assert_eq!(ground.answer("select count(*) from datasets"), "0");
    assert!(!ground.page("/datasets").contains("dump.sql"));
}

#[test]
fn pgassay_dies_in_every_phase_and_nothing_is_lost_doubled_or_left() {
    nothing_is_lost_by_the_death_of(Victim::Pgassay);
}

#[test]
fn the_sandbox_dies_in_every_phase_and_nothing_is_lost_doubled_or_left() {
    nothing_is_lost_by_the_death_of(Victim::Sandbox);
}

#[test]
fn the_store_dies_in_every_phase_and_nothing_is_lost_doubled_or_left() {
    nothing_is_lost_by_the_death_of(Victim::Store);
}
