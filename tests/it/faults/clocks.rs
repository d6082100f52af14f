//! The store's clock is the only one that leases know, and it may be set.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::faults::ground::Ground;
use crate::faults::ground::QUERIES;
use crate::faults::ground::QUICK_DUMP;
use crate::support::Cluster;
use crate::support::wait_for;

const WARM_UP: u32 = 1;
const ITERATIONS: u32 = 5;

/// Debian's package `faketime`, on any architecture.
fn library() -> Option<PathBuf> {
    let dirs = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut places = dirs.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
    places.find(|path| path.exists())
}

/// Sets the clock of a server by so many seconds from ours.
fn set_clock(cluster: &Path, offset_s: i32) {
    let file = cluster.join("clock");
    let draft = cluster.join("clock.new");
    fs::write(&draft, format!("{offset_s:+}\n")).unwrap();
    fs::rename(&draft, &file).unwrap();
}

#[test]
fn a_clock_that_is_set_an_hour_on_and_back_loses_and_doubles_nothing() {
    let Some(library) = library() else {
        println!("SKIPPED, nothing was tested: the library of Debian's package faketime is not here");
        return;
    };
    let cluster = Cluster::start_with(|dir| {
        set_clock(dir, 0);
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", dir.join("clock").display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    });
    let mut ground = Ground::on(&cluster);
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    let experiment = ground.launch(&dataset, &workload, WARM_UP, ITERATIONS);
    let began = hour(&ground);
    for (n_trials, offset_s) in [(3, 3600), (9, 0), (15, -3600)] {
        ground.wait_for_trials(&experiment, "measured", n_trials);
        set_clock(&cluster.dir, offset_s);
        let hours = f64::from(offset_s) / 3600.0;
        wait_for("the clock to be set", || {
            ((hour(&ground) - began - hours).abs() < 0.5).then_some(())
        });
        assert_ne!(ground.status("experiments", &experiment).as_deref(), Some("completed"));
    }
    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, WARM_UP, ITERATIONS);
    // The leap forward has let the lease lapse, once; the leaps back mean nothing to who renews in time.
    let interruptions = ground.interruptions("experiments", &experiment);
    assert!(interruptions.len() <= 1, "{interruptions:?}");
    assert_eq!(
        ground.answer("select count(*) from segments"),
        (interruptions.len() + 1).to_string()
    );
    ground.assert_at_rest(&dataset);
    ground.close();
}

/// The store's clock, in hours.
fn hour(ground: &Ground) -> f64 {
    let said = ground.answer("select extract(epoch from clock_timestamp()) / 3600");
    said.parse().unwrap()
}
