//! The fields of the form that are one text each, by their names.

use crate::benchmark::form::BenchmarkForm;

impl BenchmarkForm {
    /// All of them with their names, in the order in which people meet them.
    pub fn texts_mut(&mut self) -> [(&'static str, &mut String); 26] {
        [
            ("request_id", &mut self.request_id),
            ("target", &mut self.target),
            ("dataset", &mut self.dataset),
            ("server", &mut self.server),
            ("workload", &mut self.workload),
            ("table_rows", &mut self.table_rows),
            ("batch_size", &mut self.batch_size),
            ("loading", &mut self.loading),
            ("operation", &mut self.operation),
            ("keys", &mut self.keys),
            ("read_percent", &mut self.read_percent),
            ("insert_rows", &mut self.insert_rows),
            ("thread_counts", &mut self.thread_counts),
            ("test_duration", &mut self.test_duration),
            ("warm_up", &mut self.warm_up),
            ("rate", &mut self.rate),
            ("latency_limit", &mut self.latency_limit),
            ("protocol", &mut self.protocol),
            ("connection", &mut self.connection),
            ("max_tries", &mut self.max_tries),
            ("max_errors", &mut self.max_errors),
            ("statement_timeout", &mut self.statement_timeout),
            ("settings", &mut self.settings),
            ("seed", &mut self.seed),
            ("workers", &mut self.workers),
            ("objective", &mut self.objective),
        ]
    }

    /// The one of that name; none where there is no such field.
    pub fn text_mut(&mut self, name: &str) -> Option<&mut String> {
        let found = self.texts_mut().into_iter().find(|(own, _)| *own == name);
        found.map(|(_, text)| text)
    }
}
