//! Writes a backup while pgassay runs.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::house::Guests;
use crate::app::house::House;
use crate::app::house::Programs;
use crate::backup::BackupError;
use crate::backup::archive::Draft;
use crate::backup::archive::PIECE_BYTES;
use crate::backup::archive::Squeeze;
use crate::backup::format;
use crate::backup::format::Manifest;
use crate::backup::format::Origin;
use crate::backup::programs::Executable;
use crate::backup::programs::Running;
use crate::backup::programs::Whereabouts;
use crate::cluster::binaries::Binaries;
use crate::cluster::leftover;
use crate::config::Access;
use crate::config::HouseConfig;
use crate::files::layout::Layout;
use crate::model::ids::DatasetId;
use crate::store;
use crate::store::backups;
use crate::store::backups::KeptDumps;

/// Pieces between who reads and who writes. Who is quicker waits.
pub const PIECES: usize = 4;

/// What a backup holds.
pub struct Written {
    pub manifest: Manifest,
    /// Datasets whose dumps lie elsewhere, and so not in it.
    pub in_depot: Vec<DatasetId>,
    pub elsewhere: Vec<DatasetId>,
    /// The key file that is not in it, because it lies outside of the data directory.
    pub key_elsewhere: Option<PathBuf>,
}

/// Writes a backup of the house to `path`, where nothing is yet; others may go on working in the house.
pub async fn back_up(config: &HouseConfig, path: &Path, stop: &CancellationToken) -> anyhow::Result<Written> {
    // Nothing is started for a name that is taken.
    let draft = Draft::begin(path, stop.clone())?;
    // Boxed, both: what they remember between two steps is too much for the stack of whoever waits for them.
    let house = Box::pin(House::open_with(config, Programs::IfThere, Access::Local)).await?;
    let written = Box::pin(write(config, &house, draft, stop)).await;
    house.close(Guests::WaitFor).await?;
    written
}

async fn write(config: &HouseConfig, house: &House, draft: Draft, stop: &CancellationToken) -> anyhow::Result<Written> {
    let own_key = house.layout.key_file();
    let key_file = config.key_file.clone().unwrap_or_else(|| own_key.clone());
    let mut view = house.pool.begin_with(backups::BEGIN).await?;
    backups::stand_still(&mut view).await?;
    let facts = backups::facts(&mut view).await?;
    let dumps = backups::list_dumps(&mut view, &house.home).await?;
    let binaries = Binaries::find(config.pg_bindir.as_deref()).await.ok();
    let bindir = binaries.as_ref().map(|binaries| &*binaries.bindir);
    let pg_dump = Executable::find("pg_dump", bindir, facts.server_version_num / 10_000).await?;
    let origin = Origin {
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: facts.now,
        schema_version: store::schema_version(),
        server_version_num: facts.server_version_num,
        pg_dump_version_num: pg_dump.version_num,
        database_bytes: facts.database_bytes,
        store_name: facts.name,
        home: house.home.clone(),
    };
    let view_name = format!("--snapshot={}", backups::share_view(&mut view).await?);
    let arguments = ["--format=custom", "--no-owner", "--no-privileges", &view_name];
    let dumping = pg_dump.start(&whereabouts(config, &house.layout)?, &arguments)?;
    let contents = Contents {
        key_file: (key_file == own_key).then(|| own_key.clone()),
        uploads: dumps.here.iter().map(|id| (*id, house.layout.dump(*id))).collect(),
        origin,
    };
    let (send, pieces) = mpsc::channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || contents.write(draft, pieces));
    let fed = tokio::select! {
        fed = feed(dumping, send) => fed,
        () = stop.cancelled() => Err(BackupError::Stopped.into()),
    };
    let written = writing.await.context("writing the backup")?;
    // Until the last byte of the dump is read. How it ends says nothing of what was read.
    drop(view);
    let manifest = match (written, fed) {
        (Ok(manifest), Ok(())) => manifest,
        // What the disk says matters more than what a program says whose output nobody took any more.
        (Err(error @ (BackupError::DiskFull(_) | BackupError::Stopped)), _) => return Err(error.into()),
        (_, Err(error)) | (Err(BackupError::Fault(error)), Ok(())) => return Err(error),
        (Err(error), Ok(())) => return Err(error.into()),
    };
    let KeptDumps {
        in_depot, elsewhere, ..
    } = dumps;
    Ok(Written {
        manifest,
        in_depot,
        elsewhere,
        key_elsewhere: (key_file != own_key).then_some(key_file),
    })
}

/// Passes on what `pg_dump` writes, and last that it has ended well.
async fn feed(mut dumping: Running, send: mpsc::Sender<Piece>) -> anyhow::Result<()> {
    let mut output = dumping.child.stdout.take().context("the output of pg_dump")?;
    // It reads nothing.
    drop(dumping.child.stdin.take());
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let n_read = output.read_buf(&mut piece).await.context("reading from pg_dump")?;
        if n_read == 0 {
            break;
        }
        if send.send(Piece::Bytes(piece.into())).await.is_err() {
            // Who writes has given up, and says why.
            return Ok(());
        }
    }
    dumping.finish().await.context("dumping the store")?;
    // As above.
    let _ = send.send(Piece::End).await;
    Ok(())
}

enum Piece {
    Bytes(Bytes),
    /// There is no more, and what was there is whole.
    End,
}

/// What is to be in a backup beside the store.
struct Contents {
    key_file: Option<PathBuf>,
    uploads: Vec<(DatasetId, PathBuf)>,
    origin: Origin,
}

impl Contents {
    fn write(self, mut draft: Draft, pieces: mpsc::Receiver<Piece>) -> Result<Manifest, BackupError> {
        let store = PieceReader {
            pieces,
            piece: Bytes::new(),
            has_ended: false,
        };
        draft.add(format::STORE, Squeeze::No, store)?;
        if let Some(key_file) = &self.key_file {
            let key = File::open(key_file).with_context(|| format!("opening {}", key_file.display()))?;
            draft.add(format::KEY, Squeeze::No, key)?;
        }
        let mut left_out = Vec::new();
        for (id, path) in &self.uploads {
            match File::open(path) {
                Ok(dump) => draft.add(&format::upload_name(*id), Squeeze::Yes, dump)?,
                // Deleted since the store was looked at.
                Err(error) if error.kind() == io::ErrorKind::NotFound => left_out.push(*id),
                Err(error) => {
                    let opening = format!("opening {}", path.display());
                    return Err(anyhow::Error::new(error).context(opening).into());
                }
            }
        }
        draft.finish(self.origin, left_out)
    }
}

/// Reads what comes in pieces, in a thread that may wait.
struct PieceReader {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    has_ended: bool,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.has_ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(piece)) => self.piece = piece,
                Some(Piece::End) => self.has_ended = true,
                None => return Err(io::Error::other("it broke off")),
            }
        }
        let piece = self.piece.split_to(self.piece.len().min(buffer.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// Where programs find the store of a house that is open.
fn whereabouts(config: &HouseConfig, layout: &Layout) -> anyhow::Result<Whereabouts> {
    if let Some(url) = config.database_url() {
        return Whereabouts::external(url);
    }
    let running = leftover::running(&layout.store())?.context("the embedded store does not run")?;
    Ok(Whereabouts::embedded(&running.socket_dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::belongings;
    use crate::testing::bench::Bench;

    /// How long a session of the store may stand idle in a transaction.
    const PATIENCE: &str = "current_setting('idle_in_transaction_session_timeout')";

    #[tokio::test]
    async fn the_store_ends_no_backup_however_long_that_takes() {
        let bench = Bench::open().await;
        let pool = &bench.house.pool;
        // From now on the store tells its name to nobody whom it would ever end.
        let tell = sqlx::AssertSqlSafe(format!(
            "alter table store_names rename to kept_names;
             create view store_names as select name from kept_names where {PATIENCE} = '0'"
        ));
        sqlx::raw_sql(tell).execute(pool).await.unwrap();
        let usual = store::name(&mut pool.acquire().await.unwrap()).await;
        assert!(matches!(usual, Err(sqlx::Error::RowNotFound)), "{usual:?}");

        let path = belongings::dir().join("backup.zip");
        let stop = CancellationToken::new();
        let draft = Draft::begin(&path, stop.clone()).unwrap();
        let written = Box::pin(write(&bench.config, &bench.house, draft, &stop));
        let written = written.await.unwrap();
        assert!(!written.manifest.origin.store_name.is_empty() && path.exists());
        // And for the backup alone.
        let asked = sqlx::AssertSqlSafe(format!("select {PATIENCE}"));
        let usual: String = sqlx::query_scalar(asked).fetch_one(pool).await.unwrap();
        assert_eq!(usual, "1min");
        bench.close().await;
    }
}
