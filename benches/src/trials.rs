//! The trial phase beside the sum of its server times, a psql loop and pgbench; and swaps at 500 columns.

use std::fmt::Write as _;
use std::path::Path;

use crate::dump;
use crate::machine::Scratch;
use crate::peer::Peer;
use crate::peer::seconds;
use crate::program::Program;
use crate::table::Table;
use crate::table::median;
use crate::table::number;
use crate::table::verdict;

const N_RUNS: usize = 5;

/// A table in which a number of rows is a number of milliseconds.
pub const SERIES: &str = "create table series (id int primary key, value text not null);
insert into series select n, md5(n::text) from generate_series(1, 400000) n;
";

/// Queries of about 0.05, 1 and 20 ms by their rows, and how many rounds of each are run.
const QUERIES: [(&str, u32, u32); 3] = [("0.05 ms", 300, 400), ("1 ms", 8_000, 300), ("20 ms", 160_000, 60)];

/// The peers plan as a trial does; with parallel workers theirs would be other queries.
const SESSION: &str = "-c jit=off -c max_parallel_workers_per_gather=0 -c synchronize_seqscans=off";

pub fn query(n_rows: u32) -> String {
    format!("select sum(length(value)) from series where id <= {n_rows}")
}

pub fn run(table: &mut Table) {
    let scratch = Scratch::new("trials");
    let dir = scratch.path();
    let peer = Peer::start(&dir.join("peer"));
    let program = Program::start(&dir.join("data"));
    let script = dump::write(dir, "series.sql", SERIES);
    let dataset = program.restore(&script);
    peer.empty_database("x");
    seconds(peer.client("psql").args(["-Xq", "-d", "x", "-f"]).arg(&script));
    peer.sql("x", &["vacuum (freeze, analyze)"]);
    let commit_ms = commit_ms(&program, dir);
    table.single("a commit in the store, by pgbench", "ms", commit_ms, None);
    for (name, n_rows, n_rounds) in QUERIES {
        overhead(
            table,
            &program,
            &peer,
            (&dataset, dir),
            (name, n_rows, n_rounds),
            commit_ms,
        );
    }
    swaps(table, &program, dir);
}

/// What a trial took on average, in milliseconds.
struct Pace {
    wall: f64,
    server: f64,
}

fn overhead(
    table: &mut Table,
    program: &Program,
    peer: &Peer,
    (dataset, dir): (&str, &Path),
    (name, n_rows, n_rounds): (&str, u32, u32),
    commit_ms: f64,
) {
    let explain = format!(
        "explain (analyze, timing off, buffers off, format json) {};\n",
        query(n_rows)
    );
    let once = dump::write(dir, "once.sql", &explain);
    let many = dump::write(dir, "many.sql", &explain.repeat(n_rounds as usize));
    let workload = program.workload(&dump::write(dir, "query.sql", &format!("{};\n", query(n_rows))));
    let rounds = n_rounds.to_string();
    let wish = [
        ("stats_source", "built_in"),
        ("iterations", rounds.as_str()),
        ("warm_up", "1"),
    ];
    let (mut ours, mut psql, mut pgbench) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..N_RUNS {
        ours.push(pace(program, &program.experiment(dataset, &workload, &wish)));
        let per_statement = |took_s: f64| took_s * 1000.0 / f64::from(n_rounds);
        psql.push(per_statement(seconds(
            peer.client("psql")
                .env("PGOPTIONS", SESSION)
                .args(["-Xq", "-d", "x", "-f"])
                .arg(&many),
        )));
        let mut client = peer.client("pgbench");
        client.env("PGOPTIONS", SESSION);
        client.args(["-n", "-c1", "-t", &rounds, "-f"]).arg(&once).arg("x");
        pgbench.push(per_statement(seconds(&mut client)));
    }
    let wall = |pace: &Pace| pace.wall;
    let ratio = median(ours.iter().map(|pace| pace.wall / pace.server));
    let server = median(ours.iter().map(|pace| pace.server));
    let added = median(ours.iter().map(|pace| pace.wall - pace.server));
    let (budget, is_met) = if server >= 5.0 {
        ("at most 1.10".to_owned(), ratio <= 1.10)
    } else {
        let most = 1.0 + commit_ms;
        (format!("{} ms added", number(most)), added <= most)
    };
    table.row(
        &format!("a trial of {name}: wall time"),
        &format!("{} ms, {} added", number(median(ours.iter().map(wall))), number(added)),
        &format!("the server's own times: {} ms", number(server)),
        &format!("{ratio:.2}"),
        &budget,
        verdict(Some(is_met)),
    );
    for (peer_name, times) in [("psql -f", &psql), ("pgbench -f", &pgbench)] {
        let pairs: Vec<(f64, f64)> = ours.iter().map(wall).zip(times.iter().copied()).collect();
        table.pairs(
            &format!("a trial of {name}: wall time"),
            &format!("{peer_name}, the same EXPLAIN"),
            "ms",
            &pairs,
            None,
        );
    }
}

fn pace(program: &Program, id: &str) -> Pace {
    let number = |sql: &str| program.store_number(&format!("select {sql} from trials where experiment_id = {id}"));
    let wall = number(&format!(
        "extract(epoch from max(recorded_at) - (select min(started_at) from segments where experiment_id = {id})) * 1000 / count(*)"
    ));
    Pace {
        wall,
        server: number("sum(execution_ms + planning_ms) / count(*)"),
    }
}

/// What the store's own commit costs on this disk: a table of two columns, one row a transaction.
fn commit_ms(program: &Program, dir: &Path) -> f64 {
    const N: u32 = 500;
    program.store("create table if not exists bench_commit (n int, at timestamptz default clock_timestamp())");
    let script = dump::write(dir, "commit.sql", "insert into bench_commit values (1);\n");
    let times = (0..N_RUNS).map(|_| {
        let mut client = program.store_client("pgbench");
        client
            .args(["-n", "-c1", "-t", &N.to_string(), "-f"])
            .arg(&script)
            .arg("postgres");
        seconds(&mut client) * 1000.0 / f64::from(N)
    });
    median(times)
}

/// Ten tables of fifty columns. One source stays in force; of two, each round swaps both in.
fn swaps(table: &mut Table, program: &Program, dir: &Path) {
    let mut text = String::new();
    for table_no in 0..10 {
        let columns: Vec<String> = (0..50).map(|n| format!("c{n} int")).collect();
        let values: Vec<String> = (0..50).map(|n| format!("n * {} % {}", n + 7, 20 * (n + 1))).collect();
        writeln!(text, "create table wide_{table_no} ({});", columns.join(", ")).expect("a String takes all text");
        writeln!(
            text,
            "insert into wide_{table_no} select {} from generate_series(1, 3000) n;",
            values.join(", ")
        )
        .expect("a String takes all text");
    }
    let dataset = program.restore(&dump::write(dir, "wide.sql", &text));
    let workload = program.workload(&dump::write(
        dir,
        "wide_query.sql",
        "select 1 from wide_0 where c1 = 1;\n",
    ));
    let rest = [("uniform_target.target", "100"), ("iterations", "60"), ("warm_up", "0")];
    let one = [vec![("stats_source", "built_in")], rest.to_vec()].concat();
    let two = [
        vec![("stats_source", "built_in"), ("stats_source", "uniform_target")],
        rest.to_vec(),
    ]
    .concat();
    let gap = |wish: &[(&str, &str)]| {
        let id = program.experiment(&dataset, &workload, wish);
        program.store_number(&format!(
            "select percentile_cont(0.5) within group (order by gap) from
               (select extract(epoch from recorded_at - lag(recorded_at) over (order by trial_idx)) * 1000 as gap,
                       source_idx <> lag(source_idx) over (order by trial_idx) or {} as swapped
                from trials where experiment_id = {id}) g where swapped",
            wish.len() == one.len()
        ))
    };
    let swaps: Vec<f64> = (0..N_RUNS)
        .map(|_| {
            let without = gap(&one);
            gap(&two) - without
        })
        .collect();
    table.single(
        "a swap at 500 columns, its planning included",
        "ms",
        median(swaps),
        Some(10.0),
    );
}
