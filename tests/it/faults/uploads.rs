//! Uploads by the part, where a process matters: killed in the middle, and on a disk that fills up.

use serde_json::Value;
use sha2::Digest as _;
use sha2::Sha256;

use crate::faults::disks::Disk;
use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::http;
use crate::faults::http::Answer;
use crate::faults::http::Part;
use crate::support::wait_for;

const ADDRESS: &str = "/api/datasets/uploads/nightly";

/// A dump of so many MiB, no two of them the same.
fn dump(n_mib: usize) -> Vec<u8> {
    let mut dump = QUICK_DUMP.as_bytes().to_vec();
    let mut line = 0_u64;
    while dump.len() < n_mib << 20 {
        dump.extend_from_slice(format!("-- line {line} {}\n", "x".repeat(100)).as_bytes());
        line += 1;
    }
    dump
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// What pgassay promises to have.
fn received(ground: &Ground) -> usize {
    let answer = http::get(ground.address(), ADDRESS).unwrap();
    read(&answer)["received_bytes"]
        .as_u64()
        .map_or(0, |n| usize::try_from(n).unwrap())
}

fn send_rest(ground: &Ground, dump: &[u8], first: usize) -> Answer {
    let rest = &dump[first..];
    let part = Part::begin(ground.address(), ADDRESS, first, rest, dump.len(), rest.len());
    part.finish().unwrap()
}

#[test]
fn an_upload_goes_on_behind_a_kill_from_what_was_promised() {
    let mut ground = Ground::open();
    let dump = dump(40);
    let begin = Part::begin(ground.address(), ADDRESS, 0, &dump[..1000], dump.len(), 1000);
    assert_eq!(begin.finish().unwrap().status, 202);
    for n_kills in 1..=2 {
        let first = received(&ground);
        let part = Part::begin(ground.address(), ADDRESS, first, &dump[first..], dump.len(), 15 << 20);
        let promised = wait_for("more on the disk", || {
            Some(received(&ground)).filter(|now| *now > first)
        });
        ground.kill_and_start();
        drop(part);
        let kept = received(&ground);
        assert!(
            kept >= promised && kept < dump.len(),
            "kill {n_kills}: {kept} of {promised}"
        );
        let files = crate::faults::ground::names(&ground.data_dir.join("uploads/parts"));
        assert_eq!(files, ["1"]);
    }
    let first = received(&ground);
    let end = send_rest(&ground, &dump, first);
    assert_eq!(end.status, 201, "{end:?}");
    assert_eq!(end.location(), Some("/api/datasets/1"));
    ground.wait_for_end("datasets", "1");
    assert_eq!(
        ground.answer("select sha256 from datasets"),
        hex::encode(Sha256::digest(&dump))
    );
    ground.assert_files(&["1"]);
    ground.close();
}

#[test]
fn an_upload_that_fills_the_disk_goes_on_when_there_is_room() {
    let mut disk = None;
    // More than is there when it is asked for, as where others fill the disk meanwhile.
    let ground = Ground::open_with(&[], |data_dir| {
        disk = Disk::mount(&data_dir.join("uploads"), "24m");
    });
    if disk.is_none() {
        return;
    }
    let ballast = ground.data_dir.join("uploads/incoming/ballast");
    let dump = dump(16);
    let half = dump.len() / 2;
    let part = Part::begin(ground.address(), ADDRESS, 0, &dump, dump.len(), half);
    wait_for("half a file", || (received(&ground) > 0).then_some(()));
    std::fs::write(&ballast, vec![0; 12 << 20]).unwrap();
    let refused = part.finish().unwrap();
    assert_eq!(refused.status, 507, "{refused:?}");
    assert_eq!(read(&refused)["error"]["code"], "no_room");
    let kept = received(&ground);
    assert!(kept > 0 && kept < dump.len(), "{kept}");
    let too_early = send_rest(&ground, &dump, kept);
    assert_eq!(too_early.status, 507, "{too_early:?}");
    std::fs::remove_file(&ballast).unwrap();
    let first = received(&ground);
    let end = send_rest(&ground, &dump, first);
    assert_eq!(end.status, 201, "{end:?}");
    assert_eq!(
        ground.answer("select sha256 from datasets"),
        hex::encode(Sha256::digest(&dump))
    );
    ground.close();
}
