//! Removes directories in which others may still be at work: a server that is dying, or another who removes them too.

use std::fs;
use std::io;
use std::path::Path;

/// So often a directory may turn out to have got something new while it was removed.
const MOST_ROUNDS: u32 = 100;

/// Removes a directory with all that is in it. One that is not there, or is removed by somebody else meanwhile, is gone as
/// well; what is still written into it goes in another round.
pub async fn remove_dir(dir: &Path) -> io::Result<()> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || until_gone(&dir, |dir| fs::remove_dir_all(dir))).await?
}

/// `remove` once, and again as long as all it has met is somebody else at work.
fn until_gone(dir: &Path, mut remove: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut n_rounds = 1;
    loop {
        match remove(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !fs::exists(dir)? => return Ok(()),
            Err(error) if n_rounds < MOST_ROUNDS && is_of_others(&error) => n_rounds += 1,
            removed => return removed,
        }
    }
}

/// Whether something came or went while it was looked at.
fn is_of_others(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn tree(root: &Path) -> Vec<std::path::PathBuf> {
        let dirs: Vec<_> = (0..20).map(|n| root.join("data").join(n.to_string())).collect();
        for dir in &dirs {
            fs::create_dir_all(dir).unwrap();
            for n in 0..10 {
                fs::write(dir.join(n.to_string()), "x").unwrap();
            }
        }
        dirs
    }

    #[tokio::test]
    async fn what_somebody_else_has_removed_is_gone() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path());
        let dir = root.path().join("data");
        for _ in 0..2 {
            remove_dir(&dir).await.unwrap();
            assert!(!dir.exists());
        }
    }

    #[tokio::test]
    async fn a_directory_goes_though_others_remove_and_write_in_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        for _ in 0..20 {
            let dirs = tree(root.path());
            let removing = thread::spawn({
                let dirs = dirs.clone();
                move || dirs.iter().rev().filter(|dir| fs::remove_dir_all(dir).is_ok()).count()
            });
            // With what is removed, fewer events than there are rounds: no two of these fail for the same one.
            let writing = thread::spawn(move || {
                let wanted = (0..MOST_ROUNDS / 2).zip(dirs.iter().cycle());
                wanted
                    .filter(|(n, dir)| fs::write(dir.join(format!("new {n}")), "x").is_ok())
                    .count()
            });
            remove_dir(&dir).await.unwrap();
            assert!(!dir.exists());
            removing.join().unwrap();
            writing.join().unwrap();
        }
    }

    #[test]
    fn what_comes_or_goes_meanwhile_is_met_in_another_round() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path());
        let dir = root.path().join("data");
        let mut n_rounds = 0;
        let removed = until_gone(&dir, |dir| {
            n_rounds += 1;
            match n_rounds {
                1 => fs::remove_file(dir.join("which another was quicker to remove")),
                2 => fs::remove_dir(dir),
                _ => fs::remove_dir_all(dir),
            }
        });
        removed.unwrap();
        assert_eq!((n_rounds, dir.exists()), (3, false));
    }

    #[test]
    fn it_is_given_up_in_the_end_and_at_once_for_any_other_reason() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path());
        let dir = root.path().join("data");
        let mut n_rounds = 0;
        let removed = until_gone(&dir, |dir| {
            n_rounds += 1;
            fs::remove_dir(dir)
        });
        assert_eq!(removed.unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(n_rounds, MOST_ROUNDS);

        let mut n_rounds = 0;
        let removed = until_gone(&dir.join("0/0"), |file| {
            n_rounds += 1;
            fs::remove_dir_all(file)
        });
        assert_eq!(removed.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(n_rounds, 1);
    }
}
