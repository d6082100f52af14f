//! The bytes of a dump: unpacked, counted, and capped.

use std::fs::File;
use std::io::Seek as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use async_compression::tokio::bufread::GzipDecoder;
use async_compression::tokio::bufread::ZstdDecoder;
use tokio::io::AsyncRead;
use tokio::io::BufReader;
use tokio::io::ReadBuf;

use crate::model::dataset::Compression;

/// How far a file has been read, for whoever shows progress.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    n_bytes: Arc<AtomicU64>,
    /// The same open file that a child reads: their position is one.
    shared: Arc<OnceLock<File>>,
}

impl Counter {
    /// Bytes of the file, as it lies on disk.
    pub fn bytes(&self) -> u64 {
        let position = self.shared.get().and_then(|mut file| file.stream_position().ok());
        position.unwrap_or_else(|| self.n_bytes.load(Ordering::Relaxed))
    }

    /// Follows a file that a child will read.
    pub fn follow(&self, file: &File) -> std::io::Result<()> {
        // A second file has no second reader to show.
        let _ = self.shared.set(file.try_clone()?);
        Ok(())
    }
}

/// A reader of some sort.
pub type Bytes = Box<dyn AsyncRead + Send + Sync + Unpin>;

const BUFFER_BYTES: usize = 256 * 1024;

/// Opens a file and unpacks it on the way.
pub async fn open(path: &Path, compression: Compression, counter: &Counter) -> std::io::Result<Bytes> {
    let file = tokio::fs::File::open(path).await?;
    let counted = BufReader::with_capacity(
        BUFFER_BYTES,
        Counted {
            inner: file,
            counter: counter.clone(),
        },
    );
    Ok(match compression {
        Compression::None => Box::new(counted),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(counted);
            // gzip allows several members in one file, and log rotation makes such files.
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::new(counted);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
    })
}

/// Counts what passes.
struct Counted<R> {
    inner: R,
    counter: Counter,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        this.counter
            .n_bytes
            .fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}
