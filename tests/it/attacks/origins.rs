//! What the page of another site makes a browser send along with its cookie, when somebody is signed in.

use reqwest::StatusCode;
use reqwest::header;
use reqwest::redirect;

use crate::server;
use crate::server::Server;
use crate::support::ask_store;

const PASSWORD: &str = "seven purple kettles sing";
const LISTED: &str = "https://tools.example.org";

#[tokio::test]
async fn a_cookie_opens_nothing_to_the_page_of_another_site() {
    let dir = server::data_dir();
    let options = ["--access", "required", "--cors-origins", LISTED];
    let server = Server::start_with(dir.path(), &options);
    let client = server::client().redirect(redirect::Policy::none()).build().unwrap();
    let token = server.setup_token.clone().unwrap();
    let setup = client.post(format!("{}/setup", server.url));
    let setup = setup.form(&[("token", &*token), ("name", "ada"), ("password", PASSWORD)]);
    let answer = setup.send().await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    let (cookie, _) = cookie.split_once(';').unwrap();

    let send = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = client.post(format!("{}{path}", server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.header(header::COOKIE, cookie).form(&[("x", "y")]).send();
        answer.await.unwrap().status()
    };
    let host = server.url.trim_start_matches("http://");
    let other_scheme = format!("https://127.0.0.1.evil.example/{host}");
    let foreign: [&[(&str, &str)]; 8] = [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", &other_scheme)],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", LISTED), ("sec-fetch-site", "cross-site")],
        &[
            ("origin", LISTED),
            ("authorization", "Bearer x"),
            ("x-forwarded-host", "tools.example.org"),
        ],
    ];
    let n_sessions = || ask_store(dir.path(), "select count(*) from sessions");
    assert_eq!(n_sessions().as_deref(), Some("1"));
    for headers in foreign {
        for path in ["/logout", "/experiment", "/upload/sample", "/datasets/1/delete"] {
            assert_eq!(send(path, headers).await, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
        // The API does not know cookies, and a listed site needs a token.
        let status = send("/api/datasets", headers).await;
        let is_listed = headers.contains(&("origin", LISTED));
        let expected = if is_listed {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(status, expected, "{headers:?}");
    }
    assert_eq!(n_sessions().as_deref(), Some("1"), "she is still signed in");
    let own = server.url.clone();
    assert_eq!(
        send("/api/datasets", &[("origin", &own)]).await,
        StatusCode::UNAUTHORIZED
    );
    let signed_out = send("/logout", &[("origin", &own), ("sec-fetch-site", "same-origin")]).await;
    assert_eq!(signed_out, StatusCode::SEE_OTHER);
    assert_eq!(n_sessions().as_deref(), Some("0"));
}
