//! The real pgbench.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use crate::cluster::binaries::Binaries;
use crate::testing;
use crate::testing::scratch;

use super::GIVEN;

pub struct Pgbench {
    binaries: Binaries,
    /// Of a database of its own.
    url: String,
    dir: PathBuf,
}

/// For a test that is not async.
pub fn in_runtime() -> Pgbench {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(Pgbench::find())
}

impl Pgbench {
    pub async fn find() -> Self {
        Self {
            binaries: Binaries::find(testing::pg_bindir().as_deref()).await.unwrap(),
            url: testing::database_url().await,
            dir: scratch::dir(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(testing::client(&self.binaries, "pgbench"));
        command.env_clear().env("LC_ALL", "C").arg("--no-vacuum");
        for (name, text) in GIVEN {
            command.arg(format!("--define={name}={text}"));
        }
        command
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.dir.join("program.sql");
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs a program with further options.
    fn run(&self, text: &str, options: &[String]) -> Output {
        let mut command = self.command();
        command.arg("--random-seed=42").arg("--file").arg(self.file(text));
        command.args(options).arg(&self.url);
        command.output().expect("pgbench, which .ci/setup installs")
    }

    /// What `debug` says while a program runs, without where it was said.
    fn said(&self, text: &str, options: &[String]) -> Vec<String> {
        let output = self.run(text, options);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let lines = said
            .lines()
            .filter_map(|line| line.strip_prefix("debug(")?.split_once("): "));
        lines.map(|(_, value)| value.to_owned()).collect()
    }

    /// The values of expressions with their types.
    pub fn debug(&self, exprs: &[String]) -> Vec<String> {
        let program: String = exprs.iter().map(|expr| format!("\\set v debug({expr})\n")).collect();
        let said = self.said(&program, &["--transactions=1".to_owned()]);
        assert_eq!(said.len(), exprs.len());
        said
    }

    /// What pgbench says of expressions without a value; nothing of one with a value. A failure ends its client, so each
    /// is left to another.
    pub fn failures(&self, exprs: &[String]) -> Vec<String> {
        let blocks = exprs.iter().enumerate();
        let program: String = blocks
            .map(|(idx, expr)| format!("\\if :client_id = {idx}\n\\set v {expr}\n\\endif\n"))
            .collect();
        let mut failures = vec![String::new(); exprs.len()];
        if exprs.is_empty() {
            return failures;
        }
        let output = self.run(
            &program,
            &["--transactions=1".to_owned(), format!("--client={}", exprs.len())],
        );
        let said = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("pgbench: error: "))
            .collect();
        for pair in lines.windows(2) {
            if let Some(client) = pair[1].strip_prefix("client ").and_then(|rest| rest.split(' ').next()) {
                pair[0].clone_into(&mut failures[client.parse::<usize>().unwrap()]);
            }
        }
        failures
    }

    /// The number of the client and what it drew, for each transaction.
    pub fn draws(&self, draws: &[&str], n_clients: u32, n_transactions: usize) -> Vec<String> {
        let program: String = draws.iter().map(|draw| format!("\\set v debug({draw})\n")).collect();
        let options = [
            format!("--client={n_clients}"),
            format!("--transactions={n_transactions}"),
        ];
        let said = self.said(&format!("\\set v debug(:client_id)\n{program}"), &options);
        let values: Vec<&str> = said.iter().filter_map(|value| Some(value.split_once(' ')?.1)).collect();
        values.chunks(draws.len() + 1).map(|drawn| drawn.join(" ")).collect()
    }

    /// What a program that stores its statements has stored, sent by the simple protocol.
    pub fn statements(&self, text: &str) -> Vec<String> {
        self.psql("create table seen (what text, place bigint generated always as identity)");
        let output = self.run(text, &["--transactions=1".to_owned()]);
        assert!(output.status.success(), "{output:?}");
        let seen =
            self.psql("select string_agg(what, E'\\x01' order by place) from seen where what like '%current_query%'");
        seen.trim_end_matches('\n').split('\u{1}').map(str::to_owned).collect()
    }

    fn psql(&self, sql: &str) -> String {
        let mut psql = Command::new(testing::client(&self.binaries, "psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql])
            .arg(&self.url);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether pgbench finds nothing wrong with a program; it looks before it connects.
    pub fn accepts(&self, text: &str) -> bool {
        let mut command = self.command();
        command
            .arg("--file")
            .arg(self.file(text))
            .arg("--host=/nowhere")
            .arg("postgres");
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("connection to server")
    }

    /// The text of a built-in script.
    pub fn script(&self, name: &str) -> String {
        let output = self.command().arg(format!("--show-script={name}")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        // pgbench writes it where it writes what it has to say.
        String::from_utf8(output.stderr).unwrap()
    }
}
