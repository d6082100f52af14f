//! `pgassay backup` and `pgassay restore`: an instance that was restored shows what the first one showed, and goes on.

use std::fs;
use std::io::Cursor;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use zip::ZipArchive;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::faults::disks::Disk;
use crate::faults::ground;
use crate::faults::ground::Ground;
use crate::faults::ground::QUICK_DUMP;
use crate::faults::http;
use crate::scratch;
use crate::support;
use crate::support::Cluster;

const QUERIES: &str = "-- name: joins\nselect count(*) from item a join big b on a.id = b.n;\n-- name: writes\ndelete from big \
                       where n = 3;\n-- name: one\nselect price from item where id = 7;\n";

/// What a person looks at of an experiment, and what programs take of it.
const OF_RESULTS: [&str; 9] = [
    "/results",
    "/results/1",
    "/results/1/plans",
    "/results/1/queries/1",
    "/results/1/export.csv",
    "/results/1/export.json",
    "/results/1/report.html",
    "/results/1/bundle.zip",
    "/workloads/1",
];

/// An experiment that has ended, on a dataset of its own.
fn finished(ground: &mut Ground) {
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(QUERIES);
    let experiment = ground.launch(&dataset, &workload, 1, 3);
    ground.wait_for_end("experiments", &experiment);
}

/// The bodies of these pages.
fn pages(ground: &Ground) -> Vec<(&'static str, String)> {
    let page = |path| {
        let answer = http::get(ground.address(), path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        (path, without_request_ids(&answer.body))
    };
    OF_RESULTS.map(page).into()
}

/// Every form has a number of its own each time it is shown, and nothing else of a page may differ.
fn without_request_ids(html: &str) -> String {
    const BEFORE: &str = "name=\"request_id\" value=\"";
    let mut parts = html.split(BEFORE);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(BEFORE);
        kept.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    kept
}

fn assert_same(before: &[(&str, String)], after: &[(&str, String)]) {
    for ((path, before), (_, after)) in before.iter().zip(after) {
        if before != after {
            let differs = before
                .lines()
                .zip(after.lines())
                .find(|(before, after)| before != after);
            panic!("{path} is not what it was: {differs:?}");
        }
    }
}

/// `pgassay backup` or `pgassay restore`.
fn command(what: &str, file: &Path, data_dir: &Path, database_url: Option<&str>) -> Output {
    let mut command = support::pgassay(&[what]);
    command.arg(file).arg("--data-dir").arg(data_dir);
    command.envs(database_url.map(|url| ("DATABASE_URL", url)));
    command.output().unwrap()
}

fn succeed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", support::stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says to a refusal.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    support::stderr(output)
}

/// A place for a data directory that the user who runs PostgreSQL can get to.
fn place() -> PathBuf {
    scratch::dir().join("data")
}

#[test]
fn a_restored_instance_shows_the_same_pages_and_can_measure_again() {
    let mut ground = Ground::open();
    finished(&mut ground);
    let before = pages(&ground);
    let key = fs::read(ground.data_dir.join("key")).unwrap();

    // While it serves.
    let file = scratch::dir().join("backup.zip");
    let said = succeed(&command("backup", &file, &ground.data_dir, None));
    assert!(
        said.contains("It holds the store and 1 dump") && said.contains("The key file is in it"),
        "{said}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_same(&before, &pages(&ground));
    let said = refused(&command("backup", &file, &ground.data_dir, None));
    assert!(said.contains("There is a file"), "{said}");
    let said = refused(&command("restore", &file, &ground.data_dir, None));
    assert!(said.contains("is not empty"), "{said}");
    ground.close();

    let data_dir = place();
    let said = succeed(&command("restore", &file, &data_dir, None));
    assert!(
        said.contains("The sandboxes of dataset 1 are restored from their dumps"),
        "{said}"
    );
    assert_eq!(fs::read(data_dir.join("key")).unwrap(), key);
    let mode = |path: &str| fs::metadata(data_dir.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key"), mode("uploads/1"), mode("uploads")), (0o600, 0o600, 0o700));
    assert_eq!(support::processes_of(&data_dir), Vec::<String>::new());

    let mut ground = Ground::of(data_dir);
    ground.wait_for_end("datasets", "1");
    assert_same(&before, &pages(&ground));
    let experiment = ground.launch("1", "1", 1, 3);
    assert_eq!(experiment, "2");
    ground.wait_for_end("experiments", &experiment);
    assert_eq!(
        ground.answer("select count(*) from trials where experiment_id = 2 and outcome = 'finished'"),
        ground.answer("select n_trials from experiments where id = 2")
    );
    assert_same(&before[1..], &pages(&ground)[1..]);
    ground.close();
}

#[test]
fn what_waited_or_ran_when_the_backup_was_made_goes_on_in_the_restored_instance() {
    let mut ground = Ground::open();
    let dataset = ground.upload_dump(ground::DUMP);
    ground.wait_for_end("datasets", &dataset);
    let workload = ground.upload_queries(ground::QUERIES);
    let experiment = ground.launch(&dataset, &workload, 1, 3);
    ground.wait_for_trials(&experiment, "measured", 4);
    let file = scratch::dir().join("backup.zip");
    succeed(&command("backup", &file, &ground.data_dir, None));
    ground.close();

    let data_dir = place();
    succeed(&command("restore", &file, &data_dir, None));
    let ground = Ground::of(data_dir);
    ground.wait_for_end("datasets", &dataset);
    ground.wait_for_end("experiments", &experiment);
    ground.assert_complete(&experiment, 1, 3);
    ground.close();
}

#[test]
fn a_store_of_somebody_elses_is_backed_up_and_restored_by_its_url_without_a_word_of_the_password() {
    let cluster = Cluster::with_passwords();
    cluster.ask("create database first");
    cluster.ask("create database second");
    let url = |database: &str| format!("{}/{database}", cluster.url().rsplit_once('/').unwrap().0);
    let data_dir = place();
    let mut ground = Ground::of_with(data_dir.clone(), &cluster, &cluster.url());
    finished(&mut ground);
    let before = pages(&ground);
    ground.close();

    // While nothing serves.
    let file = scratch::dir().join("backup.zip");
    let output = command("backup", &file, &data_dir, Some(&cluster.url()));
    let said = succeed(&output) + &support::stderr(&output);
    assert!(!said.contains("ss /word") && !said.contains("ss%20"), "{said}");

    let other = place();
    let said = refused(&command("restore", &file, &other, Some(&cluster.url())));
    assert!(said.contains("The store of DATABASE_URL is not empty"), "{said}");
    assert!(!other.exists(), "nothing is made for what is refused");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes"), "mine").unwrap();
    let said = refused(&command("restore", &file, &other, Some(&url("first"))));
    assert!(said.contains("is not empty"), "{said}");
    assert_eq!(ground::names(&other), ["notes"]);
    fs::remove_file(other.join("notes")).unwrap();

    succeed(&command("restore", &file, &other, Some(&url("first"))));
    let tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'";
    assert_eq!(cluster.ask_in("first", tables), cluster.ask(tables));
    // The ground asks the database that is named postgres, which holds the old store; pages are of the new one.
    let restored = Ground::of_with(other, &cluster, &url("first"));
    support::wait_for("the dataset to be restored anew", || {
        restored.page("/workloads/1").contains("dump.sql (ready)").then_some(())
    });
    assert_same(&before, &pages(&restored));
    restored.close();
}

#[test]
fn what_is_no_whole_backup_is_refused_in_words_and_leaves_nothing() {
    let mut ground = Ground::open();
    let dataset = ground.upload_dump(QUICK_DUMP);
    ground.wait_for_end("datasets", &dataset);
    let dir = scratch::dir();
    let file = dir.join("backup.zip");
    succeed(&command("backup", &file, &ground.data_dir, None));
    ground.close();
    let bytes = fs::read(&file).unwrap();

    let (data_dir, other) = (place(), dir.join("other.zip"));
    let mut damaged = bytes.clone();
    let at = find(&bytes, b"uploads/1") + 60;
    damaged[at] ^= 0x01;
    let newer = with_manifest(&bytes, |manifest| manifest["schema_version"] = 9999.into());
    let forged = with_manifest(&bytes, |manifest| {
        manifest["members"][0]["sha256"] = "00".repeat(32).into();
    });
    for (bytes, words) in [
        (&bytes[..bytes.len() / 2], "or not a whole one"),
        (&bytes[..0], "is not a backup of pgassay"),
        (QUICK_DUMP.as_bytes(), "is not a backup of pgassay"),
        (&damaged, "was changed after it was written, or was damaged"),
        (&forged, "store.pgdump is not what it was"),
        (&newer, "which is newer than this one"),
    ] {
        fs::write(&other, bytes).unwrap();
        let said = refused(&command("restore", &other, &data_dir, None));
        assert!(said.contains(words), "{words}: {said}");
        assert!(!data_dir.exists(), "{words}");
    }
    let said = refused(&command("restore", &dir.join("none.zip"), &data_dir, None));
    assert!(said.contains("none.zip"), "{said}");

    // Nothing of it is in the way of the right one.
    succeed(&command("restore", &file, &data_dir, None));
}

#[test]
fn a_full_disk_leaves_no_half_backup_and_no_half_instance() {
    let mut ground = Ground::open();
    let padding = format!("-- {}\n", "x".repeat(1 << 20));
    let dataset = ground.upload_dump(&format!("{QUICK_DUMP}{}", padding.repeat(8)));
    ground.wait_for_end("datasets", &dataset);
    let dir = scratch::dir();
    let small = dir.join("small");
    let Some(disk) = Disk::mount(&small, "64k") else {
        return;
    };
    let said = refused(&command("backup", &small.join("backup.zip"), &ground.data_dir, None));
    assert!(said.contains("There is no room for the backup"), "{said}");
    assert_eq!(ground::names(&small), Vec::<String>::new());
    drop(disk);

    let file = dir.join("backup.zip");
    succeed(&command("backup", &file, &ground.data_dir, None));
    ground.close();
    for (n, size, words) in [(1, "6m", "have to stay free. Free some space on it"), (2, "30m", "")] {
        let data_dir = scratch::dir().join(format!("data {n}"));
        let _disk = Disk::mount(&data_dir, size).unwrap();
        let said = refused(&command("restore", &file, &data_dir, None));
        assert!(said.contains(words), "{size}: {said}");
        assert_eq!(ground::names(&data_dir), Vec::<String>::new(), "{size}: {said}");
        assert_eq!(support::processes_of(&data_dir), Vec::<String>::new());
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

/// The backup with another manifest.
fn with_manifest(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut changed = ZipWriter::new(Cursor::new(Vec::new()));
    let mut change = Some(change);
    for position in 0..archive.len() {
        let mut member = archive.by_index(position).unwrap();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        let name = member.name().unwrap().into_owned();
        if name == "manifest.json" {
            let mut manifest = serde_json::from_slice(&bytes).unwrap();
            change.take().unwrap()(&mut manifest);
            bytes = serde_json::to_vec(&manifest).unwrap();
        }
        changed.start_file(name, SimpleFileOptions::default()).unwrap();
        changed.write_all(&bytes).unwrap();
    }
    changed.finish().unwrap().into_inner()
}

#[test]
fn a_machine_without_the_programs_says_what_to_install() {
    let cluster = Cluster::start();
    let data_dir = place();
    let ground = Ground::of_with(data_dir.clone(), &cluster, &cluster.socket_url());
    ground.close();
    // Servers without clients, as some distributions pack them, and nothing in the usual places: that is hidden by a mount.
    let hide = "mount -t tmpfs none /usr/lib/postgresql && for p in pg_dump pg_config; do \
                if [ -e /usr/bin/$p ]; then mount --bind /dev/null /usr/bin/$p; fi; done && exec \"$@\"";
    let mut hidden = Command::new("unshare");
    hidden.args(["--mount", "sh", "-c", hide, "sh"]);
    hidden.arg(env!("CARGO_BIN_EXE_pgassay")).arg("backup");
    hidden
        .arg(scratch::dir().join("backup.zip"))
        .arg("--data-dir")
        .arg(&data_dir);
    hidden
        .env("DATABASE_URL", cluster.socket_url())
        .env_remove("PGASSAY_PG_BINDIR");
    let output = hidden.output().unwrap();
    if support::stderr(&output).contains("unshare:") || support::stderr(&output).contains("mount:") {
        println!("SKIPPED, nothing was tested: nothing can be hidden here: {output:?}");
        return;
    }
    let said = refused(&output);
    assert!(
        said.contains("There is no pg_dump of PostgreSQL") && said.contains("apt install postgresql-client-"),
        "{said}"
    );
}
