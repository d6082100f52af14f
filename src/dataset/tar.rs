//! Walks the members of a tar archive, because `pg_restore` loops for ever on one that is cut off.

use std::io;

use tokio::fs::File;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncSeekExt as _;

use crate::dataset::format::FormatError;
use crate::model::text::display_name;

/// Everything in a tar is padded to blocks of this size.
pub const BLOCK: usize = 512;

/// Walks a file by skipping about in it.
pub async fn check_file(file: &mut File) -> io::Result<Result<(), FormatError>> {
    let size = file.metadata().await?.len();
    let mut at = file.rewind().await?;
    loop {
        let member = match read_header(file).await? {
            Ok(Some(member)) => member,
            end => return Ok(end.map(drop)),
        };
        at += BLOCK as u64;
        if member.length > size - at {
            return Ok(Err(FormatError::TarCutOff { member: member.name }));
        }
        at = size.min(at + member.length_padded);
        file.seek(io::SeekFrom::Start(at)).await?;
    }
}

/// Walks what can only be read on and on.
pub async fn check_stream(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<(), FormatError>> {
    loop {
        let member = match read_header(reader).await? {
            Ok(Some(member)) => member,
            end => return Ok(end.map(drop)),
        };
        let there = tokio::io::copy(&mut (&mut *reader).take(member.length_padded), &mut tokio::io::sink()).await?;
        if there < member.length {
            return Ok(Err(FormatError::TarCutOff { member: member.name }));
        }
    }
}

struct Member {
    /// As it may be shown.
    name: String,
    length: u64,
    length_padded: u64,
}

/// The header that stands here; none at the end mark.
async fn read_header(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Option<Member>, FormatError>> {
    let mut header = Vec::with_capacity(BLOCK);
    if reader.take(BLOCK as u64).read_to_end(&mut header).await? < BLOCK {
        return Ok(Err(FormatError::TarEndMissing));
    }
    Ok(member(&header))
}

fn member(header: &[u8]) -> Result<Option<Member>, FormatError> {
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let raw_name = member_name(header);
    let name = display_name(raw_name, "without a name");
    let is_plain_file = matches!(header[156], b'0' | 0);
    if !is_plain_file || raw_name.contains('/') || raw_name.contains("..") {
        return Err(FormatError::UnsafeMember { member: name });
    }
    let length = number(&header[124..136]).ok_or(FormatError::ForeignTar)?;
    let length_padded = length.checked_next_multiple_of(BLOCK as u64);
    Ok(Some(Member {
        name,
        length,
        length_padded: length_padded.ok_or(FormatError::ForeignTar)?,
    }))
}

/// The name in the header that `block` begins with; empty when it is no text.
pub fn member_name(block: &[u8]) -> &str {
    let name = block.get(..100).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    std::str::from_utf8(&name[..end]).unwrap_or_default()
}

/// Octal digits, or for members beyond 8 GB a binary number behind a set high bit.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        return field
            .get(4..12)
            .and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
    }
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A tar of these members, ended as `pg_dump` ends one.
    pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, content) in members {
            let mut header = [0_u8; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            header[156] = b'0';
            header[257..262].copy_from_slice(b"ustar");
            tar.extend(header);
            tar.extend(*content);
            tar.resize(tar.len().next_multiple_of(BLOCK), 0);
        }
        tar.extend([0; 2 * BLOCK]);
        tar
    }

    async fn both_ways(bytes: &[u8]) -> Result<(), FormatError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let by_file = check_file(&mut File::open(file.path()).await.unwrap()).await.unwrap();
        let by_stream = check_stream(&mut &bytes[..]).await.unwrap();
        assert_eq!(by_file, by_stream);
        by_file
    }

    #[tokio::test]
    async fn a_tar_is_whole_only_up_to_its_end_mark() {
        let whole = tar(&[("toc.dat", b"x"), ("3345.dat", &[b'x'; 5000])]);
        let end_mark = whole.len() - 2 * BLOCK;
        for cut in 0..=whole.len() {
            let checked = both_ways(&whole[..cut]).await;
            assert_eq!(checked.is_ok(), cut >= end_mark + BLOCK, "{cut}: {checked:?}");
        }
        let member = "3345.dat".to_owned();
        assert_eq!(both_ways(&whole[..3000]).await, Err(FormatError::TarCutOff { member }));
        assert_eq!(both_ways(&whole[..end_mark]).await, Err(FormatError::TarEndMissing));
    }

    #[tokio::test]
    async fn a_length_that_no_file_has_is_no_length() {
        let mut lying = tar(&[("toc.dat", b"x")]);
        for length in [
            b"77777777777\0",
            b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            b"not a number",
        ] {
            lying[124..136].copy_from_slice(length);
            assert!(both_ways(&lying).await.is_err());
        }
    }
}
