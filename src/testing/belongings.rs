//! What a test has for itself: databases and directories, which go when its thread ends, whether it has passed or panicked.
//!
//! They are cleared away by a thread of its own, for which no test waits. What that leaves goes with the process: see
//! [`scratch`].

use std::cell::RefCell;
use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc;

use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions as _;
use sqlx::PgConnection;

use crate::cluster::Stop;
use crate::cluster::leftover;
use crate::cluster::leftover::Found;
use crate::files::removal;
use crate::testing;
use crate::testing::scratch;

#[derive(Debug)]
enum Belonging {
    /// Of the tests' store.
    Database(String),
    Directory(PathBuf),
}

/// Those of one thread.
struct Belongings(Vec<Belonging>);

impl Drop for Belongings {
    fn drop(&mut self) {
        for belonging in self.0.drain(..) {
            // At the end of the process nobody may be there any more who takes it.
            let _ = SWEEPER.send(belonging);
        }
    }
}

thread_local! {
    static OWN: RefCell<Belongings> = const { RefCell::new(Belongings(Vec::new())) };
}

static SWEEPER: LazyLock<mpsc::Sender<Belonging>> = LazyLock::new(|| {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || sweep(&receive));
    send
});

/// A new, empty directory that servers can get at, for as long as the test runs.
pub fn dir() -> PathBuf {
    let dir = scratch::dir();
    take(Belonging::Directory(dir.clone()));
    dir
}

/// Has a database of the tests' store dropped behind the test.
pub fn database(name: &str) {
    take(Belonging::Database(name.to_owned()));
}

fn take(belonging: Belonging) {
    OWN.with_borrow_mut(|own| own.0.push(belonging));
}

fn sweep(belongings: &mpsc::Receiver<Belonging>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let mut conn = None;
        while let Ok(belonging) = belongings.recv() {
            let swept = match &belonging {
                Belonging::Database(name) => drop_database(&mut conn, name).await,
                Belonging::Directory(dir) => empty(dir).await,
            };
            if let Err(error) = swept {
                eprintln!("{belonging:?} stays until the process ends: {error:#}");
            }
        }
    });
}

async fn drop_database(conn: &mut Option<PgConnection>, name: &str) -> anyhow::Result<()> {
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(testing::store_options("postgres").connect().await?),
    };
    // Safe: a name of ours. The test may have dropped it itself. By force: the server may not have noticed yet that the
    // sessions of the test are gone.
    let sql = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
    sqlx::raw_sql(sql).execute(conn).await?;
    Ok(())
}

/// Takes away all that is in a directory. It stays itself: by its name those that clear up behind the process find its
/// sockets. What a server works in that somebody still holds stays for them, too.
async fn empty(dir: &Path) -> anyhow::Result<()> {
    for path in entries(dir)?.into_iter().chain(entries(&dir.join("sandboxes"))?) {
        if path.join("postmaster.pid").exists()
            && leftover::stop_leftover(&path, Stop::Immediate).await? == Found::InUse
        {
            return Ok(());
        }
    }
    for path in entries(dir)? {
        if path.is_dir() {
            removal::remove_dir(&path).await?;
        } else {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    Ok(entries.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::bench::PATIENCE;

    async fn is_there(database: &str) -> bool {
        let mut conn = testing::store_options("postgres").connect().await.unwrap();
        let asked = sqlx::query_scalar("select exists (select from pg_database where datname = $1)").bind(database);
        asked.fetch_one(&mut conn).await.unwrap()
    }

    #[tokio::test]
    async fn what_belongs_to_a_test_goes_with_it_also_when_it_panics() {
        let (send, taken) = mpsc::channel();
        let test = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let pool = testing::database().await;
                let (name, dir) = (pool.connect_options().get_database().unwrap().to_owned(), dir());
                std::fs::create_dir_all(dir.join("sandboxes/1")).unwrap();
                std::fs::write(dir.join("home-id"), "x").unwrap();
                assert!(is_there(&name).await);
                send.send((name, dir)).unwrap();
                std::panic::resume_unwind(Box::new("with a connection in hand"));
            });
        });
        assert!(test.join().is_err());
        let (name, dir) = taken.recv().unwrap();
        let gone = async {
            while is_there(&name).await || !entries(&dir).unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // What all tests before have left is cleared away first, on a disk that others use, too.
        tokio::time::timeout(10 * PATIENCE, gone).await.unwrap();
    }
}
