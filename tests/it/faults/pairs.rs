//! Two of it on one store: on one data directory, or each on its own.

use nix::sys::signal::Signal;

use crate::faults::ground::Ground;
use crate::faults::ground::QUERIES;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::ground::Serve;
use crate::faults::http;
use crate::scratch;
use crate::support;
use crate::support::Cluster;
use crate::support::wait_for;

const WARM_UP: u32 = 0;
const ITERATIONS: u32 = 1;

/// Waits until every experiment is completed, and looks all the while that never two jobs run at once.
fn wait_for_all_in_turn(ground: &Ground, experiments: &[String]) {
    let running = "select count(*) <= 1 from jobs where status = 'running'";
    for experiment in experiments {
        wait_for("the next experiment", || {
            assert_ne!(ground.ask(running)?, "f");
            let status = ground.status("experiments", experiment)?;
            assert_ne!(status, "failed", "{}", ground.message("experiments", experiment));
            (status == "completed").then_some(())
        });
    }
    for experiment in experiments {
        ground.assert_complete(experiment, WARM_UP, ITERATIONS);
    }
    // One after the other, and each in one go.
    let overlaps = "select count(*) from jobs a join jobs b on a.id < b.id where a.kind = 'experiment' and b.kind = \
                    'experiment' and tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)";
    assert_eq!(ground.answer(overlaps), "0");
    assert_eq!(ground.answer("select count(*) from interruptions"), "0");
    assert_eq!(
        ground.answer("select count(*) from segments"),
        experiments.len().to_string()
    );
}

#[test]
fn two_on_one_data_directory_share_the_work_and_do_none_of_it_twice() {
    let mut ground = Ground::open();
    let guest = Serve::start(&ground.data_dir, &[]);
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    let experiments: Vec<String> = (0..4)
        .map(|_| ground.launch(&dataset, &workload, WARM_UP, ITERATIONS))
        .collect();
    wait_for_all_in_turn(&ground, &experiments);
    ground.assert_at_rest(&dataset);
    guest.stop();
    ground.close();
}

#[test]
fn two_data_directories_on_one_store_measure_in_turn() {
    let cluster = Cluster::start();
    let mut grounds = [Ground::on(&cluster), Ground::on(&cluster)];
    let mut experiments = Vec::new();
    let mut wishes = Vec::new();
    for ground in &mut grounds {
        let dataset = ground.upload_dump(QUICK_DUMP);
        ground.wait_for_end("datasets", &dataset);
        wishes.push((dataset, ground.upload_queries(QUERIES)));
    }
    for _ in 0..2 {
        for (ground, (dataset, workload)) in grounds.iter_mut().zip(&wishes) {
            experiments.push(ground.launch(dataset, workload, WARM_UP, ITERATIONS));
        }
    }
    wait_for_all_in_turn(&grounds[0], &experiments);
    for (ground, (dataset, _)) in grounds.into_iter().zip(&wishes) {
        ground.assert_at_rest(dataset);
        ground.assert_files(&[dataset]);
        ground.close();
    }
}

/// An experiment that the guest runs, and who the guest is.
fn run_by_the_guest(ground: &mut Ground) -> (Serve, String) {
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    let guest = Serve::start(&ground.data_dir, &[]);
    // The master takes nothing while it stands still; its store goes on.
    support::send(ground.serve().pid(), Signal::SIGSTOP);
    let request_id = ground.request_id();
    let experiment = ground.launch_through(&guest.address, &request_id, &dataset, &workload, 1, 4);
    let owner = format!(
        "select lease_owner like '%:{}' from jobs where status = 'running'",
        guest.pid()
    );
    wait_for("the guest to run it", || ground.ask(&owner).filter(|said| said == "t"));
    support::send(ground.serve().pid(), Signal::SIGCONT);
    ground.wait_for_trials(&experiment, "measured", 3);
    (guest, experiment)
}

#[test]
fn what_a_killed_guest_ran_is_taken_over_by_its_master() {
    let mut ground = Ground::open();
    let (guest, experiment) = run_by_the_guest(&mut ground);
    guest.kill();
    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, 1, 4);
    assert_eq!(
        ground.interruptions("experiments", &experiment),
        ["measuring: pgassay was silent for too long"]
    );
    assert_eq!(ground.answer("select count(*) from segments"), "2");
    ground.assert_at_rest("1");
    ground.close();
}

#[test]
fn a_guest_that_outlives_its_master_keeps_what_it_runs() {
    let mut ground = Ground::open();
    let (guest, experiment) = run_by_the_guest(&mut ground);
    ground.kill_and_start();
    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, 1, 4);
    assert_eq!(ground.interruptions("experiments", &experiment), Vec::<String>::new());
    assert_eq!(ground.answer("select count(*) from segments"), "1");
    ground.assert_at_rest("1");
    guest.stop();
    ground.close();
}

#[test]
fn who_was_paused_too_long_writes_nothing_and_whoever_takes_over_waits_for_its_server() {
    let mut ground = Ground::open();
    let (guest, experiment) = run_by_the_guest(&mut ground);
    support::send(guest.pid(), Signal::SIGSTOP);
    let waits = "select count(*) from jobs where stage = 'waiting for another pgassay to leave its server'";
    wait_for("the master to wait", || ground.ask(waits).filter(|said| said == "1"));
    support::send(guest.pid(), Signal::SIGCONT);
    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, 1, 4);
    assert_eq!(
        ground.interruptions("experiments", &experiment),
        ["measuring: pgassay was silent for too long"]
    );
    assert_eq!(ground.answer("select count(*) from segments"), "2");
    assert_eq!(
        ground.answer(
            "select bool_and(t.epoch = s.epoch) from trials t join segments s using (experiment_id, segment_no)"
        ),
        "t"
    );
    ground.assert_at_rest("1");
    guest.stop();
    ground.close();
}

#[test]
fn ten_that_begin_at_once_on_an_empty_store_all_serve_it() {
    let cluster = Cluster::start();
    let environment = [("DATABASE_URL".to_owned(), cluster.socket_url())];
    let all: Vec<Serve> = std::thread::scope(|scope| {
        let begin = || Serve::start(&scratch::dir().join("data"), &environment);
        let beginning: Vec<_> = (0..10).map(|_| scope.spawn(begin)).collect();
        beginning.into_iter().map(|serve| serve.join().unwrap()).collect()
    });
    for serve in &all {
        assert_eq!(http::get(&serve.address, "/").unwrap().status, 200);
    }
    let once = "select bool_and(success) and count(*) = count(distinct version) from _sqlx_migrations";
    assert_eq!(cluster.ask(once), ["t"]);
    assert_eq!(cluster.ask("select count(*) from store_names"), ["1"]);
    assert_eq!(cluster.ask("select count(*) from workers"), ["10"]);
    all.into_iter().for_each(Serve::stop);
}
