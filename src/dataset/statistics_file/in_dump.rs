//! The statistics that a dump carries: its calls are not made, and what they say is kept as a statistics file.

use sha2::Digest as _;
use sha2::Sha256;

use crate::dataset::statistics_file::MAX_STATISTICS_BYTES;
use crate::dataset::statistics_file::read;
use crate::model::statistics_file::BadFile;
use crate::model::statistics_file::FileFormat;
use crate::model::statistics_file::NewStatisticsFile;
use crate::model::statistics_file::StatisticsFile;
use crate::sql::split::Statement;

/// The name of such a file, and of the request that made it: there is one for each dump.
const NAME: &str = "in the dump";

/// Gathers the calls of one dump.
#[derive(Debug, Default)]
pub struct InDump {
    file: StatisticsFile,
    hash: Sha256,
    size_bytes: usize,
    n_calls: u64,
    trouble: Option<BadFile>,
}

impl InDump {
    pub fn is_empty(&self) -> bool {
        self.n_calls == 0
    }

    /// Takes in one call. After the first that cannot be kept, none is.
    pub fn add(&mut self, statement: &Statement) {
        self.n_calls += 1;
        self.size_bytes += statement.text.len();
        if self.trouble.is_none() {
            self.trouble = self.try_add(statement).err();
        }
        if self.trouble.is_some() {
            self.file = StatisticsFile::default();
        }
    }

    fn try_add(&mut self, statement: &Statement) -> Result<(), BadFile> {
        if self.size_bytes > MAX_STATISTICS_BYTES {
            return Err(BadFile("They are larger than 64 MiB.".to_owned()));
        }
        self.hash.update(statement.text.as_bytes());
        self.hash.update(b";\n");
        read::add_call(&mut self.file, statement)
    }

    /// What there was to keep, or why it is not kept.
    pub fn finish(self) -> Result<Option<NewStatisticsFile>, BadFile> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        if self.n_calls == 0 {
            return Ok(None);
        }
        self.file.check()?;
        Ok(Some(NewStatisticsFile {
            request_id: NAME.to_owned(),
            name: NAME.to_owned(),
            format: FileFormat::InDump,
            size_bytes: self.size_bytes as u64,
            sha256: hex::encode(self.hash.finalize()),
            contents: self.file,
        }))
    }
}
