//! Turns the file's encoding into UTF-8. `SET client_encoding` is obeyed here and never sent: through the driver it
//! would corrupt text silently.

use encoding_rs::Decoder;
use encoding_rs::DecoderResult;
use encoding_rs::Encoding;

use crate::sql::dump;
use crate::sql::dump::DumpStatement;
use crate::sql::split::Limits;
use crate::sql::split::Piece;
use crate::sql::split::Splitter;

/// Why the text of a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    #[error(
        "The file says that its encoding is {0}, which cannot be read here. Make the dump with pg_dump --encoding=UTF8."
    )]
    Unknown(String),
    #[error("The text is not valid {encoding} near byte {offset}.")]
    Malformed { encoding: String, offset: u64 },
}

/// Decodes a file in chunks.
pub struct Transcoder {
    kind: Kind,
    name: String,
    n_bytes_in: u64,
}

enum Kind {
    /// Nothing to do; the splitter checks it.
    Utf8,
    /// ISO 8859-1 proper: what the web calls by that name differs in 32 places.
    Latin1,
    Table(Box<Decoder>),
}

impl Transcoder {
    /// For an encoding as PostgreSQL names it.
    pub fn new(name: &str) -> Result<Self, EncodingError> {
        let normal: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_uppercase();
        let kind = match normal.as_str() {
            // SQL_ASCII says nothing; what is not UTF-8 then is refused with its place.
            "UTF8" | "UNICODE" | "SQLASCII" => Kind::Utf8,
            "LATIN1" | "ISO88591" => Kind::Latin1,
            other => Kind::Table(Box::new(
                table(other)
                    .ok_or_else(|| EncodingError::Unknown(name.to_owned()))?
                    .new_decoder(),
            )),
        };
        Ok(Self {
            kind,
            name: name.to_owned(),
            n_bytes_in: 0,
        })
    }

    /// The encoding as the file named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether text comes out as it went in.
    pub fn is_utf8(&self) -> bool {
        matches!(self.kind, Kind::Utf8)
    }

    /// The next chunk as UTF-8; `is_last` for the last one, which may be empty.
    pub fn decode(&mut self, bytes: Vec<u8>, is_last: bool) -> Result<Vec<u8>, EncodingError> {
        let offset = self.n_bytes_in;
        self.n_bytes_in += bytes.len() as u64;
        match &mut self.kind {
            Kind::Utf8 => Ok(bytes),
            Kind::Latin1 => Ok(bytes
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>()
                .into_bytes()),
            // The web's decoder takes these bytes for characters of another code page.
            Kind::Table(decoder)
                if decoder.encoding() == encoding_rs::WINDOWS_1254
                    && self.name.to_ascii_uppercase().contains("LATIN")
                    && bytes.iter().any(|byte| (0x80..0xa0).contains(byte)) =>
            {
                Err(EncodingError::Malformed {
                    encoding: self.name.clone(),
                    offset,
                })
            }
            Kind::Table(decoder) => {
                let needed = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
                let mut text = vec![0; needed.unwrap_or(bytes.len().saturating_mul(4) + 16)];
                let (result, n_read, n_written) =
                    decoder.decode_to_utf8_without_replacement(&bytes, &mut text, is_last);
                if result != DecoderResult::InputEmpty {
                    return Err(EncodingError::Malformed {
                        encoding: self.name.clone(),
                        offset: offset + n_read as u64,
                    });
                }
                text.truncate(n_written);
                Ok(text)
            }
        }
    }
}

/// The encoding that the head of a file declares; UTF-8 where it declares none.
pub fn declared(head: &[u8]) -> String {
    let text_end = std::str::from_utf8(head).map_or_else(|error| error.valid_up_to(), str::len);
    let mut pieces = Vec::new();
    // Whatever is wrong with the head is found again, and said, when the file is read.
    let _ = Splitter::new(Limits::default()).push(&head[..text_end], &mut pieces);
    let declared = pieces.iter().find_map(|piece| match piece {
        Piece::Statement(statement) => match dump::read(&statement.text) {
            DumpStatement::ClientEncoding(name) => Some(name),
            _ => None,
        },
        _ => None,
    });
    declared.unwrap_or_else(|| "UTF8".to_owned())
}

/// PostgreSQL's names (its documentation, table 24.3) without punctuation, and the decoders that read them.
fn table(name: &str) -> Option<&'static Encoding> {
    Some(match name {
        "LATIN2" | "ISO88592" => encoding_rs::ISO_8859_2,
        "LATIN3" | "ISO88593" => encoding_rs::ISO_8859_3,
        "LATIN4" | "ISO88594" => encoding_rs::ISO_8859_4,
        "LATIN5" | "ISO88599" | "WIN1254" => encoding_rs::WINDOWS_1254,
        "LATIN6" | "ISO885910" => encoding_rs::ISO_8859_10,
        "LATIN7" | "ISO885913" => encoding_rs::ISO_8859_13,
        "LATIN8" | "ISO885914" => encoding_rs::ISO_8859_14,
        "LATIN9" | "ISO885915" => encoding_rs::ISO_8859_15,
        "LATIN10" | "ISO885916" => encoding_rs::ISO_8859_16,
        "ISO88595" => encoding_rs::ISO_8859_5,
        "ISO88596" => encoding_rs::ISO_8859_6,
        "ISO88597" => encoding_rs::ISO_8859_7,
        "ISO88598" => encoding_rs::ISO_8859_8,
        "KOI8R" | "KOI8" => encoding_rs::KOI8_R,
        "KOI8U" => encoding_rs::KOI8_U,
        "WIN866" | "ALT" => encoding_rs::IBM866,
        "WIN874" => encoding_rs::WINDOWS_874,
        "WIN1250" => encoding_rs::WINDOWS_1250,
        "WIN1251" | "WIN" => encoding_rs::WINDOWS_1251,
        "WIN1252" => encoding_rs::WINDOWS_1252,
        "WIN1253" => encoding_rs::WINDOWS_1253,
        "WIN1255" => encoding_rs::WINDOWS_1255,
        "WIN1256" => encoding_rs::WINDOWS_1256,
        "WIN1257" => encoding_rs::WINDOWS_1257,
        "WIN1258" => encoding_rs::WINDOWS_1258,
        "EUCJP" => encoding_rs::EUC_JP,
        "SJIS" | "MSKANJI" | "SHIFTJIS" | "WIN932" => encoding_rs::SHIFT_JIS,
        "EUCKR" | "UHC" | "WIN949" => encoding_rs::EUC_KR,
        "BIG5" | "WIN950" => encoding_rs::BIG5,
        "EUCCN" | "GBK" | "WIN936" => encoding_rs::GBK,
        "GB18030" => encoding_rs::GB18030,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_as_utf8_however_it_is_cut() {
        for (name, bytes, text) in [
            ("UTF8", "grün".as_bytes(), "grün"),
            ("LATIN1", b"gr\xfcn \x80", "grün \u{80}"),
            ("WIN1252", b"5 \x80", "5 €"),
            ("KOI8R", b"\xd0\xd2\xc9", "при"),
            // The second byte of this character is a backslash.
            ("SJIS", b"\x95\x5c", "表"),
            ("iso_8859_5", b"\xb0", "А"),
        ] {
            for cut in 0..=bytes.len() {
                let mut transcoder = Transcoder::new(name).unwrap();
                let mut out = transcoder.decode(bytes[..cut].to_vec(), false).unwrap();
                out.extend(transcoder.decode(bytes[cut..].to_vec(), true).unwrap());
                assert_eq!(String::from_utf8(out).unwrap(), text, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(
            Transcoder::new("MULE_INTERNAL").err(),
            Some(EncodingError::Unknown("MULE_INTERNAL".into()))
        );
        let mut transcoder = Transcoder::new("SJIS").unwrap();
        transcoder.decode(b"ok".to_vec(), false).unwrap();
        assert!(matches!(
            transcoder.decode(b"\x95".to_vec(), true),
            Err(EncodingError::Malformed { .. })
        ));
    }

    #[test]
    fn the_head_declares_the_encoding() {
        assert_eq!(
            declared(b"-- dump\nSET statement_timeout = 0;\nSET client_encoding = 'LATIN1';\n\xfc"),
            "LATIN1"
        );
        assert_eq!(declared(b"select 1;"), "UTF8");
    }
}
