//! Buckets of Amazon (and of whoever speaks its language), Google and Microsoft.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::Result;
use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use tokio_rustls::rustls::crypto::ring;
use url::Url;

/// After so many failures, some seconds after the first, or after this long, a request is given up.
const MOST_RETRIES: usize = 5;
const RETRY_FOR: Duration = Duration::from_secs(45);

/// A bucket, with the credentials and settings that the environment has for it. One request may take 30 s, and a connection
/// 5 s, where the environment says nothing else.
pub fn open(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    // Where one is chosen already, it is the same.
    let _ = ring::default_provider().install_default();
    let retry = RetryConfig {
        max_retries: MOST_RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    Ok(match url.scheme() {
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(retry)
                .build()?,
        ),
        "az" => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(retry)
                .build()?,
        ),
        _ => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(url.as_str())
                .with_retry(retry)
                .build()?,
        ),
    })
}
