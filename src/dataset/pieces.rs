//! The pieces of a dump, one after the other, whatever it is packed in.

use std::collections::VecDeque;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use crate::dataset::archive;
use crate::dataset::archive::Converter;
use crate::dataset::encoding;
use crate::dataset::encoding::Transcoder;
use crate::dataset::error::RestoreError;
use crate::dataset::reader;
use crate::dataset::reader::Bytes;
use crate::dataset::reader::Counter;
use crate::dataset::tar;
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
/// In which it says from what it was made.
const HEAD_LINES: usize = 20;

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
    /// What was wrong with the file as a whole, to be told when its pieces are out.
    verdict: Option<RestoreError>,
    /// The major version of the server that the dump says it was made from.
    made_from: Option<u32>,
    n_expanded_bytes: u64,
    max_expanded_bytes: u64,
    is_compressed: bool,
}

impl Pieces {
    pub async fn open(file: &DumpFile<'_>, counter: &Counter) -> Result<Self, RestoreError> {
        if file.format == DumpFormat::Tar && file.compression != Compression::None {
            check_compressed_tar(file).await?;
        }
        let (bytes, converter): (Bytes, _) = match file.format {
            DumpFormat::Plain => {
                let bytes = reader::open(file.path, file.compression, counter)
                    .await
                    .map_err(anyhow::Error::new)?;
                (bytes, None)
            }
            DumpFormat::Custom | DumpFormat::Tar => {
                let (converter, sql) = archive::convert(file, counter).await?;
                (Box::new(sql), Some(converter))
            }
        };
        let mut pieces = Self {
            bytes,
            converter,
            transcoder: Transcoder::new("UTF8")?,
            splitter: Some(Splitter::new(Limits::default())),
            ready: VecDeque::new(),
            verdict: None,
            made_from: None,
            n_expanded_bytes: 0,
            max_expanded_bytes: file.max_expanded_bytes,
            is_compressed: file.compression != Compression::None,
        };
        let head = pieces.read(HEAD_BYTES).await?;
        pieces.transcoder = Transcoder::new(&encoding::declared(&head))?;
        pieces.made_from = made_from(&head);
        pieces.split(head).await?;
        Ok(pieces)
    }

    /// The encoding in which the file is read.
    pub fn transcoder(&self) -> &Transcoder {
        &self.transcoder
    }

    /// The major version of the server that the dump says it was made from.
    pub fn made_from(&self) -> Option<u32> {
        self.made_from
    }

    /// The next piece; none at the end of a file that is whole.
    pub async fn next(&mut self) -> Result<Option<Piece>, RestoreError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if let Some(error) = self.verdict.take() {
                return Err(error);
            }
            if self.splitter.is_none() {
                return Ok(None);
            }
            let chunk = self.read(CHUNK_BYTES).await?;
            self.split(chunk).await?;
        }
    }

    /// Whether all data of the COPY that was just given out are at hand: whether they are few.
    pub fn holds_end_of_copy(&self) -> bool {
        self.ready.iter().any(|piece| matches!(piece, Piece::CopyEnd { .. }))
    }

    /// The next bytes, as many as there are up to `most`; empty at the end.
    async fn read(&mut self, most: usize) -> Result<Vec<u8>, RestoreError> {
        let mut chunk = Vec::with_capacity(most);
        let mut limited = (&mut self.bytes).take(most as u64);
        if let Err(error) = limited.read_to_end(&mut chunk).await {
            return Err(if self.is_compressed {
                RestoreError::damaged_compression(
                    &format!(" after {} of text", bytes_in_words(self.n_expanded_bytes)),
                    &error,
                )
            } else {
                RestoreError::Lost(anyhow::Error::new(error).context("reading a dump"))
            });
        }
        self.n_expanded_bytes += chunk.len() as u64;
        if self.n_expanded_bytes > self.max_expanded_bytes {
            return Err(RestoreError::expands_too_far(self.max_expanded_bytes));
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
                converter.finish().await?;
            }
            self.verdict = verdict(ending?);
        }
        Ok(())
    }

    async fn explain(&mut self, error: SplitError) -> RestoreError {
        match (&error, self.converter.take()) {
            (SplitError::Unclosed { .. } | SplitError::InsideCopy { .. }, Some(converter)) => {
                match converter.finish().await {
                    Err(RestoreError::Sentence(sentence)) => RestoreError::Sentence(sentence),
                    _ => RestoreError::Split(error),
                }
            }
            _ => RestoreError::Split(error),
        }
    }
}

/// Why a file that was read to its end is not a whole dump.
fn verdict(ending: Ending) -> Option<RestoreError> {
    let sentence = if !ending.any_statement {
        "No SQL statement was found in the file."
    } else if ending.lacks_trailer() {
        "The dump is cut off: pg_dump's end mark (-- PostgreSQL database dump complete) is missing."
    } else {
        return None;
    };
    Some(RestoreError::Sentence(sentence.to_owned()))
}

/// Reads a compressed tar once more than needed, because `pg_restore` loops for ever on one that is cut off.
async fn check_compressed_tar(file: &DumpFile<'_>) -> Result<(), RestoreError> {
    let unpacked = reader::open(file.path, file.compression, &Counter::default())
        .await
        .map_err(anyhow::Error::new)?;
    let mut limited = unpacked.take(file.max_expanded_bytes);
    let walking = async {
        let checked = tar::check_stream(&mut limited).await?;
        // To the very end, where the checksum stands.
        tokio::io::copy(&mut limited, &mut tokio::io::sink()).await?;
        Ok(checked)
    };
    let checked = walking
        .await
        .map_err(|error| RestoreError::damaged_compression("", &error))?;
    if limited.limit() == 0 {
        return Err(RestoreError::expands_too_far(file.max_expanded_bytes));
    }
    checked.map_err(|error| RestoreError::Sentence(error.to_string()))
}

/// Reads `-- Dumped from database version 18.1 (Debian 18.1-1)`.
fn made_from(head: &[u8]) -> Option<u32> {
    const WORDS: &str = "-- Dumped from database version ";
    let line = head
        .split(|byte| *byte == b'\n')
        .take(HEAD_LINES)
        .find_map(|line| line.strip_prefix(WORDS.as_bytes()))?;
    let n_digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&line[..n_digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_says_what_server_it_was_made_from() {
        for (head, major) in [
            (
                "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 18.1 (Debian 18.1-1)\n",
                Some(18),
            ),
            ("-- Dumped from database version 9.6.24\n", Some(9)),
            ("-- Dumped from database version 17devel\n", Some(17)),
            ("-- Dumped from database version \n", None),
            ("create table t (a integer);\n", None),
        ] {
            assert_eq!(made_from(head.as_bytes()), major, "{head}");
        }
    }
}
