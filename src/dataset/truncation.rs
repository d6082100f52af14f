//! Dumps of every format that end too early or never: however they are cut, nothing takes them for whole.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;

use crate::dataset::error::RestoreError;
use crate::dataset::format;
use crate::dataset::pieces::DumpFile;
use crate::dataset::pieces::Pieces;
use crate::dataset::reader::Counter;
use crate::model::ids::DatasetId;
use crate::model::job::JobStatus;
use crate::sql::split::Piece;
use crate::testing::bench::Bench;
use crate::testing::bench::open_clone;

/// What `pg_dump` has to write in many ways: rows of all lengths, quotes, bodies, comments.
const CONTENT: &str = "
    create table plain (id integer primary key, words text, numbers double precision[]);
    insert into plain select g, repeat(md5(g::text), g % 7), array[g, sqrt(g)] from generate_series(1, 3000) g;
    create table quoted (\"it's; a \"\"name\"\"\" text default 'it''s; $$ a /* value');
    insert into quoted select E'tab\\t line\\n back\\\\ ' || g from generate_series(1, 50) g;
    create function body(integer) returns text language sql as $$ select 'it''s ; ' || $1 -- '$$;
    create function atomic(integer) returns integer begin atomic; select $1; select case when $1 > 0 then 1 end; end;
    create view looked as select id, words from plain where words <> 'it''s';
    comment on table plain is 'it''s /* a -- comment';
    create index on plain (words);
    create table nothing ();
";

const PIECES_LIMIT: Duration = Duration::from_secs(30);

/// Makes a dump of a restored dataset, as its role.
async fn dump(bench: &Bench, id: DatasetId, args: &[&str]) -> Vec<u8> {
    let sandbox = bench.sandbox(id).await;
    open_clone(&sandbox, "dumped").await.close().await;
    let pg_dump = bench
        .house
        .restorer
        .pg_restore
        .as_ref()
        .unwrap()
        .with_file_name("pg_dump");
    let output = tokio::process::Command::new(pg_dump)
        .args(args)
        .arg("--host")
        .arg(sandbox.address.server.get_socket().unwrap())
        .args(["--username", &sandbox.address.names.role, "--dbname", "dumped"])
        .env("PGPORT", sandbox.address.server.get_port().to_string())
        .env("PGPASSWORD", &*sandbox.address.password)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sandbox.stop().await.unwrap();
    output.stdout
}

/// The output of a program that reads these bytes.
async fn piped(program: &str, bytes: &[u8]) -> Vec<u8> {
    use tokio::io::AsyncWriteExt as _;
    let mut child = tokio::process::Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = tokio::spawn(async move { stdin.write_all(&bytes).await.unwrap() });
    let output = child.wait_with_output().await.unwrap();
    writing.await.unwrap();
    assert!(output.status.success());
    output.stdout
}

/// More than anything here expands to.
pub const ROOMY: u64 = 1 << 30;

/// Reads a file to its end, as an upload and a restore together do.
pub async fn read_whole(path: &Path, pg_restore: &Path, max_expanded_bytes: u64) -> Result<Vec<Piece>, RestoreError> {
    let found = format::detect(path, Some(18)).await.unwrap();
    let (format, compression) = found.map_err(|error| RestoreError::Sentence(error.to_string()))?;
    let file = DumpFile {
        path,
        format,
        compression,
        pg_restore: Some(pg_restore),
        max_expanded_bytes,
    };
    let reading = async {
        let mut reader = Pieces::open(&file, &Counter::default()).await?;
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next().await? {
            pieces.push(piece);
        }
        Ok(pieces)
    };
    let read = tokio::time::timeout(PIECES_LIMIT, reading).await;
    read.expect("it ends in seconds")
}

/// Why a file is no whole dump; none when it is whole.
async fn flaw(path: &Path, pg_restore: &Path, max_expanded_bytes: u64) -> Option<String> {
    let read = read_whole(path, pg_restore, max_expanded_bytes).await;
    read.err().map(|error| error.to_string())
}

/// A dump of the content above, and the fewest bytes of it that hold everything.
pub struct Whole {
    pub name: String,
    pub bytes: Vec<u8>,
    needed: usize,
    /// Whether its format tells a byte that has changed.
    pub has_checksum: bool,
}

pub async fn every_format(bench: &Bench) -> Vec<Whole> {
    let id = bench.restored(CONTENT).await;
    let mut all = Vec::new();
    for (name, args) in [
        ("plain", &["-Fp"][..]),
        ("inserts", &["-Fp", "--inserts"]),
        ("custom", &["-Fc"]),
        ("uncompressed custom", &["-Fc", "-Z0"]),
        ("tar", &["-Ft"]),
    ] {
        let bytes = dump(bench, id, args).await;
        let needed = match name {
            "plain" | "inserts" => end_of(&bytes, b"-- PostgreSQL database dump complete"),
            // The first of the two blocks that end it.
            "tar" => bytes.len() - 512,
            _ => bytes.len(),
        };
        for program in ["gzip", "zstd"] {
            let bytes = piped(program, &bytes).await;
            all.push(Whole {
                name: format!("{name} in {program}"),
                needed: bytes.len(),
                bytes,
                has_checksum: true,
            });
        }
        all.push(Whole {
            name: name.to_owned(),
            bytes,
            needed,
            has_checksum: false,
        });
    }
    all
}

fn end_of(bytes: &[u8], mark: &[u8]) -> usize {
    let at = bytes.windows(mark.len()).rposition(|window| window == mark);
    at.unwrap() + mark.len()
}

/// Random places, with the first and the last ones more often than their share. The first few bytes of a dump can be
/// taken for words of SQL, which only a server refuses.
fn cuts(len: usize, needed: usize) -> Vec<usize> {
    let mut rng = rand::rngs::ChaCha8Rng::seed_from_u64(len as u64);
    let mut cuts: Vec<usize> = (0..12).map(|_| rng.random_range(10..needed)).collect();
    cuts.extend([10, 11, 40, 300]);
    cuts.extend([1, 2, 3, 8, 9, 12, 60].iter().map(|n| needed - n));
    cuts.extend([needed - 1, needed, len]);
    cuts
}

#[tokio::test]
async fn a_dump_of_any_format_that_is_cut_anywhere_is_not_whole() {
    let bench = Bench::open().await;
    let pg_restore: PathBuf = bench.house.restorer.pg_restore.clone().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    let mut taken = Vec::new();
    for Whole {
        name, bytes, needed, ..
    } in every_format(&bench).await
    {
        for cut in cuts(bytes.len(), needed) {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let flaw = flaw(&path, &pg_restore, ROOMY).await;
            if flaw.is_none() != (cut >= needed) {
                taken.push(format!(
                    "{name} cut at {cut} of {} ({needed} needed): {flaw:?}",
                    bytes.len()
                ));
            }
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    bench.close().await;
}

#[tokio::test]
async fn the_words_say_where_a_plain_dump_ends() {
    let head = "--\n-- PostgreSQL database dump\n--\n\ncreate table t (a text);\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    for (tail, words) in [
        (
            "",
            "pg_dump's end mark (-- PostgreSQL database dump complete) is missing",
        ),
        ("create index on t (a)", "pg_dump's end mark"),
        (
            "copy t from stdin;",
            "inside the data of t: the COPY at line 6 has 0 rows",
        ),
        (
            "copy t from stdin;\none\ntwo\nthr",
            "inside the data of t: the COPY at line 6 has 2 rows",
        ),
        ("copy t from stdin;\none\n\\.", "pg_dump's end mark"),
        (
            "insert into t values ('it''s\n",
            "inside a string that was opened at line 6",
        ),
        (
            "comment on column t.\"a\n",
            "inside a quoted name that was opened at line 6",
        ),
        (
            "create function f() returns int as $x$\nselect",
            "inside a dollar-quoted string that was opened at line 6",
        ),
        ("\n/* about\n", "inside a comment that was opened at line 7"),
        (
            "insert into t values (1,\n",
            "inside parentheses that was opened at line 6",
        ),
        (
            "create function f() returns int\nbegin atomic\nselect 1;",
            "inside the body of a function that was opened at line 7",
        ),
        ("--\n-- PostgreSQL database dump comp", "pg_dump's end mark"),
    ] {
        std::fs::write(&path, format!("{head}{tail}")).unwrap();
        let flaw = flaw(&path, Path::new("unused"), ROOMY).await.unwrap();
        assert!(flaw.contains(words), "{tail}: {flaw}");
    }
}

/// Where a custom archive says how many entries its table of contents has (`ReadHead` in `pg_backup_archiver.c`): behind
/// the compression, seven numbers of the date and three strings. A number is a sign and four bytes.
fn number_of_entries_at(custom: &[u8]) -> usize {
    let minor = custom[6];
    let mut at = 11 + if minor < 15 { 5 } else { 1 } + 7 * 5;
    for _ in 0..3 {
        let length = u32::from_le_bytes(custom[at + 1..at + 5].try_into().unwrap());
        at += 5 + usize::try_from(length).unwrap();
    }
    at
}

#[tokio::test]
async fn a_bomb_of_any_format_is_given_up_at_the_limit() {
    const LIMIT: u64 = 4 << 20;
    let bench = Bench::open().await;
    let content = "create table t as select repeat('x', 1000) a, generate_series(1, 10000) b;";
    let id = bench.restored(content).await;
    let (custom, tar) = (dump(&bench, id, &["-Fc"]).await, dump(&bench, id, &["-Ft"]).await);
    let spaces = [b"select 1;".as_slice(), &vec![b' '; 10 << 20]].concat();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    for (name, bytes) in [
        ("custom", custom.clone()),
        ("custom in gzip", piped("gzip", &custom).await),
        ("tar in gzip", piped("gzip", &tar).await),
        ("tar in zstd", piped("zstd", &tar).await),
        ("plain in gzip", piped("gzip", &spaces).await),
        ("plain in zstd", piped("zstd", &spaces).await),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        assert!(bytes.len() < 1 << 20, "{name} is small");
        let flaw = flaw(&path, bench.house.restorer.pg_restore.as_ref().unwrap(), LIMIT).await;
        let flaw = flaw.unwrap_or_default();
        assert!(
            flaw.starts_with("The dump expands to more than the limit of 4.0 MiB."),
            "{name}: {flaw}"
        );
    }
    bench.close().await;
}

/// Bad input 95.
#[tokio::test]
async fn without_pg_restore_archives_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    std::fs::write(&path, b"PGDMP\x01\x0e\x00\x04\x08\x01rest of the header").unwrap();
    let flaw = flaw(&path, &dir.path().join("pg_restore"), ROOMY).await.unwrap();
    assert!(
        flaw.starts_with("The file is an archive, and this machine has no pg_restore to read it."),
        "{flaw}"
    );
}

#[tokio::test]
async fn an_archive_that_is_cut_off_fails_its_restore_and_leaves_nothing() {
    let bench = Bench::open().await;
    let id = bench.restored(CONTENT).await;
    let custom = dump(&bench, id, &["-Fc"]).await;
    let tar = piped("gzip", &dump(&bench, id, &["-Ft"]).await).await;
    let mut flipped = custom.clone();
    flipped[custom.len() - 2000] ^= 0x10;
    let mut many_entries = custom.clone();
    let count_at = number_of_entries_at(&custom);
    many_entries[count_at + 1..count_at + 5].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    // pg_restore finds nothing to do and leaves, long before the checksum.
    let mut emptied = dump(&bench, id, &["-Fc", "-Z0"]).await;
    let count_at = number_of_entries_at(&emptied);
    emptied[count_at + 1..count_at + 5].fill(0);
    let mut emptied = piped("gzip", &emptied).await;
    let checksum_at = emptied.len() - 8;
    emptied[checksum_at] ^= 1;
    for (bytes, words) in [
        (
            &custom[..custom.len() / 2],
            "The archive is cut off or damaged. pg_restore says: ",
        ),
        (
            &custom[..custom.len() - 10],
            "The archive is cut off or damaged. pg_restore says: ",
        ),
        (&flipped, "The archive is "),
        (&many_entries, "The archive is "),
        (&tar[..tar.len() / 2], "The compressed file is cut off or damaged"),
        (&emptied, "The compressed file is cut off or damaged"),
        (b"PGDM", "Nothing in the file could be restored."),
        (b"--\n-", "Nothing in the file could be restored."),
    ] {
        let dataset = bench.restore(bytes).await;
        assert_eq!(dataset.job.status, JobStatus::Failed, "{words}");
        let message = dataset.job.message.unwrap();
        assert!(message.starts_with(words), "{message}");
        assert!(!bench.house.sandboxes.is_there(dataset.id).await.unwrap());
    }
    bench.close().await;
}
