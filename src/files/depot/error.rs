//! What keeps files from getting into a depot or out of it, in words for whoever can put it right.

use std::error::Error;
use std::path::PathBuf;

use crate::model::text::shorten;

/// So much is shown of what a depot says.
const SHOWN_CHARS: usize = 160;
/// What S3 calls credentials that will not do, whatever the status it sends with that.
const REFUSED: [&str; 6] = [
    "AccessDenied",
    "AuthenticationFailed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
];
/// Where a cloud's own machines ask for credentials. Others have none of that name.
const CREDENTIALS_OF_MACHINES: &str = "169.254.169.254";
/// How the three providers say that there is no such bucket.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "bucket does not exist", "ContainerNotFound"];

/// Why the depot did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    #[error(
        "PGASSAY_FILES is not an address of a depot. Such an address is s3://bucket/prefix, gs://bucket/prefix, \
         az://container/prefix or file:///directory."
    )]
    NotAnAddress,
    #[error(
        "This pgassay was built without clouds, so PGASSAY_FILES cannot begin with {0}://. Use its container image, build it \
         with \"cargo build --release --features cloud\", or name a directory that all machines have mounted: \
         file:///directory."
    )]
    NotBuiltIn(String),
    #[error("PGASSAY_FILES names the directory {}, which is not there. Make it, or mount it.", .0.display())]
    NoDirectory(PathBuf),
    #[error("{place} cannot be used with the settings in the environment: {said}.")]
    Settings { place: String, said: String },
    #[error(
        "The depot {place} refuses pgassay's credentials ({said}). Check them in the environment (for S3: \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), and that they allow reading, writing, listing and deleting."
    )]
    Refused { place: String, said: String },
    #[error(
        "There are no credentials for the depot {place}. Put them into the environment (for S3: AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY)."
    )]
    NoCredentials { place: String },
    #[error("There is no bucket for the depot {place}. Make it, or name another one in PGASSAY_FILES.")]
    NoBucket { place: String },
    #[error("The file is not in the depot {place} any more. Upload the dump again.")]
    Missing { place: String },
    #[error("The depot {place} returns other bytes than it was given. Look after it, then upload the dump again.")]
    Damaged { place: String },
    #[error("The depot {place} does not answer as it should ({said}). Nothing is lost; try again when it does.")]
    Away { place: String, said: String },
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

impl DepotError {
    /// What an error of the library comes to.
    pub(super) fn of(place: &str, error: &object_store::Error) -> Self {
        let text = error.to_string();
        let (place, said) = (place.to_owned(), code(&text).unwrap_or_else(|| innermost(error)));
        match error {
            _ if text.contains(CREDENTIALS_OF_MACHINES) => Self::NoCredentials { place },
            // The library tells it as an error like any other when it was listing.
            _ if NO_BUCKET.iter().any(|words| text.contains(words)) => Self::NoBucket { place },
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::Refused { place, said }
            }
            _ if REFUSED.contains(&&*said) => Self::Refused { place, said },
            object_store::Error::NotFound { .. } => Self::Missing { place },
            _ => Self::Away { place, said },
        }
    }

    /// Whether it may be better in a moment.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::NotAnAddress
            | Self::NotBuiltIn(_)
            | Self::NoDirectory(_)
            | Self::Settings { .. }
            | Self::Refused { .. }
            | Self::NoCredentials { .. }
            | Self::NoBucket { .. }
            | Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Fault(_) => false,
        }
    }
}

/// The word by which S3 and Azure name what is wrong.
fn code(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(shorten(code, SHOWN_CHARS))
}

/// The cause of all others, on one line.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let words = cause.to_string();
    let words: Vec<&str> = words.split_whitespace().collect();
    shorten(words.join(" ").trim_end_matches('.'), SHOWN_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server said, as the library passes it on.
    fn not_found(body: &str) -> object_store::Error {
        object_store::Error::NotFound {
            path: "dumps/1".to_owned(),
            source: body.to_owned().into(),
        }
    }

    #[test]
    fn a_bucket_that_is_not_there_is_told_from_a_file_that_is_not_there() {
        for body in [
            "<Error><Code>NoSuchBucket</Code></Error>",
            "The specified bucket does not exist.",
            "<Code>ContainerNotFound</Code>",
        ] {
            let error = DepotError::of("s3://b", &not_found(body));
            assert!(matches!(error, DepotError::NoBucket { .. }), "{error}");
        }
        let error = DepotError::of("s3://b", &not_found("<Code>NoSuchKey</Code>"));
        assert!(matches!(error, DepotError::Missing { .. }), "{error}");
    }

    #[test]
    fn what_the_depot_says_is_cut_down_to_its_code_or_its_last_cause() {
        let denied = object_store::Error::PermissionDenied {
            path: "dumps/1".to_owned(),
            source: "403 <Error><Code>SignatureDoesNotMatch</Code><StringToSign>AWS4</StringToSign>".into(),
        };
        let words = DepotError::of("s3://b", &denied).to_string();
        assert!(
            words.contains("credentials (SignatureDoesNotMatch)") && !words.contains("AWS4"),
            "{words}"
        );
        let unlucky = object_store::Error::Generic {
            store: "S3",
            source: "400 <Error><Code>ExpiredToken</Code>".into(),
        };
        let error = DepotError::of("s3://b", &unlucky);
        assert!(matches!(error, DepotError::Refused { .. }), "{error}");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let away = object_store::Error::Generic {
            store: "S3",
            source: Box::new(refused),
        };
        let error = DepotError::of("s3://b", &away);
        assert!(error.may_pass());
        assert!(error.to_string().contains("(connection refused)"), "{error}");
    }

    #[test]
    fn no_credentials_are_not_an_address_of_amazon_that_does_not_answer() {
        let error = object_store::Error::Generic {
            store: "S3",
            source: "Error performing PUT http://169.254.169.254/latest/api/token".into(),
        };
        let error = DepotError::of("s3://b", &error);
        assert!(matches!(error, DepotError::NoCredentials { .. }), "{error}");
    }
}
