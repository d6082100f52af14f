//! `imported`: what the planner knows on another server, from a statistics file.

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::statistics_file::version_in_words;
use crate::snapshot::apply;
use crate::snapshot::import;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace;
use crate::source::workplace::Workplace;

pub struct Imported;

/// The parameter that names the file.
const FILE: &str = "file";

impl StatsSource for Imported {
    fn name(&self) -> &'static str {
        "imported"
    }

    fn group(&self) -> Group {
        Group::Elsewhere
    }

    fn title(&self) -> &'static str {
        "Imported"
    }

    fn about(&self) -> &'static str {
        "What the planner knows in production: row counts and column statistics from a statistics file of this dataset. How \
         many pages a table has is counted by the planner itself, so this shows production's plans only where the data here \
         is about as large."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[Parameter {
            name: FILE,
            label: "Statistics file",
            about: "Files are uploaded on the page of the dataset.",
            default: "",
            kind: ParameterKind::StatisticsFile,
        }]
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let name = params.get(FILE).context("a statistics file")?;
            let file = place
                .statistics_file
                .context("the statistics file that the source names")?;
            let (snapshot, remarks) = import::fit(place.admin, place.session, &file.contents).await?;
            let left_out = apply::apply(place.admin, place.session, place.lot, &snapshot).await?;
            let version = file.contents.server_version_num.map_or_else(
                || "a server that the file does not name".to_owned(),
                |version| format!("PostgreSQL {}", version_in_words(version)),
            );
            let mut notes = vec![SourceNote {
                about: name.clone(),
                what: format!("statistics of {version}; the file's SHA-256 is {}", file.sha256),
                change: None,
            }];
            notes.extend(remarks.into_iter().map(|remark| SourceNote {
                about: remark.about,
                what: remark.what,
                change: None,
            }));
            let unseen = file.contents.unseen.iter().map(|unseen| SourceNote {
                about: unseen.full_name(),
                what: format!("is not in the file: {}", unseen.reason),
                change: None,
            });
            notes.extend(unseen);
            notes.extend(
                left_out
                    .into_iter()
                    .map(|left_out| workplace::note(left_out, "not imported")),
            );
            Ok(notes)
        })
    }
}
