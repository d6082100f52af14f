//! Restores of a 200 MB dump with indexes, beside psql and `pg_restore`; and what preparing sources takes on it.

use std::path::Path;

use crate::dump;
use crate::dump::Dumps;
use crate::machine::Scratch;
use crate::machine::memory_mb;
use crate::peer::Peer;
use crate::peer::seconds;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;
use crate::table::number;

const N_RUNS: usize = 5;

/// Where the time of one restore of ours went, in seconds.
struct Ours {
    /// From the start of its server to its end with everything on disk.
    whole: f64,
    /// The dump's own statements, as psql runs them.
    load: f64,
    vacuum: f64,
    count: f64,
}

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("restore");
    let peer = Peer::start(&scratch.path().join("peer"));
    let dumps = dump::make(&peer, scratch.path());
    let program = Program::start(&scratch.path().join("data"));
    table.single(
        "resident when idle",
        "MB",
        memory_mb(program.pid(), "VmRSS"),
        Some(64.0),
    );
    let (mut plain, mut custom) = (Vec::new(), Vec::new());
    for _ in 0..N_RUNS {
        plain.push((ours(&program, &dumps.plain), psql(&peer, &dumps)));
        custom.push((ours(&program, &dumps.custom), pg_restore(&peer, &dumps)));
    }
    rows(table, "restore of a plain dump", "psql -1 -f", &plain);
    rows(table, "restore of a custom archive", "pg_restore -j2", &custom);
    table.single(
        "most resident while restoring",
        "MB",
        memory_mb(program.pid(), "VmHWM"),
        Some(128.0),
    );
    prepare(table, &program, &peer, &dumps, scratch.path());
}

fn rows(table: &mut Table, what: &str, peer: &str, runs: &[(Ours, f64)]) {
    let against = |part: fn(&Ours) -> f64| -> Vec<(f64, f64)> {
        runs.iter().map(|(ours, theirs)| (part(ours), *theirs)).collect()
    };
    table.pairs(
        &format!("{what}, end to end"),
        peer,
        "s",
        &against(|ours| ours.whole),
        None,
    );
    table.pairs(
        &format!("{what}, its statements alone"),
        peer,
        "s",
        &against(|ours| ours.load),
        Some(1.0),
    );
    let part = |part: fn(&Ours) -> f64| number(median(runs.iter().map(|(ours, _)| part(ours))));
    let shares = format!(
        "load {}, VACUUM FREEZE {}, counting {}, server started and stopped with all on disk {} s",
        part(|ours| ours.load),
        part(|ours| ours.vacuum),
        part(|ours| ours.count),
        part(|ours| ours.whole - ours.load - ours.vacuum - ours.count),
    );
    table.row(&format!("{what}, its parts"), &shares, "", "", "", "");
}

fn ours(program: &Program, dump: &Path) -> Ours {
    let id = program.restore(dump);
    let whole = program.store_number(&format!(
        "select extract(epoch from finished_at - started_at) from jobs where id = (select job_id from datasets where id = {id})"
    ));
    let line = program
        .logged(&format!("Parts of restore {id}:"))
        .expect("a restore logs its parts");
    let part = |name: &str| -> f64 {
        let after = line.split_once(&format!("{name}=")).map_or("", |(_, after)| after);
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<f64>().expect("milliseconds") / 1000.0
    };
    let ours = Ours {
        whole,
        load: part("load"),
        vacuum: part("vacuum"),
        count: part("count"),
    };
    program.delete_dataset(&id);
    ours
}

fn psql(peer: &Peer, dumps: &Dumps) -> f64 {
    peer.empty_database("x");
    seconds(
        peer.client("psql")
            .args(["-Xq", "-1", "-v", "ON_ERROR_STOP=1", "-d", "x", "-f"])
            .arg(&dumps.plain),
    )
}

fn pg_restore(peer: &Peer, dumps: &Dumps) -> f64 {
    peer.empty_database("x");
    seconds(peer.client("pg_restore").args(["-j2", "-d", "x"]).arg(&dumps.custom))
}

/// One experiment with every source; what each takes is stored by pgassay. Beside it, ANALYZE of the same data by psql.
fn prepare(table: &mut Table, program: &Program, peer: &Peer, dumps: &Dumps, dir: &Path) {
    let analyze: Vec<f64> = (0..N_RUNS)
        .map(|_| seconds(peer.client("psql").args(["-Xq", "-d", "x", "-c", "analyze"])) * 1000.0)
        .collect();
    let dataset = program.restore(&dumps.custom);
    let workload = program.workload(&dump::write(
        dir,
        "one.sql",
        "select count(*) from customer where id < 100;",
    ));
    let sources = ["none", "built_in", "uniform_target", "random_targets"];
    let wish: Vec<(&str, &str)> = sources.iter().map(|name| ("stats_source", *name)).collect();
    let wish = [
        wish,
        vec![("uniform_target.target", "1000"), ("iterations", "1"), ("warm_up", "0")],
    ]
    .concat();
    let ids: Vec<String> = (0..N_RUNS)
        .map(|_| program.experiment(&dataset, &workload, &wish))
        .collect();
    for (source_idx, name) in sources.iter().enumerate() {
        let took = ids.iter().map(|id| {
            program.store_number(&format!(
                "select apply_ms from experiment_sources where experiment_id = {id} and source_idx = {source_idx}"
            ))
        });
        let what = format!("preparing {name}");
        if *name == "built_in" {
            let pairs: Vec<(f64, f64)> = took.zip(analyze.iter().copied()).collect();
            table.pairs(&what, "psql -c analyze", "ms", &pairs, None);
        } else {
            table.single(&what, "ms", median(took), None);
        }
    }
}
