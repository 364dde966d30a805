pub fn offline(_: &crate::config::DatabaseConfig, _: &str) -> String { String::new() }
