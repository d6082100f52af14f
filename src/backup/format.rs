//! What a backup says of itself.

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::ids::DatasetId;

/// Grows when an older pgassay would misunderstand what is written.
pub const FORMAT: u32 = 1;

pub const MANIFEST: &str = "manifest.json";
pub const STORE: &str = "store.pgdump";
pub const KEY: &str = "key";
const UPLOADS: &str = "uploads/";

/// The last member of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]; its name tells a backup from other archives.
    pub pgassay_backup: u32,
    #[serde(flatten)]
    pub origin: Origin,
    /// All members but this one, in the order in which they were written.
    pub members: Vec<MemberBody>,
    /// Datasets whose dumps were to be in it and were not there any more: somebody deleted them meanwhile.
    pub left_out: Vec<DatasetId>,
}

/// Where a backup comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The version of pgassay.
    pub made_by: String,
    /// By the store's clock.
    pub made_at: DateTime<Utc>,
    /// The newest migration of the store.
    pub schema_version: i64,
    /// Of the store's server, as `server_version_num` counts.
    pub server_version_num: u32,
    /// Of the `pg_dump` that wrote the store.
    pub pg_dump_version_num: u32,
    /// What the store takes on its server's disk.
    pub database_bytes: u64,
    pub store_name: String,
    /// The name of the data directory.
    pub home: String,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberBody {
    pub name: String,
    pub size_bytes: u64,
    pub sha256: String,
}

/// The name of the member that is the dump of a dataset.
pub fn upload_name(dataset_id: DatasetId) -> String {
    format!("{UPLOADS}{dataset_id}")
}

impl MemberBody {
    /// The dataset whose dump it is; none if it is none.
    pub fn dataset_id(&self) -> Option<DatasetId> {
        let id: DatasetId = self.name.strip_prefix(UPLOADS)?.parse().ok()?;
        // Of several ways to write a number, one.
        (upload_name(id) == self.name).then_some(id)
    }

    /// Whether a backup may have a member of this name.
    pub fn is_known(&self) -> bool {
        self.name == STORE || self.name == KEY || self.dataset_id().is_some()
    }
}

impl Manifest {
    /// The datasets whose dumps are in it.
    pub fn dataset_ids(&self) -> Vec<DatasetId> {
        self.members.iter().filter_map(MemberBody::dataset_id).collect()
    }

    /// What restoring takes of the disk: dumps, and the store where that is beside them.
    pub fn needed_bytes(&self, with_store: bool) -> u64 {
        let dumps = self.members.iter().filter(|member| member.dataset_id().is_some());
        let store_bytes = if with_store { self.origin.database_bytes } else { 0 };
        dumps.fold(store_bytes, |sum, dump| sum.saturating_add(dump.size_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_known() {
        for (name, is_known) in [
            ("store.pgdump", true),
            ("key", true),
            ("uploads/12", true),
            ("uploads/012", false),
            ("uploads/+12", false),
            ("uploads/../key", false),
            ("uploads/", false),
            ("secrets/rds", false),
            ("/etc/passwd", false),
        ] {
            let member = MemberBody {
                name: name.to_owned(),
                size_bytes: 0,
                sha256: String::new(),
            };
            assert_eq!(member.is_known(), is_known, "{name}");
        }
    }
}
