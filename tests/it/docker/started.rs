//! The program starts and answers as the image and compose have it started and asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use reqwest::StatusCode;
use reqwest::header;

use crate::accounts::PASSWORD;
use crate::docker::compose;
use crate::docker::environment;
use crate::docker::image;
use crate::docker::strings;
use crate::docker::with_defaults;
use crate::docker::yaml;
use crate::server::Server;
use crate::server::data_dir;
use crate::server::repository;
use crate::support;
use crate::support::Cluster;

/// The command of the image with an environment of its own, on places of this machine.
fn started(env: &BTreeMap<String, String>) -> Command {
    let image = image();
    let mut words: Vec<String> = serde_json::from_str(image.last("ENTRYPOINT")).unwrap();
    words.extend(serde_json::from_str::<Vec<String>>(image.last("CMD")).unwrap());
    assert_eq!(words.remove(0), "pgassay");
    let args: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = support::pgassay(&args);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(env);
    command
}

fn image_port() -> (String, String) {
    let env = image().env();
    let (address, port) = env["PGASSAY_LISTEN"].rsplit_once(':').unwrap();
    (address.to_owned(), port.to_owned())
}

/// What the image says, with the places of this machine, and any free port: it may have a pgassay of its own.
fn env_at(dir: &Path) -> BTreeMap<String, String> {
    let mut env = image().env();
    let samples = repository("samples");
    for (name, value) in [
        ("PGASSAY_DATA_DIR", dir.to_str().unwrap()),
        ("PGASSAY_SAMPLES_DIR", samples.to_str().unwrap()),
        ("PGASSAY_LISTEN", &format!("{}:0", image_port().0)),
    ] {
        assert!(env.insert(name.to_owned(), value.to_owned()).is_some(), "{name}");
    }
    env
}

fn free_port(server: &Server) -> String {
    server.url.rsplit_once(':').unwrap().1.to_owned()
}

/// Where a page leads that nobody has signed in for, asked for under one of the names of this pgassay.
async fn led_to(server: &Server, host: &str) -> (StatusCode, Option<String>) {
    let client = crate::server::client();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("http://127.0.0.1:{}/results", free_port(server));
    let answer = client.get(url).header(header::HOST, host).send().await.unwrap();
    let location = answer.headers().get(header::LOCATION);
    (answer.status(), location.map(|at| at.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn the_image_alone_lets_nobody_in_and_says_where_the_first_admin_is_made() {
    let dir = data_dir();
    let server = Server::run(started(&env_at(dir.path())));
    let token = server.setup_token.as_deref().expect("a token was printed");
    assert!(token.len() > 40, "{token}");
    let (status, location) = led_to(&server, "localhost").await;
    assert_eq!(
        (status, location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/login?next=%2Fresults"))
    );
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn on_a_network_compose_keeps_the_port_behind_the_proxy_that_is_believed_and_makes_the_admin() {
    let (network, mut merged) = (yaml("deploy/network.yaml"), environment(&compose()["services"]["web"]));
    let (web, caddy) = (&network["services"]["web"], &network["services"]["caddy"]);
    merged.extend(environment(web));
    assert_eq!(merged["PGASSAY_ACCESS"], "required");
    assert!(web["ports"].is_badvalue(), "others come by Caddy alone");
    let address = caddy["networks"]["front"]["ipv4_address"].as_str().unwrap();
    assert_eq!(merged["PGASSAY_TRUSTED_PROXIES"], address);
    let proxied = with_defaults(caddy["command"].as_str().unwrap());
    let host = merged["PGASSAY_PUBLIC_URL"].strip_prefix("https://").unwrap();
    assert_eq!(
        proxied,
        format!("caddy reverse-proxy --from {host} --to web:{}", image_port().1)
    );
    let secret = strings(&web["secrets"])[0];
    assert_eq!(merged["PGASSAY_ADMIN_PASSWORD_FILE"], format!("/run/secrets/{secret}"));
    assert!(network["secrets"][secret]["file"].as_str().is_some());

    let dir = data_dir();
    let mut env = env_at(dir.path());
    let password = dir.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    for (name, value) in merged.iter().filter(|(name, _)| {
        // Its store is that of this machine.
        ![
            "DATABASE_URL",
            "PGASSAY_LISTEN",
            "PGASSAY_SAMPLE",
            "PGASSAY_KEY_FILE",
            "PGASSAY_SECRETS_DIR",
        ]
        .contains(&name.as_str())
    }) {
        env.insert(name.clone(), value.clone());
    }
    env.insert(
        "PGASSAY_ADMIN_PASSWORD_FILE".to_owned(),
        password.to_str().unwrap().to_owned(),
    );
    let server = Server::run(started(&env));
    assert_eq!(server.setup_token, None, "there is an admin");
    let (status, location) = led_to(&server, host).await;
    assert_eq!(
        (status, location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/login?next=%2Fresults"))
    );
    let form = [("name", &*merged["PGASSAY_ADMIN_NAME"]), ("password", PASSWORD)];
    let client = crate::server::client();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let entered = client
        .post(format!("http://127.0.0.1:{}/login", free_port(&server)))
        .header(header::HOST, host)
        .form(&form);
    let entered = entered.send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_image_starts_with_compose_and_its_health_check_tells() {
    let dir = data_dir();
    let mut env = env_at(dir.path());
    let compose = compose();
    let cluster = Cluster::with_passwords();
    let given = environment(&compose["services"]["postgres"]);
    let (user, password) = (&given["POSTGRES_USER"], &given["POSTGRES_PASSWORD"]);
    cluster.ask(&format!("create role {user} superuser login password '{password}'"));
    cluster.ask(&format!("create database {} owner {user}", given["POSTGRES_DB"]));
    let listen = env["PGASSAY_LISTEN"].clone();
    env.extend(environment(&compose["services"]["web"]));
    env.insert("PGASSAY_LISTEN".to_owned(), listen);
    for (name, file) in [("PGASSAY_KEY_FILE", "key"), ("PGASSAY_SECRETS_DIR", "secrets")] {
        let place = dir.path().join(file).to_str().unwrap().to_owned();
        assert!(env.insert(name.to_owned(), place).is_some());
    }
    env.insert(
        "DATABASE_URL".to_owned(),
        cluster.url_of(user, password, &given["POSTGRES_DB"]),
    );
    let (_, port) = image_port();
    let server = Server::run(started(&env));
    assert_eq!(
        server.setup_token, None,
        "nobody signs in where only this machine comes in"
    );

    let free_port = free_port(&server);
    let check = image()
        .last("HEALTHCHECK")
        .split_once(" CMD ")
        .unwrap()
        .1
        .replace(&port, &free_port);
    let words: Vec<String> = serde_json::from_str(&check).unwrap();
    let is_healthy = || {
        let mut check = Command::new(&words[0]);
        check.args(&words[1..]).stderr(Stdio::null());
        check.status().unwrap().success()
    };
    assert!(is_healthy(), "{check}");
    assert_eq!(server.stop(), Some(0));
    assert!(!is_healthy(), "{check}");
}
