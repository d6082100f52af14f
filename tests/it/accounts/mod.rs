//! People who sign in, as HTTP sees them: the first admin, sessions, what belongs to whom.

mod coming_in;
mod own;
mod programs;

use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header;

use crate::server;
use crate::server::Server;

/// Of everybody in these tests.
pub const PASSWORD: &str = "seven purple kettles sing";

/// A browser of somebody: what it sends, and the cookie that it keeps.
pub struct Person<'a> {
    pub server: &'a Server,
    pub client: reqwest::Client,
    pub cookie: Option<String>,
}

pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    /// The cookie that came with it, with all that is said of it.
    pub given: Option<String>,
    pub text: String,
}

impl<'a> Person<'a> {
    pub fn of(server: &'a Server) -> Self {
        let client = server::client()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            server,
            client,
            cookie: None,
        }
    }

    pub async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.server.url));
        if method != Method::GET {
            request = request.form(form);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let given = header(header::SET_COOKIE);
        if let Some(given) = &given {
            assert!(given.contains("; HttpOnly; SameSite=Lax"), "{given}");
            let (pair, _) = given.split_once(';').unwrap();
            self.cookie = (!given.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        Answer {
            status: answer.status(),
            location: header(header::LOCATION),
            given,
            text: answer.text().await.unwrap(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, form).await
    }

    /// A browser of the first admin, who is called ada.
    pub async fn first(server: &'a Server) -> Self {
        let token = server.setup_token.clone().unwrap();
        let mut ada = Self::of(server);
        let form = [("token", &*token), ("name", "ada"), ("password", PASSWORD)];
        assert_eq!(ada.post("/setup", &form).await.status, StatusCode::SEE_OTHER);
        ada
    }

    /// Another browser, in which somebody signs in.
    async fn also(server: &'a Server, name: &str, password: &str) -> Self {
        let mut person = Self::of(server);
        assert_eq!(person.sign_in(name, password).await.status, StatusCode::SEE_OTHER);
        person
    }

    /// Makes a token on the page, which shows it.
    pub async fn make_token(&mut self, name: &str, scope: &str, days: &str) -> String {
        let form = [("name", name), ("scope", scope), ("days", days)];
        let page = self.post("/account/tokens", &form).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let (_, behind) = page.text.split_once("id=\"new-token\">").expect("the token is shown");
        behind.split_once('<').unwrap().0.to_owned()
    }

    /// Asks for something as a program does, with a token and without a cookie.
    async fn ask_with(&self, token: &str, method: Method, path: &str, body: &str) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.server.url));
        let request = request
            .bearer_auth(token)
            .header(header::CONTENT_TYPE, "application/json");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let location = answer.headers().get(header::LOCATION);
        Answer {
            status: answer.status(),
            location: location.map(|value| value.to_str().unwrap().to_owned()),
            given: None,
            text: answer.text().await.unwrap(),
        }
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.post("/login", &[("name", name), ("password", password)]).await
    }
}

/// A server at which people sign in.
pub fn start(data_dir: &std::path::Path) -> Server {
    Server::start_with(data_dir, &["--access", "required"])
}
