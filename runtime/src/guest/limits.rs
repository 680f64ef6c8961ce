//! Memory of one instance: grants it up to the limit, remembers the peak and whether it was refused.

use wasmtime::ResourceLimiter;

/// Limiter of one store.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    limit: usize,
    pub(super) used: usize,
    pub(super) refused: bool,
}

impl MemoryLimit {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, used: 0, refused: false }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limit && maximum.is_none_or(|m| desired <= m);
        if allowed {
            self.used = self.used.saturating_sub(current).saturating_add(desired);
        } else {
            self.refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 200_000)
    }
}
