//! Tells by its content what kind of file an upload is, never by its name.

use std::path::Path;

use anyhow::Context as _;
use async_compression::tokio::bufread::GzipDecoder;
use async_compression::tokio::bufread::ZstdDecoder;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncSeekExt as _;
use tokio::io::BufReader;

use crate::dataset::tar;
use crate::model::dataset::Compression;
use crate::model::dataset::DumpFormat;

/// Why a file is no dump that can be restored here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("The file is empty.")]
    Empty,
    #[error(
        "The file is not a PostgreSQL dump: it looks like {0}. Plain SQL, custom and tar archives are taken, also compressed by gzip or zstd."
    )]
    Foreign(&'static str),
    #[error("The file is UTF-16. Save it as UTF-8.")]
    Utf16,
    #[error("The file is compressed twice. Unpack it once.")]
    NestedCompression,
    #[error("The compressed file is damaged or cut off at its very beginning.")]
    DamagedCompression,
    #[error("This is a part of a directory-format dump, which is not taken. Make one file of it: pg_dump -Fc.")]
    Directory,
    #[error("The archive is cut off: its header is incomplete.")]
    HeaderCutOff,
    #[error("The archive's header is damaged, or its version {major}.{minor} is not known.")]
    UnknownArchive { major: u8, minor: u8 },
    #[error(
        "The archive was made by pg_dump {made_by} or newer; the tools here are of PostgreSQL {tools}. Install newer ones, or make the dump in plain format."
    )]
    NewerArchive { made_by: u32, tools: u32 },
    #[error("The file is a tar, but not one of pg_dump: toc.dat does not come first.")]
    ForeignTar,
    #[error("The tar archive is cut off: its end mark is missing.")]
    TarEndMissing,
    #[error("The tar archive is cut off: its member {member} extends past the end of the file.")]
    TarCutOff { member: String },
    #[error("The tar archive holds the unsafe member {member}.")]
    UnsafeMember { member: String },
}

/// How much of a file is looked at.
const HEAD_BYTES: u64 = 64 * 1024;

/// Looks at a file. `tools_major` is the version of the `pg_restore` that would read an archive.
pub async fn detect(path: &Path, tools_major: u32) -> anyhow::Result<Result<(DumpFormat, Compression), FormatError>> {
    let mut file = tokio::fs::File::open(path).await.context("opening an upload")?;
    let head = head_of(&mut file).await.context("reading an upload")?;
    let compression = match compression_of(&head) {
        Ok(compression) => compression,
        Err(error) => return Ok(Err(error)),
    };
    let inner = match compression {
        Compression::None => Ok(head),
        Compression::Gzip => inflated_head(&mut file, |file| GzipDecoder::new(BufReader::new(file))).await?,
        Compression::Zstd => inflated_head(&mut file, |file| ZstdDecoder::new(BufReader::new(file))).await?,
    };
    let format = inner.and_then(|inner| {
        if compression != Compression::None && compression_of(&inner)? != Compression::None {
            return Err(FormatError::NestedCompression);
        }
        format_of(&inner, tools_major)
    });
    Ok(match format {
        Ok(DumpFormat::Tar) if compression == Compression::None => {
            let checked = tar::check_file(&mut file).await.context("walking a tar archive")?;
            checked.map(|()| (DumpFormat::Tar, compression))
        }
        other => other.map(|format| (format, compression)),
    })
}

async fn head_of(reader: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(HEAD_BYTES).read_to_end(&mut head).await?;
    Ok(head)
}

async fn inflated_head<'a, R: AsyncRead + Unpin>(
    file: &'a mut tokio::fs::File,
    decoder: impl FnOnce(&'a mut tokio::fs::File) -> R,
) -> anyhow::Result<Result<Vec<u8>, FormatError>> {
    file.rewind().await?;
    let mut decoder = decoder(file);
    Ok(head_of(&mut decoder).await.map_err(|_| FormatError::DamagedCompression))
}

fn compression_of(head: &[u8]) -> Result<Compression, FormatError> {
    const FOREIGN: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a rar archive"),
        (b"BZh", "a bzip2 file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"\x04\x22\x4d\x18", "an lz4 file"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"%PDF", "a PDF document"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3\0", "an SQLite database"),
    ];
    if head.is_empty() {
        return Err(FormatError::Empty);
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(FormatError::Utf16);
    }
    if let Some((_, name)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(FormatError::Foreign(name));
    }
    // Two letters are not enough: SQL could begin with them.
    if head.starts_with(b"MZ") && head.contains(&0) {
        return Err(FormatError::Foreign("a program"));
    }
    Ok(match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    })
}

fn format_of(head: &[u8], tools_major: u32) -> Result<DumpFormat, FormatError> {
    if head.is_empty() {
        return Err(FormatError::Empty);
    }
    if head.starts_with(b"PGDMP") {
        // The table of contents of a directory says that it is a tar's.
        return match archive_header(head, tools_major)? {
            DumpFormat::Tar => Err(FormatError::Directory),
            format => Ok(format),
        };
    }
    if head.get(257..262) == Some(b"ustar") {
        return match tar::member_name(head) {
            "toc.dat" => {
                archive_header(head.get(tar::BLOCK..).unwrap_or_default(), tools_major).map(|_| DumpFormat::Tar)
            }
            _ => Err(FormatError::ForeignTar),
        };
    }
    Ok(DumpFormat::Plain)
}

/// `pg_backup_archiver.c`: magic, version, sizes of int and offset, format (1 custom, 3 tar, 5 directory).
fn archive_header(head: &[u8], tools_major: u32) -> Result<DumpFormat, FormatError> {
    let Some(&[major, minor, _, int_size, offset_size, format]) = head.get(5..11) else {
        return Err(FormatError::HeaderCutOff);
    };
    if !head.starts_with(b"PGDMP") || major != 1 || minor > 16 || int_size > 32 || offset_size > 32 {
        return Err(FormatError::UnknownArchive { major, minor });
    }
    // 1.15 came with 16, 1.16 with 17.
    let made_by = match minor {
        0..=14 => 15,
        15 => 16,
        _ => 17,
    };
    if minor > 14 && tools_major < made_by {
        return Err(FormatError::NewerArchive {
            made_by,
            tools: tools_major,
        });
    }
    match format {
        1 => Ok(DumpFormat::Custom),
        3 => Ok(DumpFormat::Tar),
        5 => Err(FormatError::Directory),
        _ => Err(FormatError::UnknownArchive { major, minor }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tar::tests::tar;

    async fn detected(bytes: &[u8]) -> Result<(DumpFormat, Compression), FormatError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        detect(file.path(), 15).await.unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut child = std::process::Command::new("gzip")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    const CUSTOM: &[u8] = b"PGDMP\x01\x0e\x00\x04\x08\x01rest of the header";
    const TOC: &[u8] = b"PGDMP\x01\x0e\x00\x04\x08\x03rest of the header";

    #[tokio::test]
    async fn dumps_are_told_by_their_content() {
        use Compression::*;
        use DumpFormat::*;
        for (bytes, expected) in [
            (b"select 1;".to_vec(), (Plain, None)),
            (b"MZ is a table name".to_vec(), (Plain, None)),
            (CUSTOM.to_vec(), (Custom, None)),
            (tar(&[("toc.dat", TOC), ("3345.dat", b"1\n")]), (Tar, None)),
            (gzip(b"select 1;"), (Plain, Gzip)),
            (gzip(CUSTOM), (Custom, Gzip)),
            (gzip(&tar(&[("toc.dat", TOC)])), (Tar, Gzip)),
        ] {
            assert_eq!(detected(&bytes).await, Ok(expected));
        }
    }

    #[tokio::test]
    async fn everything_else_is_refused_in_words() {
        let cut_tar = {
            let whole = tar(&[("toc.dat", TOC), ("3345.dat", &[b'x'; 5000])]);
            whole[..3000].to_vec()
        };
        for (bytes, error) in [
            (b"".to_vec(), FormatError::Empty),
            (gzip(b""), FormatError::Empty),
            (b"\xff\xfes\0e\0".to_vec(), FormatError::Utf16),
            (b"\x89PNG\r\n".to_vec(), FormatError::Foreign("a PNG picture")),
            (b"PK\x03\x04".to_vec(), FormatError::Foreign("a zip archive")),
            (b"\x7fELF\x02".to_vec(), FormatError::Foreign("a program")),
            (gzip(&gzip(b"select 1")), FormatError::NestedCompression),
            (b"\x1f\x8b\x08\0garbage".to_vec(), FormatError::DamagedCompression),
            (b"PGDMP".to_vec(), FormatError::HeaderCutOff),
            (
                b"PGDMP\x01\x63\x00\x04\x08\x01".to_vec(),
                FormatError::UnknownArchive { major: 1, minor: 99 },
            ),
            (
                b"PGDMP\x01\x0e\x00\xff\x08\x01".to_vec(),
                FormatError::UnknownArchive { major: 1, minor: 14 },
            ),
            (
                b"PGDMP\x01\x10\x00\x04\x08\x01".to_vec(),
                FormatError::NewerArchive { made_by: 17, tools: 15 },
            ),
            (b"PGDMP\x01\x0e\x00\x04\x08\x05".to_vec(), FormatError::Directory),
            (tar(&[("readme", b"hello")]), FormatError::ForeignTar),
            (
                tar(&[("toc.dat", TOC), ("../x", b"hello")]),
                FormatError::UnsafeMember { member: "x".into() },
            ),
            (
                cut_tar,
                FormatError::TarCutOff {
                    member: "3345.dat".into(),
                },
            ),
        ] {
            assert_eq!(detected(&bytes).await, Err(error));
        }
    }
}
