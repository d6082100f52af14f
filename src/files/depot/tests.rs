//! A depot in a directory: what goes in comes out, and what does not get in leaves nothing.

use std::path::PathBuf;

use super::*;

/// Of two parts and a half.
const SIZE_BYTES: u64 = PART_BYTES * 5 / 2;

fn depot(dir: &std::path::Path) -> Depot {
    Depot::open(&format!("file://{}", dir.display()))
        .unwrap()
        .of_store("one")
}

/// A file whose bytes tell their places.
fn upload(dir: &std::path::Path, size_bytes: u64) -> PathBuf {
    let path = dir.join(format!("upload of {size_bytes}"));
    let bytes: Vec<u8> = (0..size_bytes).map(|n| (n % 251) as u8).collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn read(depot: &Depot, id: DatasetId, size_bytes: u64) -> Result<Vec<u8>, DepotError> {
    let parts: Vec<Bytes> = depot.read(id, size_bytes).try_collect().await?;
    Ok(parts.concat())
}

#[tokio::test]
async fn what_is_put_there_in_one_part_or_in_many_comes_back_as_it_was() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let depot = depot(there.path());
    for (n, size_bytes) in [(1, 7), (2, PART_BYTES), (3, SIZE_BYTES)] {
        let path = upload(here.path(), size_bytes);
        depot.put(DatasetId(n), &path).await.unwrap();
        let returned = read(&depot, DatasetId(n), size_bytes).await.unwrap();
        assert!(returned == std::fs::read(&path).unwrap(), "{size_bytes} bytes");
    }
}

#[tokio::test]
async fn each_store_has_a_part_of_its_own() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = depot(there.path());
    let other = Depot::open(&format!("file://{}/", there.path().display())).unwrap();
    let other = other.of_store("other");
    one.put(DatasetId(1), &upload(here.path(), 7)).await.unwrap();
    let names = |held: Vec<Held>| held.iter().map(|held| held.dataset_id).collect::<Vec<_>>();
    assert_eq!(names(one.list().await.unwrap()), [DatasetId(1)]);
    assert!(other.list().await.unwrap().is_empty());
    let missing = read(&other, DatasetId(1), 7).await.unwrap_err();
    assert!(matches!(missing, DepotError::Missing { .. }), "{missing}");
    other.remove(DatasetId(1)).await.unwrap();
    for _ in 0..2 {
        one.remove(DatasetId(1)).await.unwrap();
    }
    assert!(one.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_check_leaves_nothing_behind() {
    let there = tempfile::tempdir().unwrap();
    let depot = Depot::open(&format!("file://{}", there.path().display())).unwrap();
    depot.check().await.unwrap();
    assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 0);
}

#[test]
fn an_address_that_cannot_be_is_refused_in_words() {
    for (address, words) in [
        ("bucket", "is not an address of a depot"),
        ("ftp://host/dumps", "is not an address of a depot"),
        ("file://host/dumps", "is not an address of a depot"),
        (
            "file:///not/there",
            "/not/there, which is not there. Make it, or mount it.",
        ),
    ] {
        let error = Depot::open(address).unwrap_err().to_string();
        assert!(error.contains(words), "{address}: {error}");
    }
}

#[cfg(not(feature = "cloud"))]
#[test]
fn a_pgassay_without_clouds_says_so() {
    for address in ["s3://bucket/prefix", "gs://bucket", "az://container/prefix"] {
        let error = Depot::open(address).unwrap_err().to_string();
        assert!(
            error.contains("built without clouds") && error.contains("--features cloud"),
            "{error}"
        );
    }
}

#[test]
fn an_address_is_shown_without_what_may_be_a_secret() {
    let url = Url::parse("s3://key:secret@bucket/a/b/?token=x").unwrap();
    assert_eq!(shown(&url), "s3://bucket/a/b");
    let url = Url::parse("file:///mnt/dumps").unwrap();
    assert_eq!(shown(&url), "file:///mnt/dumps");
}
