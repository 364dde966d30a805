//! Templates by fingerprint. Bounded; an entry holds the variants that differ by their shaping
//! literals. Belongs to one [`super::Scene`]: when that changes, a new cache takes its place.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::template::Template;
use crate::sql::Lexed;
use crate::types::limits;

/// Shared by all sessions of a database.
pub struct TemplateCache {
    entries: Cache<u64, Arc<[Arc<Template>]>, Weight>,
}

/// Variants of one shape that are kept; the oldest makes room.
const VARIANTS_MAX: usize = 4;

/// A template keeps its text, and of each value in it a few times as much.
#[derive(Clone)]
struct Weight;

impl Weighter<u64, Arc<[Arc<Template>]>> for Weight {
    fn weight(&self, _: &u64, variants: &Arc<[Arc<Template>]>) -> u64 {
        let bytes = |template: &Arc<Template>| 1024 + 8 * template.normalized.len() as u64;
        variants.iter().map(bytes).sum()
    }
}

impl Default for TemplateCache {
    fn default() -> Self {
        Self { entries: Cache::with_weighter(limits::TEMPLATES_MAX, limits::TEMPLATES_BYTES_MAX, Weight) }
    }
}

impl std::fmt::Debug for TemplateCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemplateCache").field("entries", &self.entries.len()).finish()
    }
}

impl TemplateCache {
    /// `names` is [`super::Names::fingerprint`].
    pub fn get(&self, sql: &[u8], lexed: &Lexed, names: u64) -> Option<Arc<Template>> {
        let variants = self.entries.get(&key(lexed, names))?;
        variants.iter().find(|template| template.matches(sql, lexed)).cloned()
    }

    pub fn insert(&self, lexed: &Lexed, names: u64, template: Arc<Template>) {
        let key = key(lexed, names);
        let others = self.entries.peek(&key);
        let mut variants = vec![template];
        variants.extend(others.iter().flat_map(|others| others.iter()).take(VARIANTS_MAX - 1).cloned());
        self.entries.insert(key, variants.into());
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn key(lexed: &Lexed, names: u64) -> u64 {
    lexed.hash ^ names.rotate_left(32)
}
