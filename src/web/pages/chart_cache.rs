//! Charts that were drawn lately. Drawing takes milliseconds, and a page asks for the same picture again and again.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;

/// Pictures kept, each some tens of kilobytes.
const MOST: usize = 64;

/// The newest charts under their address and revision.
#[derive(Clone, Default)]
pub struct ChartCache(Arc<Mutex<Vec<(String, Bytes)>>>);

impl ChartCache {
    /// The chart under this key, if it is still here.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = charts.iter().position(|(known, _)| known == key)?;
        let found = charts.remove(at);
        let bytes = found.1.clone();
        charts.push(found);
        Some(bytes)
    }

    /// Keeps a chart in place of the one that was not asked for the longest.
    pub fn put(&self, key: String, chart: Bytes) {
        let mut charts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        charts.retain(|(known, _)| *known != key);
        if charts.len() >= MOST {
            charts.remove(0);
        }
        charts.push((key, chart));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_goes() {
        let cache = ChartCache::default();
        for n in 0..MOST {
            cache.put(n.to_string(), Bytes::new());
        }
        assert!(cache.get("0").is_some());
        cache.put("new".into(), Bytes::new());
        assert!(cache.get("0").is_some());
        assert!(cache.get("1").is_none());
    }
}
