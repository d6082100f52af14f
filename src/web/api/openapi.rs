//! The document that describes the API (`OpenAPI` 3.1), made from the handlers themselves. Each file of handlers has its part
//! of it, and this is the one place where the parts are put together.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::Components;
use utoipa::openapi::Content;
use utoipa::openapi::Object;
use utoipa::openapi::Ref;
use utoipa::openapi::RefOr;
use utoipa::openapi::Response;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::Schema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::Flow;
use utoipa::openapi::security::HttpAuthScheme;
use utoipa::openapi::security::HttpBuilder;
use utoipa::openapi::security::OAuth2;
use utoipa::openapi::security::Password;
use utoipa::openapi::security::Scopes;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::security::SecurityScheme;

use crate::web::api::auth::AuthDoc;
use crate::web::api::benchmarks::BenchmarksDoc;
use crate::web::api::datasets::DatasetsDoc;
use crate::web::api::experiments::ExperimentsDoc;
use crate::web::api::idempotency;
use crate::web::api::workloads::WorkloadsDoc;
use crate::web::error::Envelope;
use crate::web::state::AppState;
use crate::web::urls;

/// The security schemes: a token of one's account, and the way to one by name and password.
const BEARER: &str = "token";
const PASSWORD: &str = "password";
const TOKEN_URL: &str = "/api/auth/token";

/// What any request may be answered with, whatever it asks for.
const OF_EVERY: [(&str, &str, &str); 6] = [
    (
        "401",
        "NotSignedIn",
        "There is no token, or one that does not hold any more. The header WWW-Authenticate says what is wanted. Not where \
         pgassay runs without accounts.",
    ),
    (
        "403",
        "NotAllowed",
        "The token may not do this, or a page of another site sent the request.",
    ),
    (
        "421",
        "UnknownHost",
        "This pgassay does not answer to the name in the header Host.",
    ),
    (
        "429",
        "TooOften",
        "That was asked too often, or too much of it at once. The header Retry-After says after how many seconds it can be asked again.",
    ),
    (
        "500",
        "Fault",
        "Something went wrong on the side of pgassay, whose log tells more under `request_id`.",
    ),
    (
        "503",
        "Unavailable",
        "The store, or the place where dumps are kept, does not answer just now. The header Retry-After says when to try again.",
    ),
];

/// And any that has a body.
const OF_BODIES: [(&str, &str, &str); 3] = [
    ("408", "TooSlow", "The body arrived too slowly and was given up."),
    ("413", "TooLarge", "The body is larger than may be."),
    (
        "415",
        "UnknownKind",
        "The header Content-Type names none of the kinds that are read here.",
    ),
];

pub(super) fn router() -> Router<AppState> {
    Router::new().route(urls::API_DOCUMENT, get(openapi))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pgassay",
        description = "Which planner statistics of PostgreSQL change which plans, by how much, and how sure that is. Programs \
                       can do here what people do on pages: bring dumps and queries, start experiments and benchmarks, read \
                       what came of them.\n\nTimes are RFC 3339 in UTC, names end in the unit of their number, and lists are \
                       read by the stretch: newest first, with the address of the next stretch in the header `Link`. \
                       Whatever goes wrong is answered in one shape, `Envelope`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(),
    ),
    components(schemas(Envelope))
)]
struct WholeDoc;

/// The whole document.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = WholeDoc::openapi();
    for part in [
        DatasetsDoc::openapi(),
        WorkloadsDoc::openapi(),
        BenchmarksDoc::openapi(),
        ExperimentsDoc::openapi(),
        AuthDoc::openapi(),
    ] {
        document.merge(part);
    }
    let components = document.components.get_or_insert_default();
    add_security(components);
    for (_, name, description) in OF_EVERY.into_iter().chain(OF_BODIES) {
        components
            .responses
            .insert(name.to_owned(), refusal(description).into());
    }
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(complete);
        operations(item).for_each(say_what_texts_are);
    }
    document
}

/// GET /api/openapi.json
async fn openapi() -> impl IntoResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_json().unwrap_or_default().into());
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], TEXT.clone())
}

/// All operations of an address.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get, put, post, delete, ..
    } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// Adds what no handler says for itself.
fn complete(operation: &mut Operation) {
    let of_bodies = OF_BODIES.iter().filter(|_| operation.request_body.is_some());
    for (status, name, _) in OF_EVERY.iter().chain(of_bodies) {
        let answers = &mut operation.responses.responses;
        let answer = || RefOr::Ref(Ref::from_response_name(*name));
        answers.entry((*status).to_owned()).or_insert_with(answer);
    }
    if operation.security.is_none() {
        let no_scopes: [&str; 0] = [];
        operation.security = Some(vec![
            SecurityRequirement::new(BEARER, no_scopes),
            SecurityRequirement::new(PASSWORD, no_scopes),
        ]);
    }
}

/// Parameters and headers are texts or are not there at all: null, which a body may have, is none of them.
fn say_what_texts_are(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        parameter.schema = parameter.schema.take().map(without_null);
        if parameter.name == idempotency::HEADER {
            let is_key = Object::builder()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(idempotency::MOST_KEY_CHARS))
                .pattern(Some(idempotency::PATTERN));
            parameter.schema = Some(is_key.build().into());
            parameter.description = Some(idempotency::ABOUT.to_owned());
        }
    }
    for answer in operation.responses.responses.values_mut() {
        let RefOr::T(answer) = answer else { continue };
        for header in answer.headers.values_mut() {
            header.schema = without_null(header.schema.clone());
        }
    }
}

/// What is left of a schema when null is none of what it stands for.
fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let is_null = |kind: &RefOr<Schema>| match kind {
        RefOr::T(Schema::Object(object)) => object.schema_type == Type::Null.into(),
        _ => false,
    };
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(kinds) = &object.schema_type {
                let mut kinds = kinds.clone();
                kinds.retain(|kind| *kind != Type::Null);
                object.schema_type = match &kinds[..] {
                    [kind] => kind.clone().into(),
                    _ => SchemaType::Array(kinds),
                };
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            one_of.items.retain(|kind| !is_null(kind));
            match &one_of.items[..] {
                [kind] => kind.clone(),
                _ => RefOr::T(Schema::OneOf(one_of)),
            }
        }
        schema => schema,
    }
}

fn refusal(description: &str) -> Response {
    let body = Content::new(Some(Ref::from_schema_name("Envelope")));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", body)
        .build()
}

fn add_security(components: &mut Components) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An API token of your account, in the header `Authorization: Bearer`. Needed where pgassay keeps accounts.",
        ))
        .build();
    let scopes = Scopes::from_iter([
        ("read", "look at what the account may see"),
        ("write", "upload, start, stop and delete, too"),
    ]);
    let password = OAuth2::with_description(
        [Flow::Password(Password::new(TOKEN_URL, scopes))],
        "A token for a name and a password, by the form of OAuth 2 (RFC 6749, section 4.3).",
    );
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    components.add_security_scheme(PASSWORD, SecurityScheme::OAuth2(password));
}
