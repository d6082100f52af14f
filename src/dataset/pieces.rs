//! The pieces of a dump, one after the other, whatever it is packed in.

use std::collections::VecDeque;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use crate::dataset::archive;
use crate::dataset::archive::Converter;
use crate::dataset::encoding;
use crate::dataset::encoding::Transcoder;
use crate::dataset::error::RestoreError;
use crate::dataset::format::FormatError;
use crate::dataset::reader;
use crate::dataset::reader::Bytes;
use crate::dataset::reader::Counter;
use crate::model::dataset::Compression;
use crate::model::dataset::DumpFormat;
use crate::model::units::bytes_in_words;
use crate::sql::split::Ending;
use crate::sql::split::Limits;
use crate::sql::split::Piece;
use crate::sql::split::SplitError;
use crate::sql::split::Splitter;

const CHUNK_BYTES: usize = 256 * 1024;
/// In which a dump declares its encoding.
const HEAD_BYTES: usize = 64 * 1024;

/// Where a dump lies and how it is to be read.
#[derive(Clone, Debug)]
pub struct DumpFile<'a> {
    pub path: &'a Path,
    pub format: DumpFormat,
    pub compression: Compression,
    /// None where this machine has none.
    pub pg_restore: Option<&'a Path>,
    /// The most that may come out of it.
    pub max_expanded_bytes: u64,
}

/// Reads a dump piece by piece in constant memory.
pub struct Pieces {
    bytes: Bytes,
    converter: Option<Converter>,
    transcoder: Transcoder,
    splitter: Option<Splitter>,
    ready: VecDeque<Piece>,
    ending: Option<Ending>,
    n_expanded_bytes: u64,
    max_expanded_bytes: u64,
    is_compressed: bool,
}

impl Pieces {
    pub async fn open(file: &DumpFile<'_>, counter: &Counter) -> Result<Self, RestoreError> {
        let (bytes, converter): (Bytes, _) = match file.format {
            DumpFormat::Plain => {
                let bytes = reader::open(file.path, file.compression, counter)
                    .await
                    .map_err(anyhow::Error::new)?;
                (bytes, None)
            }
            DumpFormat::Custom | DumpFormat::Tar => {
                let pg_restore = file
                    .pg_restore
                    .ok_or_else(|| RestoreError::Sentence(FormatError::NoTools.to_string()))?;
                let (converter, sql) = archive::convert(pg_restore, file.path, file.compression, counter).await?;
                (Box::new(sql), Some(converter))
            }
        };
        let mut pieces = Self {
            bytes,
            converter,
            transcoder: Transcoder::new("UTF8")?,
            splitter: Some(Splitter::new(Limits::default())),
            ready: VecDeque::new(),
            ending: None,
            n_expanded_bytes: 0,
            max_expanded_bytes: file.max_expanded_bytes,
            is_compressed: file.compression != Compression::None,
        };
        let head = pieces.read(HEAD_BYTES).await?;
        pieces.transcoder = Transcoder::new(&encoding::declared(&head))?;
        pieces.split(head).await?;
        Ok(pieces)
    }

    /// The encoding in which the file is read.
    pub fn transcoder(&self) -> &Transcoder {
        &self.transcoder
    }

    /// What the file as a whole was like; none before its end.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The next piece; none at the end of the file.
    pub async fn next(&mut self) -> Result<Option<Piece>, RestoreError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.splitter.is_none() {
                return Ok(None);
            }
            let chunk = self.read(CHUNK_BYTES).await?;
            self.split(chunk).await?;
        }
    }

    /// The next bytes, as many as there are up to `most`; empty at the end.
    async fn read(&mut self, most: usize) -> Result<Vec<u8>, RestoreError> {
        let mut chunk = Vec::with_capacity(most);
        let mut limited = (&mut self.bytes).take(most as u64);
        if let Err(error) = limited.read_to_end(&mut chunk).await {
            return Err(if self.is_compressed {
                RestoreError::Sentence(format!(
                    "The compressed file is cut off or damaged after {} of text: {error}.",
                    bytes_in_words(self.n_expanded_bytes)
                ))
            } else {
                RestoreError::Lost(anyhow::Error::new(error).context("reading a dump"))
            });
        }
        self.n_expanded_bytes += chunk.len() as u64;
        if self.n_expanded_bytes > self.max_expanded_bytes {
            return Err(RestoreError::Sentence(format!(
                "The dump expands to more than the limit of {}. A larger limit is set by PGASSAY_MAX_EXPANDED_BYTES.",
                bytes_in_words(self.max_expanded_bytes)
            )));
        }
        Ok(chunk)
    }

    /// An empty chunk ends the file.
    async fn split(&mut self, chunk: Vec<u8>) -> Result<(), RestoreError> {
        let is_last = chunk.is_empty();
        let text = self.transcoder.decode(chunk, is_last)?;
        let mut pieces = Vec::new();
        let result = match self.splitter.as_mut() {
            Some(splitter) => splitter.push(&text, &mut pieces),
            None => Ok(()),
        };
        self.ready.extend(pieces);
        if let Err(error) = result {
            return Err(self.explain(error).await);
        }
        if is_last && let Some(splitter) = self.splitter.take() {
            let mut pieces = Vec::new();
            let ending = splitter.finish(&mut pieces);
            self.ready.extend(pieces);
            // The converter's own words say more than the text that it left unfinished.
            if let Some(converter) = self.converter.take() {
                converter.finish().await?.map_err(RestoreError::Sentence)?;
            }
            self.ending = Some(ending?);
        }
        Ok(())
    }

    async fn explain(&mut self, error: SplitError) -> RestoreError {
        match (&error, self.converter.take()) {
            (SplitError::Unclosed { .. } | SplitError::InsideCopy { .. }, Some(converter)) => {
                match converter.finish().await {
                    Ok(Err(sentence)) => RestoreError::Sentence(sentence),
                    _ => RestoreError::Split(error),
                }
            }
            _ => RestoreError::Split(error),
        }
    }
}
