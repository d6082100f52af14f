//! The progress block of an experiment: on its page, polled, and streamed.

use askama::Template;

use crate::experiment::progress::ExperimentProgress;
use crate::experiment::progress::Place;
use crate::model::ids::ExperimentId;
use crate::model::job::JobStatus;
use crate::model::text::capitalised;
use crate::model::units::seconds_in_words;
use crate::web::view;

/// Where an experiment stands, ready to be shown.
#[derive(Template)]
#[template(path = "results/progress.html")]
pub struct ProgressView {
    pub id: ExperimentId,
    pub is_settled: bool,
    status: &'static str,
    class: &'static str,
    /// The first line: what happens now.
    stage: String,
    detail: String,
    done: u64,
    total: u64,
    percent: Option<u64>,
    elapsed: String,
    left: String,
    /// Why it waits.
    waiting: String,
    is_stopping: bool,
    message: String,
}

impl ProgressView {
    pub fn new(look: &ExperimentProgress) -> Self {
        let job = &look.experiment.job;
        let waiting = match &look.place {
            None => String::new(),
            Some(Place { away: Some(away), .. }) => away.clone(),
            Some(place) => {
                let place_word = match place.position {
                    1 => "Next in the queue".to_owned(),
                    n => format!("Number {n} in the queue"),
                };
                match &place.behind {
                    Some(running) => format!("{place_word}; running now: {running}."),
                    None => format!("{place_word}."),
                }
            }
        };
        Self {
            id: look.experiment.id,
            is_settled: job.status.is_settled(),
            status: job.status.word(),
            class: view::status_class(job.status),
            stage: capitalised(&look.stage),
            detail: look.detail.clone(),
            done: look.done,
            total: look.total,
            percent: view::percent(look.done, look.total),
            elapsed: look.elapsed_s.map(seconds_in_words).unwrap_or_default(),
            left: look.left_s.map(seconds_in_words).unwrap_or_default(),
            waiting,
            is_stopping: job.cancel_requested && job.status == JobStatus::Running,
            message: job.message.clone().unwrap_or_default(),
        }
    }
}
