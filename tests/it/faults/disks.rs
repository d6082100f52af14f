//! Disks that fill up: each a small one of its own, which only root can mount.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::faults::benchmarks;
use crate::faults::ground;
use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::http::Upload;
use crate::support;
use crate::support::GROWS;
use crate::support::wait_for;

/// A disk of its own at a directory.
pub struct Disk(PathBuf);

impl Disk {
    /// None, and a loud word about it, where this process may not mount.
    pub fn mount(dir: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let options = format!("size={size},mode=755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "pgassay-test"])
            .arg(dir)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir.to_owned())),
            refused => {
                println!("SKIPPED, nothing was tested: no disk can be mounted here: {refused:?}");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: after a failed test something may still be at work there.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// What every trial came to.
const OUTCOMES: &str = "select string_agg(q.label || ' ' || t.outcome || ' ' || coalesce(t.sqlstate, '') , ';' order by \
                        t.query_idx, t.source_idx) from trials t join experiment_queries q using (experiment_id, query_idx)";

#[test]
fn an_upload_that_fills_the_disk_is_refused_and_another_goes_on() {
    let mut disk = None;
    let mut ground = Ground::open_with(&[], |data_dir| {
        disk = Disk::mount(&data_dir.join("uploads"), "8m");
    });
    if disk.is_none() {
        return;
    }
    let padding = format!("-- {}\n", "x".repeat(1 << 20));
    let small = format!("{QUICK_DUMP}{padding}");
    let small = Upload::begin(ground.address(), "/upload/dump", "small", "small.sql", small.as_bytes());
    let incoming = ground.data_dir.join("uploads/incoming");
    wait_for("half a file", || (ground::names(&incoming).len() == 1).then_some(()));

    let large = padding.repeat(12);
    let large = Upload::begin(ground.address(), "/upload/dump", "large", "large.sql", large.as_bytes());
    let refused = large.finish().unwrap();
    assert_eq!(refused.status, 507, "{refused:?}");
    assert!(
        refused.body.contains("the disk of the data directory is full"),
        "{refused:?}"
    );
    assert_eq!(ground::names(&incoming).len(), 1, "the other one stays");

    assert_eq!(ground::id_of(&small.finish().unwrap()), "1");
    ground.wait_for_end("datasets", "1");
    assert_eq!(ground.answer("select count(*) from datasets"), "1");
    ground.assert_files(&["1"]);
    assert_eq!(ground.upload_dump(QUICK_DUMP), "2", "there is room for a small one");
    ground.wait_for_end("datasets", "2");
    ground.close();
}

#[test]
fn a_restore_that_fills_the_disk_fails_in_words_and_leaves_nothing() {
    let mut disk = None;
    let mut ground = Ground::open_with(&[], |data_dir| {
        disk = Disk::mount(&data_dir.join("sandboxes"), "150m");
    });
    if disk.is_none() {
        return;
    }
    let fill = "insert into t select n, repeat('x', 500) from generate_series(1, 400000) as n;\n";
    let table = "create table t (n integer, filler text);\n";
    // Into a table of the same transaction rows go without the log. Otherwise it is the log that grows first, and the
    // server does not survive that.
    for (n, dump) in [format!("{table}{fill}"), format!("begin;\n{table}commit;\n{fill}")]
        .iter()
        .enumerate()
    {
        let dataset = ground.upload_dump(dump);
        ground.wait_for_status("datasets", &dataset, "failed");
        let page = ground.page(&format!("/datasets/{dataset}"));
        assert!(page.contains("the disk that holds the datasets is full"), "{n}: {page}");
        ground.assert_no_sandbox(&dataset);
    }
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    ground.assert_at_rest(&dataset);
    ground.close();
}

#[test]
fn a_query_that_fills_the_disk_has_failed_and_the_run_goes_on() {
    let mut disk = None;
    let mut ground = Ground::open_with(&[], |data_dir| {
        disk = Disk::mount(&data_dir.join("sandboxes"), "250m");
    });
    if disk.is_none() {
        return;
    }
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(
        "-- name: spills\nselect max(s) from (select repeat(md5(n::text), 30) as s from generate_series(1, 1000000) as n \
         order by 1 offset 1) as sorted;\n-- name: small\nselect count(*) from item;\n",
    );
    let experiment = ground.launch(&dataset, &workload, 0, 1);
    ground.wait_for_end("experiments", &experiment);
    assert_eq!(
        ground.answer(OUTCOMES),
        "spills failed 53100;spills failed 53100;spills failed 53100;small finished ;small finished ;small finished"
    );
    assert_eq!(ground.answer("select count(*) from segments"), "1");
    assert!(
        ground
            .page(&format!("/results/{experiment}"))
            .contains("No space left on device")
    );
    let left = support::processes_of(&ground.sandbox(&dataset));
    assert_eq!(left, Vec::<String>::new());
    ground.assert_at_rest(&dataset);
    ground.close();
}

#[test]
fn a_benchmark_that_fills_the_disk_fails_in_words_and_leaves_nothing() {
    let mut disk = None;
    let mut ground = Ground::open_with(&[], |data_dir| {
        disk = Disk::mount(&data_dir.join("sandboxes"), "150m");
    });
    if disk.is_none() {
        return;
    }
    let fields = [
        ("operation", "insert"),
        ("insert_rows", "1000"),
        ("thread_counts", "2"),
        ("test_duration", "10m"),
    ];
    let id = benchmarks::launch(&mut ground, &fields);
    ground.wait_for_status("benchmarks", &id, "failed");
    let message = ground.message("benchmarks", &id);
    assert!(
        message.contains("the disk that holds the datasets is full"),
        "{message}"
    );
    assert!(
        ground
            .page(&format!("/benchmarks/{id}"))
            .contains("the disk that holds the datasets is full")
    );
    ground.assert_no_sandbox(&format!("b{id}"));
    ground.close();
}

/// Of a disk of 2 GiB, 600 MiB are for pgassay: more than it has before anything grows.
const KEEPS_MOST_FREE: [(&str, &str); 1] = [("PGASSAY_DISK_RESERVE_BYTES", "1518338048")];

#[test]
fn what_would_leave_too_little_of_the_disk_is_ended_in_words_before_it_is_full() {
    let mut disk = None;
    let mut ground = Ground::open_with(&KEEPS_MOST_FREE, |data_dir| disk = Disk::mount(data_dir, "2g"));
    if disk.is_none() {
        return;
    }
    let low = "have to stay free. Free some space on it";
    let queries = "-- name: grows\nselect grow();\n-- name: small\nselect count(*) from item;\n";
    let workload = ground.upload_queries(queries);

    let dataset = ground.upload_dump(&format!("{GROWS} select grow();"));
    ground.wait_for_status("datasets", &dataset, "failed");
    assert!(ground.page(&format!("/datasets/{dataset}")).contains(low));
    ground.assert_no_sandbox(&dataset);

    let dataset = ground.upload_dump(&format!("{GROWS} {QUICK_DUMP}"));
    ground.wait_for_end("datasets", &dataset);
    let experiment = ground.launch(&dataset, &workload, 0, 1);
    ground.wait_for_end("experiments", &experiment);
    assert_eq!(
        ground.answer(OUTCOMES),
        "grows failed 53400;grows failed 53400;grows failed 53400;small finished ;small finished ;small finished"
    );
    assert!(ground.page(&format!("/results/{experiment}")).contains(low));
    ground.assert_at_rest(&dataset);

    // Somebody else takes it.
    let other = ground.data_dir.join("somebody else's");
    let taken = Command::new("fallocate").args(["-l", "700MiB"]).arg(&other).status();
    assert!(taken.unwrap().success());
    let experiment = ground.launch(&dataset, &workload, 0, 1);
    ground.wait_for_status("experiments", &experiment, "failed");
    assert!(ground.message("experiments", &experiment).contains(low));
    let request_id = ground.request_id();
    let upload = Upload::begin(
        ground.address(),
        "/upload/dump",
        &request_id,
        "d.sql",
        QUICK_DUMP.as_bytes(),
    );
    let refused = upload.finish().unwrap();
    assert_eq!(refused.status, 507, "{refused:?}");
    assert!(refused.body.contains(low), "{refused:?}");
    fs::remove_file(&other).unwrap();
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    ground.close();
}

/// Takes so much of a disk that of what pgassay may use of it so much is left.
fn leave(ground: &Ground, left_mib: u64) -> PathBuf {
    let disk = nix::sys::statvfs::statvfs(&ground.data_dir).unwrap();
    let free_bytes = disk.blocks_available() * disk.fragment_size();
    let reserve_bytes: u64 = KEEPS_MOST_FREE[0].1.parse().unwrap();
    let taken_bytes = free_bytes - reserve_bytes - (left_mib << 20);
    let other = ground.data_dir.join("somebody else's");
    let taken = Command::new("fallocate")
        .args(["-l", &taken_bytes.to_string()])
        .arg(&other)
        .status();
    assert!(taken.unwrap().success());
    other
}

#[test]
fn what_has_no_room_is_refused_before_it_begins_and_ended_when_there_is_none_any_more() {
    let mut disk = None;
    let mut ground = Ground::open_with(&KEEPS_MOST_FREE, |data_dir| disk = Disk::mount(data_dir, "2g"));
    if disk.is_none() {
        return;
    }
    let low = "have to stay free. Free some space on it";

    // A dump that arrives whole, and leaves less than its own size.
    let other = leave(&ground, 160);
    let padding = format!("-- {}\n", "x".repeat(1 << 20));
    let dump = format!("{QUICK_DUMP}{}", padding.repeat(100));
    let dataset = ground.upload_dump(&dump);
    ground.wait_for_status("datasets", &dataset, "failed");
    let message = ground.message("datasets", &dataset);
    assert!(message.contains(low) && message.contains("are needed"), "{message}");
    ground.assert_no_sandbox(&dataset);
    fs::remove_file(&other).unwrap();

    // Tables that are too large from the beginning.
    let fields = [
        ("operation", "insert"),
        ("table_rows", "10000000"),
        ("thread_counts", "1"),
        ("test_duration", "1s"),
    ];
    let id = benchmarks::launch(&mut ground, &fields);
    ground.wait_for_status("benchmarks", &id, "failed");
    let message = ground.message("benchmarks", &id);
    assert!(message.contains(low) && message.contains("are needed"), "{message}");
    ground.assert_no_sandbox(&format!("b{id}"));

    // Tables that would fit if somebody else did not take the room.
    let fields = [
        ("operation", "insert"),
        ("table_rows", "2000000"),
        ("batch_size", "1000"),
        ("thread_counts", "1"),
        ("test_duration", "1s"),
    ];
    let id = benchmarks::launch(&mut ground, &fields);
    wait_for("tables to be loaded", || {
        let loaded = format!(
            "select (j.progress->>'done')::bigint > 0 from jobs j join benchmarks b on b.job_id = j.id where b.id = {id}"
        );
        (ground.ask(&loaded)? == "t").then_some(())
    });
    let other = leave(&ground, 0);
    ground.wait_for_status("benchmarks", &id, "failed");
    let message = ground.message("benchmarks", &id);
    assert!(message.contains(low), "{message}");
    ground.assert_no_sandbox(&format!("b{id}"));
    fs::remove_file(&other).unwrap();

    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    ground.close();
}
