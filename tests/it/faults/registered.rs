//! A registered server beyond a network that swallows everything in the middle of a level.

use crate::faults::benchmarks;
use crate::faults::black_hole::BlackHole;
use crate::faults::ground::Ground;
use crate::faults::http;
use crate::support::Cluster;
use crate::support::wait_for;

/// What pgassay has made on the server.
fn our_schemas(cluster: &Cluster) -> Vec<String> {
    cluster.ask("select nspname from pg_namespace where nspname like 'pgassay%'")
}

fn launch(ground: &mut Ground, duration: &str) -> String {
    let fields = [
        ("target", "server"),
        ("server", "1"),
        ("operation", "point_read"),
        ("thread_counts", "2"),
        ("test_duration", duration),
    ];
    benchmarks::launch(ground, &fields)
}

#[test]
fn a_server_that_falls_silent_under_a_level_is_given_up_and_found_again() {
    let cluster = Cluster::with_passwords();
    let network = BlackHole::before(cluster.address());
    let mut ground = Ground::open();
    // As it stands in a form.
    let address = Cluster::url_through(network.port).replace('%', "%25");
    let entry = [("name", "theirs"), ("address", &*address)];
    let entered = http::post(ground.address(), "/servers", &entry).unwrap();
    assert_eq!(entered.status, 303, "{entered:?}");

    let id = launch(&mut ground, "10s");
    benchmarks::wait_for_level(&ground, &id, 0, 1);
    network.swallow();
    let interrupted =
        format!("select count(*) from benchmark_levels where benchmark_id = {id} and status = 'interrupted'");
    wait_for("the level to be given up", || {
        (ground.ask(&interrupted)? == "1").then_some(())
    });
    // Pages are for others as ever, and nobody waits for that server.
    for path in ["/", "/servers", &format!("/benchmarks/{id}")] {
        assert_eq!(http::get(ground.address(), path).unwrap().status, 200, "{path}");
    }
    network.pass();
    ground.wait_for_end("benchmarks", &id);
    assert_eq!(
        benchmarks::attempts(&ground, &id).last().unwrap().as_str(),
        "0 2 finished"
    );
    benchmarks::assert_sound(&ground, &id);
    let interruptions = ground.interruptions("benchmarks", &id);
    assert!(
        !interruptions.is_empty() && interruptions.iter().all(|said| said.contains("server")),
        "{interruptions:?}"
    );

    let next = launch(&mut ground, "1s");
    ground.wait_for_end("benchmarks", &next);
    assert_eq!(our_schemas(&cluster), Vec::<String>::new());
    ground.close();
}
