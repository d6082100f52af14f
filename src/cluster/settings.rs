//! The configuration of our servers as text: settings, who may connect, and as whom. Written anew at every start.

use std::fmt::Write;
use std::path::Path;

use crate::cluster::Kind;
use crate::cluster::SUPERUSER;
use crate::cluster::short_hash;
use crate::model::dataset::Setting;

/// The file that the server is started with. It includes what `initdb` found out about the machine, and has the last
/// word.
pub const FILE_NAME: &str = "pgassay.conf";

/// One process may send its queries to this many helpers, whatever the machine; Postgres's default, stated because
/// plans depend on it.
const MAX_WORKER_PROCESSES: u32 = 8;

/// The name that the processes of a cluster show, by which they are recognised where the system tells nothing better.
pub fn cluster_name(data_dir: &Path) -> String {
    format!("pgassay-{}", short_hash(data_dir))
}

/// The text of `pgassay.conf`. Of `instead` each has its way against what is usual.
pub fn configuration(
    kind: Kind,
    data_dir: &Path,
    socket_dir: &Path,
    shared_buffers_bytes: u64,
    instead: &[Setting],
) -> String {
    let mut text = String::from("# Written by pgassay at every start.\ninclude 'postgresql.conf'\n");
    let mut set = |name: &str, value: &str| {
        writeln!(text, "{name} = {value}").expect("a String takes all text");
    };
    // The value is a list of names, and quotes keep a comma from ending one.
    let socket_dirs = quoted(&format!("\"{}\"", socket_dir.display()));
    let shared_buffers = format!("{}kB", shared_buffers_bytes / 1024);
    let worker_processes = MAX_WORKER_PROCESSES.to_string();
    set("listen_addresses", "''");
    set("port", &crate::cluster::PORT.to_string());
    set("unix_socket_directories", &socket_dirs);
    set("unix_socket_permissions", "0700");
    set("cluster_name", &quoted(&cluster_name(data_dir)));
    set("shared_buffers", &shared_buffers);
    set("max_connections", "100");
    set("client_connection_check_interval", "1s");
    set("password_encryption", "scram-sha-256");
    set("log_destination", "stderr");
    set("logging_collector", "off");
    set("log_checkpoints", "off");
    set("log_statement", "none");
    set("lc_messages", "'C'");
    match kind {
        Kind::Store => {}
        Kind::Sandbox => {
            set("shared_preload_libraries", "''");
            set("autovacuum", "off");
            set("wal_level", "minimal");
            set("max_wal_senders", "0");
            set("max_wal_size", "4GB");
            set("max_prepared_transactions", "0");
            set("max_worker_processes", &worker_processes);
            // What fails in a sandbox is an outcome and stored as one; its text and rows have no place in a log.
            set("log_min_messages", "log");
            set("log_min_error_statement", "panic");
        }
    }
    // Of two lines the later counts.
    for setting in instead {
        set(&setting.name, &quoted(&setting.value));
    }
    text
}

/// The text of `pg_hba.conf`. Only local lines: nothing listens elsewhere. Role `ws`, that all roles of uploads are
/// members of, need not exist yet.
pub fn host_based_authentication(kind: Kind) -> String {
    let lines: &[[&str; 4]] = match kind {
        Kind::Store => &[["all", "all", "peer", "map=adm"]],
        Kind::Sandbox => &[
            ["all", SUPERUSER, "peer", "map=adm"],
            ["postgres,template0,template1", "all", "reject", ""],
            ["all", "+ws", "scram-sha-256", ""],
        ],
    };
    let mut text = String::from("# Written by pgassay at every start.\n");
    for line in lines {
        writeln!(text, "local {}", line.join(" ").trim_end()).expect("a String takes all text");
    }
    text
}

/// The text of `pg_ident.conf`: this user of the machine is the superuser of the cluster, and nobody else is.
pub fn user_map(os_user: &str) -> String {
    let os_user = os_user.replace('"', "\"\"");
    format!("# Written by pgassay at every start.\nadm \"{os_user}\" {SUPERUSER}\n")
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox() -> String {
        let data_dir = Path::new("/data/sandboxes/12");
        configuration(Kind::Sandbox, data_dir, Path::new("/tmp/it's, mine/s12"), 1 << 27, &[])
    }

    #[test]
    fn a_sandbox_listens_on_its_socket_only_and_keeps_quiet() {
        let text = sandbox();
        for line in [
            "listen_addresses = ''",
            "unix_socket_directories = '\"/tmp/it''s, mine/s12\"'",
            "unix_socket_permissions = 0700",
            "shared_buffers = 131072kB",
            "autovacuum = off",
            "wal_level = minimal",
            "max_wal_senders = 0",
            "max_prepared_transactions = 0",
            "client_connection_check_interval = 1s",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("fsync"), "a crash must not cost a dataset");
    }

    #[test]
    fn the_store_keeps_autovacuum() {
        let text = configuration(Kind::Store, Path::new("/d"), Path::new("/s"), 1 << 27, &[]);
        assert!(!text.contains("autovacuum"));
    }

    #[test]
    fn only_the_superuser_passes_without_a_password() {
        let sandbox = host_based_authentication(Kind::Sandbox);
        let lines: Vec<&str> = sandbox.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "local all postgres peer map=adm",
                "local postgres,template0,template1 all reject",
                "local all +ws scram-sha-256",
            ]
        );
        assert!(host_based_authentication(Kind::Store).ends_with("\nlocal all all peer map=adm\n"));
    }

    #[test]
    fn the_user_map_quotes_names() {
        assert!(user_map("o\"neil").ends_with("adm \"o\"\"neil\" postgres\n"));
    }
}
