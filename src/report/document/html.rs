//! A document as one file of HTML: its charts and its style are in it, and it asks nobody for anything.

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

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
        page(&build::document(data)?)
    }
}

/// A document as a page.
pub(in crate::report) fn page(document: &Document) -> anyhow::Result<Vec<u8>> {
    let page = Page { document, style: STYLE };
    Ok(page.render()?.into_bytes())
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
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_asks_nobody_for_anything() {
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("</"));
    }
}
