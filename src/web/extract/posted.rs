//! A posted form that may carry files of text: its fields, and its files beside them, whichever way a browser sends it.

use axum::extract::FromRequest;
use axum::extract::Multipart;
use axum::extract::Request;
use axum::http::header;

use crate::web::error::Error;
use crate::web::extract::form::Form;
use crate::web::extract::parts;

/// The fields of a form in their order, and its files in theirs.
#[derive(Debug, Default)]
pub struct Posted {
    pub pairs: Vec<(String, String)>,
    pub files: Vec<PostedFile>,
}

/// One chosen file.
#[derive(Debug, PartialEq, Eq)]
pub struct PostedFile {
    /// Of the field that it was chosen in.
    pub field: String,
    /// As the browser names it.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let has_parts = content_type.is_some_and(|value| value.as_bytes().starts_with(b"multipart/"));
        if !has_parts {
            let Form(pairs) = Form::from_request(request, state).await?;
            return Ok(Self {
                pairs,
                files: Vec::new(),
            });
        }
        let mut form = parts::form(Multipart::from_request(request, state).await)?;
        let mut posted = Self::default();
        while let Some(part) = parts::next(&mut form).await? {
            let field = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let bytes = part.bytes().await.map_err(|error| parts::refused(&error))?;
            match file_name {
                // A field in which no file was chosen.
                Some(name) if name.is_empty() => {}
                Some(name) => posted.files.push(PostedFile {
                    field,
                    name,
                    bytes: bytes.into(),
                }),
                None => posted
                    .pairs
                    .push((field, String::from_utf8(bytes.into()).map_err(|_| parts::broken())?)),
            }
        }
        Ok(posted)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;

    use super::*;

    async fn read(content_type: &str, body: &'static str) -> Result<Posted, Error> {
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .unwrap();
        Posted::from_request(request, &()).await
    }

    const PARTS: &str = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1 & 2\r\n\
                         --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n\
                         --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"mine.sql\"\r\n\r\nselect 1;\r\n\
                         --x--\r\n";

    #[tokio::test]
    async fn fields_are_the_same_however_they_were_sent_and_files_stand_beside_them() {
        let plain = read("application/x-www-form-urlencoded", "a=1+%26+2").await.unwrap();
        let parts = read("multipart/form-data; boundary=x", PARTS).await.unwrap();
        assert_eq!(plain.pairs, [("a".to_owned(), "1 & 2".to_owned())]);
        assert_eq!(plain.pairs, parts.pairs);
        let chosen = PostedFile {
            field: "f".to_owned(),
            name: "mine.sql".to_owned(),
            bytes: b"select 1;".to_vec(),
        };
        assert_eq!(parts.files, [chosen]);
    }

    #[tokio::test]
    async fn what_breaks_off_is_refused() {
        let (begun, _) = PARTS.split_at(90);
        assert!(matches!(
            read("multipart/form-data; boundary=x", begun).await,
            Err(Error::Refused {
                status: StatusCode::BAD_REQUEST,
                ..
            })
        ));
    }
}
