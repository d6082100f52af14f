//! A document as one file of HTML: its charts and its style are in it, and it asks nobody for anything.

use askama::Template;

use crate::model::trial::RecordedTrial;
use crate::report::data::ReportData;
use crate::report::document::Block;
use crate::report::document::Document;
use crate::report::document::Picture;
use crate::report::document::build;
use crate::report::export::Exporter;

/// The report as a page.
pub struct Html;

/// What pages look like, and this one when it is printed.
pub const STYLE: &str = include_str!("../../../static/app.css");

#[derive(Template)]
#[template(path = "report/document.html")]
struct Page<'a> {
    document: &'a Document,
    style: &'static str,
}

impl Exporter for Html {
    fn name(&self) -> &'static str {
        "report.html"
    }

    fn about(&self) -> &'static str {
        "Report: one page to read, print and send, with its charts in it (HTML)"
    }

    fn media_type(&self) -> &'static str {
        "text/html; charset=utf-8"
    }

    fn file_suffix(&self) -> &'static str {
        "report.html"
    }

    fn is_read(&self) -> bool {
        true
    }

    fn write(&self, data: &ReportData, _trials: &[RecordedTrial]) -> anyhow::Result<Vec<u8>> {
        let document = build::document(data)?;
        let page = Page {
            document: &document,
            style: STYLE,
        };
        Ok(page.render()?.into_bytes())
    }
}

impl Picture {
    /// The picture as an address that holds it.
    fn in_light(&self) -> String {
        data_address(&self.light)
    }

    fn in_dark(&self) -> String {
        data_address(&self.dark)
    }
}

fn data_address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let of = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = of(0) << 16 | of(1) << 8 | of(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            let is_there = place <= three.len();
            text.push(if is_there {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_standard_has_them() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xfe]), "/+/+");
    }

    #[test]
    fn the_style_asks_nobody_for_anything() {
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("</"));
    }
}
