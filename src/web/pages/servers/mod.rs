//! Registered servers: the list, the form, what a server says of itself, and how it is forgotten.

mod view;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;

use crate::experiment::fields::FieldError;
use crate::model::dataset::Setting;
use crate::model::ids::ServerId;
use crate::model::server::PasswordSource;
use crate::model::server::RegisteredServer;
use crate::server::Servers;
use crate::server::ServersError;
use crate::server::form::ServerForm;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::experiment::sources;
use crate::web::pages::servers::view::Line;
use crate::web::pages::servers::view::TestView;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::SERVERS, get(index).post(create))
        .route(urls::SERVERS_NEW, get(new))
        .route("/servers/{id}", get(show).post(update))
        .route("/servers/{id}/edit", get(edit))
        .route("/servers/{id}/test", post(test))
        .route("/servers/{id}/delete", get(delete).post(destroy))
}

#[derive(Template)]
#[template(path = "servers/index.html")]
struct IndexPage {
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "servers/form.html")]
struct FormPage {
    title: String,
    action: String,
    /// Where somebody goes who changes nothing.
    back: String,
    button: &'static str,
    form: ServerForm,
    address_help: &'static str,
    secret_help: String,
    errors: Vec<FieldError>,
}

#[derive(Template)]
#[template(path = "servers/show.html")]
struct ShowPage {
    name: String,
    facts: Vec<Setting>,
    test: Option<TestView>,
    test_href: String,
    edit_href: String,
    delete_href: String,
    benchmark_href: String,
}

#[derive(Template)]
#[template(path = "servers/delete.html")]
struct DeletePage {
    name: String,
    href: String,
    delete_href: String,
    refusal: Option<String>,
}

impl FormPage {
    fn new(servers: &Servers, form: ServerForm, errors: Vec<FieldError>) -> Self {
        Self {
            title: "Register a server".to_owned(),
            action: urls::SERVERS.to_owned(),
            back: urls::SERVERS.to_owned(),
            button: "Register it",
            form,
            address_help: if errors.is_empty() {
                "It is stored encrypted and never shown again. TLS as with libpq: sslmode, sslrootcert, channel_binding."
            } else {
                "Enter it again, please: what was sent is not shown."
            },
            secret_help: secret_help(servers),
            errors,
        }
    }

    fn change(servers: &Servers, server: &RegisteredServer, form: ServerForm, errors: Vec<FieldError>) -> Self {
        Self {
            title: format!("Change {}", server.name),
            action: urls::server(server.id),
            back: urls::server(server.id),
            button: "Change it",
            address_help: "Empty: it stays as it is. Neither what is stored nor what was sent is shown.",
            ..Self::new(servers, form, errors)
        }
    }

    fn error(&self, field: &str) -> Option<String> {
        sources::messages(&self.errors, field)
    }
}

fn secret_help(servers: &Servers) -> String {
    format!(
        "Instead of a password in the address: the name of a file in {}. Before each connection its first line is read, or, \
         when the file can be run, it is run and the first line of its output read. For tokens that expire.",
        servers.secrets.display()
    )
}

impl ShowPage {
    fn new(server: RegisteredServer) -> Self {
        let id = server.id;
        Self {
            facts: view::facts(&server),
            test: server.last_test.as_ref().map(TestView::new),
            name: server.name,
            test_href: urls::server_part(id, "test"),
            edit_href: urls::server_part(id, "edit"),
            delete_href: urls::server_part(id, "delete"),
            benchmark_href: urls::benchmark_on_server(id),
        }
    }
}

async fn load(servers: &Servers, viewer: crate::model::user::Viewer, id: ServerId) -> PageResult<RegisteredServer> {
    servers.get(viewer, id).await?.ok_or(Error::NotFound("server"))
}

/// GET /servers
async fn index(State(servers): State<Servers>, CurrentUser(viewer): CurrentUser) -> PageResult<Response> {
    let lines = servers.list(viewer).await?.iter().map(Line::new).collect();
    fragment::page(&IndexPage { lines })
}

/// GET /servers/new
async fn new(State(servers): State<Servers>) -> PageResult<Response> {
    fragment::page(&FormPage::new(&servers, ServerForm::default(), Vec::new()))
}

/// POST /servers
async fn create(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let form = ServerForm::from_pairs(pairs);
    match servers.add(viewer, &form).await {
        Ok(id) => Ok(hx.redirect(&urls::server(id))),
        Err(ServersError::Refused(errors)) => {
            let page = FormPage::new(&servers, form.without_address(), errors);
            fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// GET /servers/{id}
async fn show(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ServerId>,
) -> PageResult<Response> {
    fragment::page(&ShowPage::new(load(&servers, viewer, id).await?))
}

/// GET /servers/{id}/edit
async fn edit(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ServerId>,
) -> PageResult<Response> {
    let server = load(&servers, viewer, id).await?;
    let form = ServerForm {
        name: server.name.clone(),
        secret: match &server.password {
            PasswordSource::Secret(name) => name.to_string(),
            PasswordSource::None | PasswordSource::Stored => String::new(),
        },
        ..ServerForm::default()
    };
    fragment::page(&FormPage::change(&servers, &server, form, Vec::new()))
}

/// POST /servers/{id}
async fn update(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ServerId>,
    hx: Hx,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult<Response> {
    let server = load(&servers, viewer, id).await?;
    let form = ServerForm::from_pairs(pairs);
    let errors = match servers.change(viewer, id, &form).await {
        Ok(()) => return Ok(hx.redirect(&urls::server(id))),
        Err(ServersError::Refused(errors)) => errors,
        Err(ServersError::InUse(sentence)) => vec![FieldError::new("", sentence)],
        Err(error) => return Err(error.into()),
    };
    let page = FormPage::change(&servers, &server, form.without_address(), errors);
    fragment::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// POST /servers/{id}/test: what came of it is noted, and stands on the server's page.
async fn test(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ServerId>,
    hx: Hx,
) -> PageResult<Response> {
    servers.test(viewer, id).await?;
    Ok(hx.redirect(&urls::server(id)))
}

/// GET /servers/{id}/delete
async fn delete(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ServerId>,
) -> PageResult<Response> {
    fragment::page(&delete_page(&load(&servers, viewer, id).await?, None))
}

/// POST /servers/{id}/delete
async fn destroy(
    State(servers): State<Servers>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ServerId>,
    hx: Hx,
) -> PageResult<Response> {
    let server = load(&servers, viewer, id).await?;
    match servers.delete(viewer, id).await {
        Ok(()) => Ok(hx.redirect(urls::SERVERS)),
        Err(ServersError::InUse(sentence)) => {
            fragment::with_status(StatusCode::CONFLICT, &delete_page(&server, Some(sentence)))
        }
        Err(error) => Err(error.into()),
    }
}

fn delete_page(server: &RegisteredServer, refusal: Option<String>) -> DeletePage {
    DeletePage {
        name: server.name.clone(),
        href: urls::server(server.id),
        delete_href: urls::server_part(server.id, "delete"),
        refusal,
    }
}
