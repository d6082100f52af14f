//! What operations may answer instead of what they are asked for, as the description of the API says it: always the envelope.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::Ref;
use utoipa::openapi::RefOr;
use utoipa::openapi::Response;
use utoipa::openapi::ResponseBuilder;

/// Of every operation.
pub(super) struct Any;

/// Of an operation on a thing with an id.
pub(super) struct OfOne;

/// Of an operation that reads parameters or headers which may be wrong.
pub(super) struct OfParameters;

/// Of an operation that takes a body.
pub(super) struct OfBody;

/// Of an operation that a thing may be in no state for.
pub(super) struct OfState;

impl IntoResponses for Any {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[
            (
                "401",
                "Nobody is signed in: there is no token, or it is not good any more.",
            ),
            (
                "403",
                "Not for this account or this token, or sent by a page of another site.",
            ),
            ("421", "The server does not go by the name in the header Host."),
            ("429", "Asked too often. The header Retry-After says when to try again."),
            (
                "500",
                "A fault of the server. Its log tells more under the number in request_id.",
            ),
            (
                "503",
                "The server cannot do it just now. The header Retry-After says when to try again.",
            ),
        ])
    }
}

impl IntoResponses for OfOne {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[("404", "There is no such thing, or it belongs to somebody else.")])
    }
}

impl IntoResponses for OfParameters {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[("400", "A parameter or a header that cannot be; each is named.")])
    }
}

impl IntoResponses for OfBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[
            ("400", "No JSON object, or fields that cannot be; each is named."),
            ("408", "The body arrived too slowly."),
            ("413", "The body is larger than anything that is asked for here."),
            ("415", "The header Content-Type does not say application/json."),
        ])
    }
}

impl IntoResponses for OfState {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[("409", "As things stand it cannot be done; the message says why.")])
    }
}

fn described(responses: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let described = responses.iter().map(|(status, description)| {
        let envelope = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Envelope")))
            .build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/json", envelope);
        ((*status).to_owned(), response.build().into())
    });
    described.collect()
}
