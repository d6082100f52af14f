//! An upload of 2 GB beside `cat` and `sha256sum`, its restore, and the memory that both take.

use std::fs;
use std::fs::File;
use std::io::BufWriter;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::http;
use crate::machine::Scratch;
use crate::machine::memory_mb;
use crate::peer::seconds;
use crate::program::Program;
use crate::table::Table;

const SIZE_BYTES: u64 = 2 << 30;
const N_RUNS: usize = 5;

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("uploads");
    let dump = scratch.path().join("large.sql");
    write_dump(&dump).expect("writing the dump");
    let mut program = Program::start(&scratch.path().join("data"));
    let mut pairs = Vec::new();
    for run in 0..N_RUNS {
        if run > 0 {
            // The restore of the upload before is not what is measured here.
            drop(program);
            fs::remove_dir_all(scratch.path().join("data")).expect("removing the upload before");
            program = Program::start(&scratch.path().join("data"));
        }
        let copy = scratch.path().join("copy");
        let mut by_hand = Command::new("sh");
        by_hand
            .args(["-c", "cat \"$0\" > \"$1\" && sync \"$1\" && sha256sum \"$1\""])
            .arg(&dump)
            .arg(&copy);
        let by_hand = seconds(&mut by_hand);
        fs::remove_file(&copy).expect("removing the copy");
        let started = Instant::now();
        http::upload(&program.site, "/upload/dump", "large.sql", &dump);
        pairs.push((started.elapsed().as_secs_f64(), by_hand));
    }
    table.pairs("upload of 2 GB", "cat > file, sync, sha256sum", "s", &pairs, None);
    let uploaded = memory_mb(program.pid(), "VmHWM");
    table.single("most resident while 2 GB stream in", "MB", uploaded, Some(128.0));
    program.wait_until_idle();
    let restored = memory_mb(program.pid(), "VmHWM");
    table.single("most resident while 2 GB are restored", "MB", restored, Some(128.0));
}

/// One table, its rows told apart by number.
fn write_dump(path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(b"create table large (n bigint, word text, filler text);\ncopy large from stdin;\n")?;
    let filler = "all work and no play makes a dull table ".repeat(4);
    let mut n_bytes = 0;
    let mut n_rows = 0_u64;
    while n_bytes < SIZE_BYTES {
        let line = format!(
            "{n_rows}\t{:016x}\t{filler}\n",
            n_rows.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        );
        file.write_all(line.as_bytes())?;
        n_bytes += line.len() as u64;
        n_rows += 1;
    }
    file.write_all(b"\\.\n")?;
    file.flush()
}
