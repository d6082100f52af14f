//! Help from outside: whatever its pages link to is there.

use std::collections::BTreeSet;

use reqwest::StatusCode;

use crate::pages::Plain;
use crate::server::Server;
use crate::server::data_dir;

/// The addresses on this site that a page links to, without what stands behind a `#`.
fn links(page: &str) -> BTreeSet<String> {
    let links = page.split(" href=\"").skip(1);
    let links = links.filter_map(|rest| rest.split(['"', '#']).next());
    let own = links.filter(|link| link.starts_with('/') && !link.starts_with("/assets/"));
    // Askama writes & as HTML has it.
    own.map(|link| link.replace("&#38;", "&").replace("&amp;", "&"))
        .collect()
}

#[tokio::test]
async fn whatever_help_links_to_is_there() {
    let dir = data_dir();
    let server = Server::start(dir.path());
    let plain = Plain::of(&server);
    let mut seen = BTreeSet::new();
    let mut to_see = BTreeSet::from(["/help".to_owned()]);
    while let Some(address) = to_see.pop_first() {
        let (status, page) = plain.get(&address).await;
        assert_eq!(status, StatusCode::OK, "{address}");
        seen.insert(address.clone());
        if address.starts_with("/help") {
            to_see.extend(links(&page).difference(&seen).cloned());
        }
    }
    for known in [
        "/",
        "/help/start",
        "/help/operations",
        "/upload",
        "/servers/new",
        "/instruments/new?kind=budget",
    ] {
        assert!(seen.contains(known), "{known} is linked to: {seen:?}");
    }
    let (status, page) = plain.get("/help/nonsense").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("There is no such page of help"), "{page}");
    assert_eq!(server.stop(), Some(0));
}
