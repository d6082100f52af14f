//! `pgassay backup` and `pgassay restore`: everything that cannot be made anew, as one file, and back again.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::app::backup;
use crate::app::backup::Written;
use crate::app::restore;
use crate::app::restore::Restored;
use crate::app::serve;
use crate::config::HouseConfig;
use crate::model::ids::DatasetId;
use crate::model::text::for_terminal;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// Where to write the backup. There is no such file yet.
    file: PathBuf,
    #[command(flatten)]
    house: HouseConfig,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// A backup, as `pgassay backup` writes it.
    file: PathBuf,
    #[command(flatten)]
    house: HouseConfig,
}

/// Writes a backup, and says what is in it and what is not.
pub async fn back_up(args: &BackupArgs) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let writing = Box::pin(backup::back_up(&args.house, &args.file, &stop));
    let written = until_stopped(&stop, writing).await?;
    let size_bytes = std::fs::metadata(&args.file)?.len();
    println!(
        "{}",
        for_terminal(&format!("{}: {}.", args.file.display(), bytes_in_words(size_bytes)))
    );
    for line in lines_of_backup(&written) {
        println!("{}", for_terminal(&line));
    }
    Ok(())
}

/// Restores a backup, and says what is left to do.
pub async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let restoring = Box::pin(restore::restore(&args.house, &args.file, &stop));
    let restored = until_stopped(&stop, restoring).await?;
    for line in lines_of_restore(&restored) {
        println!("{}", for_terminal(&line));
    }
    Ok(())
}

/// A signal asks it to stop, and what it has begun is taken back.
async fn until_stopped<T>(
    stop: &CancellationToken,
    mut running: impl Future<Output = anyhow::Result<T>> + Unpin,
) -> anyhow::Result<T> {
    tokio::select! {
        result = &mut running => return result,
        signal = serve::stop_signal() => { signal?; }
    }
    stop.cancel();
    running.await
}

fn lines_of_backup(written: &Written) -> Vec<String> {
    let manifest = &written.manifest;
    let n_dumps = manifest.dataset_ids().len() as u64;
    let mut lines = vec![format!(
        "It holds the store and {}, as they were at {}.",
        counted(n_dumps, "dump", "dumps"),
        manifest.origin.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    )];
    match &written.key_elsewhere {
        None => lines.push(
            "The key file is in it: whoever can read this file can read the addresses and passwords of registered servers. \
             It was made so that only its owner can (mode 0600)."
                .to_owned(),
        ),
        Some(path) => lines.push(format!(
            "The key file {} is not in it, as it lies outside of the data directory. Without it nobody can read the \
             addresses of registered servers: keep a copy of it elsewhere.",
            path.display()
        )),
    }
    lines.push("The files of the secrets directory are not in it.".to_owned());
    lines.extend(about(&written.in_depot, |datasets| {
        format!("The dumps of {datasets} are in the depot of PGASSAY_FILES and not in it.")
    }));
    lines.extend(about(&written.elsewhere, |datasets| {
        format!(
            "The dumps of {datasets} lie in the data directory of another machine and are not in it. Make a backup there, too."
        )
    }));
    lines.extend(about(&manifest.left_out, |datasets| {
        format!("The dumps of {datasets} were deleted while it was written, and are not in it.")
    }));
    lines
}

fn lines_of_restore(restored: &Restored) -> Vec<String> {
    let Restored {
        manifest,
        data_dir,
        renewal,
        key_file,
    } = restored;
    let mut lines = vec![format!(
        "Restored into {}: everything as it was at {}.",
        data_dir.display(),
        manifest.origin.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    )];
    if key_file.is_none() {
        lines.push(
            "The backup has no key file. Put the one of that time in place (PGASSAY_KEY_FILE) before pgassay starts, or enter \
             the addresses of registered servers anew."
                .to_owned(),
        );
    }
    lines.extend(about(&renewal.queued, |datasets| {
        format!(
            "The sandboxes of {datasets} are restored from their dumps, one after the other, as soon as pgassay serves."
        )
    }));
    lines.extend(about(&renewal.queued_from_depot, |datasets| {
        format!(
            "The sandboxes of {datasets} are restored from the depot as soon as a pgassay serves that has it (PGASSAY_FILES)."
        )
    }));
    lines.extend(about(&renewal.lost, |datasets| {
        format!("There is no dump of {datasets}: upload it again. What was measured on it is there.")
    }));
    lines.push(
        "Do not let this one and the one that the backup is of work at the same time if they share a depot, a server of \
         SANDBOX_URL or registered servers: each would clear away what the other has there."
            .to_owned(),
    );
    lines
}

/// A line about these datasets, if there are any.
fn about(ids: &[DatasetId], line: impl FnOnce(&str) -> String) -> Option<String> {
    let numbers: Vec<String> = ids.iter().map(DatasetId::to_string).collect();
    let datasets = match ids {
        [] => return None,
        [_] => format!("dataset {}", numbers.join("")),
        _ => format!("datasets {}", numbers.join(", ")),
    };
    Some(line(&datasets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_named_where_there_are_any() {
        let line = |datasets: &str| format!("Of {datasets}.");
        assert_eq!(about(&[], line), None);
        assert_eq!(about(&[DatasetId(7)], line).unwrap(), "Of dataset 7.");
        assert_eq!(
            about(&[DatasetId(7), DatasetId(12)], line).unwrap(),
            "Of datasets 7, 12."
        );
    }
}
