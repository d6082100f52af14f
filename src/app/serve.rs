//! Serves pages and works on jobs until a signal says to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio_util::sync::CancellationToken;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::app::caretaker;
use crate::app::door;
use crate::app::door::Bounds;
use crate::app::house::Guests;
use crate::app::house::House;
use crate::app::house::Programs;
use crate::app::sample;
use crate::app::worker;
use crate::auth::accounts::AccountError;
use crate::config::Access;
use crate::config::HouseConfig;
use crate::config::WebConfig;
use crate::target::open_files::OpenFiles;
use crate::web;
use crate::web::AppState;

/// How many files a process may have open where nobody has said anything else.
const USUAL_FILES: u64 = 1024;

/// Runs until the first signal, then stops in order; a second signal stops without waiting.
pub async fn serve(house: &HouseConfig, web: &WebConfig) -> anyhow::Result<()> {
    web.check()?;
    let shutdown = CancellationToken::new();
    until_signalled(&shutdown, Box::pin(run(house, web, &shutdown))).await
}

/// Does what is `running` to its end, which the first signal asks for by `shutdown`, and a second one does not wait for.
pub async fn until_signalled(
    shutdown: &CancellationToken,
    running: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::pin!(running);
    tokio::select! {
        result = &mut running => return result,
        signal = stop_signal() => info!("{} received: stopping; the same again stops at once", signal?),
    }
    shutdown.cancel();
    tokio::select! {
        result = running => result,
        signal = stop_signal() => {
            // Dropping what runs tells the servers that we started to go, too.
            warn!("{} received again: stopping at once", signal?);
            Ok(())
        }
    }
}

async fn run(house: &HouseConfig, web: &WebConfig, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let listener = door::open(web.listen)
        .with_context(|| format!("{} cannot be listened on; another program may use it", web.listen))?;
    let address = listener.local_addr()?;
    let house = Arc::new(House::open_with(house, Programs::Needed, web.access()).await?);
    if web.access() == Access::Required {
        open_accounts(&house, web, address).await?;
    }
    let state = web::AppState::new(&house.services(), web, address, shutdown.clone())?;
    if web.sample
        && let Err(error) = sample::load_once(&house, &web.samples_dir).await
    {
        warn!("The sample could not be loaded: {error:#}");
    }
    let working = tokio::spawn({
        let (house, shutdown) = (Arc::clone(&house), shutdown.clone());
        async move { worker::work(&house, &shutdown).await }
    });
    info!("pgassay {} serves http://{address}", env!("CARGO_PKG_VERSION"));
    let caring = tokio::spawn({
        let (house, shutdown) = (Arc::clone(&house), shutdown.clone());
        async move { caretaker::take_care(&house, &shutdown).await }
    });
    serve_pages(listener, state, shutdown).await;
    shutdown.cancel();
    working.await.context("the worker")?;
    caring.await.context("the caretaker")?;
    if let Ok(house) = Arc::try_unwrap(house) {
        house.close(Guests::Leave).await?;
    } else {
        error!("Something still uses the store; it is stopped without waiting");
    }
    info!("pgassay has stopped");
    Ok(())
}

/// Sees to it that somebody can sign in: the admin that the configuration names, or whoever holds a token that is printed.
async fn open_accounts(house: &House, web: &WebConfig, address: SocketAddr) -> anyhow::Result<()> {
    let accounts = &house.accounts;
    if let (Some(name), Some(file)) = (&web.admin_name, &web.admin_password_file)
        && accounts.awaits_setup().await?
    {
        let password = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let made = accounts
            .make_first_admin(name, password.trim_end_matches(['\r', '\n']))
            .await;
        match made {
            // Another process was first.
            Ok(_) | Err(AccountError::AlreadySetUp) => {}
            Err(error) => return Err(error).with_context(|| format!("making the first admin {name}")),
        }
    }
    if let Some(token) = accounts.offer_setup().await? {
        // All addresses are none that a browser can go to.
        let usual = || {
            if address.ip().is_unspecified() {
                format!("http://localhost:{}", address.port())
            } else {
                format!("http://{address}")
            }
        };
        let url = web
            .public_url
            .as_ref()
            .map_or_else(usual, |url| url.as_str().trim_end_matches('/').to_owned());
        // Not a line of the log, which others may read.
        eprintln!(
            "\nNobody can sign in yet. Make the first admin within a day at\n\n    {url}/setup?token={}\n",
            token.expose()
        );
    }
    Ok(())
}

async fn serve_pages(listener: TcpListener, state: AppState, shutdown: &CancellationToken) {
    let proxies = Arc::clone(&state.gate.proxies);
    let router = web::router(state);
    // Where it cannot be read there are as many as systems usually have.
    let n_files = OpenFiles::now().map_or(USUAL_FILES, |files| files.limit);
    let bounds = Bounds::under(n_files, move |peer| proxies.trust(peer));
    let patience = async {
        shutdown.cancelled().await;
        // A browser may keep a stream or an upload open for longer than anybody wants to wait.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    };
    tokio::select! {
        () = door::serve(listener, &router, bounds, shutdown) => {}
        () = patience => warn!("Open connections are closed"),
    }
}

/// Resolves with the name of the next signal that asks this process to end.
pub async fn stop_signal() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::runtime::Handle;

    use super::*;
    use crate::testing::bench::Bench;
    use crate::testing::bench::PATIENCE;

    /// Everything that a process of pgassay does for as long as it runs.
    async fn begin(house: &Arc<House>, shutdown: &CancellationToken) -> (SocketAddr, [tokio::task::JoinHandle<()>; 3]) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = web::AppState::new(&house.services(), &WebConfig::unsaid(), address, shutdown.clone()).unwrap();
        let parts = || (Arc::clone(house), shutdown.clone());
        let ((working, until), (caring, unless)) = (parts(), parts());
        let end = shutdown.clone();
        let services = [
            tokio::spawn(async move { worker::work(&working, &until).await }),
            tokio::spawn(async move { caretaker::take_care(&caring, &unless).await }),
            tokio::spawn(async move { serve_pages(listener, state, &end).await }),
        ];
        (address, services)
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn of_two_that_begin_at_once_one_makes_the_first_admin_and_both_serve() {
        let bench = Bench::open().await;
        let file = bench.house.layout.root().join("password");
        std::fs::write(&file, "seven purple kettles sing\n").unwrap();
        let web = WebConfig {
            access: Some(Access::Required),
            admin_name: Some("ada".to_owned()),
            admin_password_file: Some(file),
            ..WebConfig::unsaid()
        };
        let begin = || open_accounts(&bench.house, &web, web.listen);
        // Both look whether there is an admin before either has hashed the password of one.
        let (one, two) = tokio::join!(begin(), begin());
        one.unwrap();
        two.unwrap();
        let admins = sqlx::query_scalar("select name from users where password_hash is not null");
        let admins: Vec<String> = admins.fetch_all(&bench.house.pool).await.unwrap();
        assert_eq!(admins, ["ada"]);
        bench.close().await;
    }

    /// R18 of `reliability.md`.
    #[tokio::test]
    async fn services_that_are_started_and_stopped_again_and_again_leave_nothing_behind() {
        let house: Arc<House> = Arc::from(Bench::open().await.house);
        let n_tasks = || Handle::current().metrics().num_alive_tasks();
        let mut usual = None;
        for round in 0..30 {
            let shutdown = CancellationToken::new();
            let (address, services) = begin(&house, &shutdown).await;
            // Stopped before anything of it has begun, in the middle, and when it has been of use.
            match round % 3 {
                0 => assert!(ask(address).await.starts_with("HTTP/1.1 "), "round {round}"),
                1 => tokio::task::yield_now().await,
                _ => {}
            }
            shutdown.cancel();
            for service in services {
                tokio::time::timeout(PATIENCE, service).await.unwrap().unwrap();
            }
            assert_eq!(Arc::strong_count(&house), 1, "round {round}");
            // Of what the pool does by itself there may be something more for a moment.
            let (began, most) = (Instant::now(), *usual.get_or_insert_with(n_tasks));
            while n_tasks() > most {
                assert!(
                    began.elapsed() < PATIENCE,
                    "round {round}: {} tasks, {most} before",
                    n_tasks()
                );
                tokio::task::yield_now().await;
            }
        }
        let here = sqlx::query_scalar("select count(*) from workers where left_at is null");
        let n_here: i64 = here.fetch_one(&house.pool).await.unwrap();
        assert_eq!(n_here, 0, "each has taken leave");
        let house = Arc::try_unwrap(house).ok().unwrap();
        house.close(Guests::Leave).await.unwrap();
    }
}
