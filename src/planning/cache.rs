use super::*;
use crate::sql::Lexed;
use std::sync::Arc;
#[derive(Debug)]
pub struct TemplateCache(quick_cache::sync::Cache<u64, Arc<Template>>);
impl TemplateCache {
    pub fn new() -> Self { Self(quick_cache::sync::Cache::new(1000)) }
    pub fn get(&self, _sql: &[u8], lexed: &Lexed, _names: &Names) -> Option<Arc<Template>> { self.0.get(&lexed.hash) }
    pub fn insert(&self, _sql: &[u8], lexed: &Lexed, _names: &Names, t: Arc<Template>) { self.0.insert(lexed.hash, t) }
}
