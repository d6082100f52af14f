//! A store that is away for a while: stopped, or beyond a network that swallows everything. Pages say so soon, and when it
//! is back everything goes on as if nothing had been.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::faults::black_hole::BlackHole;
use crate::faults::ground::EndsWith;
use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::ground::names;
use crate::faults::http;
use crate::faults::http::Answer;
use crate::faults::http::Upload;
use crate::faults::restarts::ITERATIONS;
use crate::faults::restarts::WARM_UP;
use crate::faults::restarts::in_the_middle;
use crate::support::Cluster;
use crate::support::wait_for;

/// Half as long as a lease holds.
const AWAY: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Five seconds are promised to who has to wait. This is for machines that have other things to do.
const SAID_WITHIN: Duration = Duration::from_secs(20);

/// Two seconds are promised; as above.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// Pages that read the store, each in another way.
const PAGES: [&str; 6] = ["/", "/datasets", "/results", "/workloads", "/experiment", "/benchmarks"];

/// Who asks and asks, and what they are told.
fn look(ground: &Ground, path: &str) -> Answer {
    let asked = Instant::now();
    let answer = http::get(ground.address(), path).expect("an answer");
    assert!(asked.elapsed() < SAID_WITHIN, "{path}: {:?}", asked.elapsed());
    assert!(matches!(answer.status, 200 | 503), "{path}: {answer:?}");
    answer
}

/// Takes the store away for [`AWAY`] while all pages are looked at, and then brings it back.
fn while_away(ground: &Ground, take_away: impl FnOnce(), bring_back: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = EndsWith(&is_over);
        // Some of them are in the middle of it when it goes.
        let lookers = PAGES.map(|path| {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut n_refused = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let answer = look(ground, path);
                    std::thread::sleep(LOOK_EVERY);
                    if answer.status == 503 {
                        n_refused += 1;
                        assert!(answer.head.contains("retry-after: 5"), "{answer:?}");
                        assert!(
                            answer.body.contains("The store does not answer just now."),
                            "{answer:?}"
                        );
                    }
                }
                n_refused
            })
        });
        for path in PAGES {
            assert_eq!(look(ground, path).status, 200, "{path}");
        }
        take_away();
        let since = Instant::now();
        let incoming = ground.data_dir.join("uploads/incoming");
        let upload = Upload::begin(
            ground.address(),
            "/upload/dump",
            "away",
            "away.sql",
            QUICK_DUMP.as_bytes(),
        );
        let refused = upload.finish().unwrap();
        assert_eq!(refused.status, 503, "{refused:?}");
        wait_for("its file to go", || names(&incoming).is_empty().then_some(()));
        assert_eq!(look(ground, "/healthz").status, 200, "it lives");
        assert_eq!(look(ground, "/readyz").status, 503, "and cannot work");
        std::thread::sleep(AWAY.saturating_sub(since.elapsed()));
        bring_back();
        let back = Instant::now();
        wait_for("all pages", || {
            let all = PAGES.iter().all(|path| look(ground, path).status == 200);
            all.then_some(())
        });
        assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());
        drop(end);
        for looker in lookers {
            assert!(looker.join().unwrap() > 0, "each page was asked for in between");
        }
    });
    assert_eq!(look(ground, "/readyz").status, 200);
}

/// Nothing of what was asked for is lost, and nothing is there twice.
fn assert_nothing_is_lost(mut ground: Ground, experiment: &str) {
    ground.wait_for_end("experiments", experiment);
    ground.assert_complete(experiment, WARM_UP, ITERATIONS);
    assert_eq!(
        ground.answer("select count(*) from datasets"),
        "1",
        "the refused upload"
    );
    ground.assert_files(&["1"]);
    assert!(fs::exists(ground.data_dir.join("uploads/1")).unwrap());
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    ground.close();
}

#[test]
fn a_store_that_is_stopped_for_ten_seconds_is_waited_for_and_pages_say_so() {
    let mut cluster = Cluster::start();
    let mut ground = Ground::on(&cluster);
    let experiment = in_the_middle(&mut ground);
    let cluster = std::cell::RefCell::new(&mut cluster);
    while_away(
        &ground,
        || cluster.borrow_mut().stop(),
        || cluster.borrow_mut().start_again(),
    );
    assert_nothing_is_lost(ground, &experiment);
}

#[test]
fn a_store_beyond_a_network_that_swallows_everything_is_given_up_and_found_again() {
    let cluster = Cluster::with_passwords();
    let network = BlackHole::before(cluster.address());
    let mut ground = Ground::on_url(&cluster, &Cluster::url_through(network.port));
    let experiment = in_the_middle(&mut ground);
    while_away(&ground, || network.swallow(), || network.pass());
    assert_nothing_is_lost(ground, &experiment);
}
