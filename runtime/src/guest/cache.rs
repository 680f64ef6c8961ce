//! Compiled components on disk: compile once, then map. A file is found by the hash of the component's bytes and of
//! everything the engine's code depends on, in a folder that only its owner can write.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use super::component::ComponentError;

/// Compiles `bytes`, or maps what an earlier start compiled. A cache that cannot be used costs time, not the start.
pub(super) fn compile(engine: &Engine, dir: &Path, bytes: &[u8]) -> Result<Component, ComponentError> {
    let usable = match prepare(dir) {
        Ok(()) => true,
        Err(reason) => {
            tracing::warn!(%reason, "compiled components are not cached");
            false
        }
    };
    let path = dir.join(file_name(engine, bytes));
    if usable && path.exists() {
        match load(engine, &path) {
            Ok(component) => return Ok(component),
            Err(error) => tracing::warn!(path = %path.display(), %error, "a cached component cannot be used, compiling anew"),
        }
    }
    let component = Component::new(engine, bytes).map_err(|e| ComponentError::Invalid(format!("{e:#}")));
    give_back_memory();
    let component = component?;
    if usable && let Err(error) = store(&component, &path) {
        tracing::warn!(path = %path.display(), error, "a compiled component could not be cached");
    }
    Ok(component)
}

/// Compiling takes tens of megabytes, which glibc would keep for as long as the process lives.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the allocator's own call")]
    // SAFETY: it has no preconditions, and may run beside any other use of the allocator.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let content = Sha256::digest(bytes);
    let mut engine_hash = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut engine_hash);
    let content: String = content.iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("{content}-{:016x}.cwasm", engine_hash.finish())
}

/// The folder must be ours alone: a file in it is run as native code.
fn prepare(dir: &Path) -> Result<(), String> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| format!("cannot create {}: {e}", dir.display()))?;
    let meta = fs::metadata(dir).map_err(|e| format!("cannot read {}: {e}", dir.display()))?;
    if meta.mode() & 0o022 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!(
            "{} can be written by others (mode {:o}): use a folder of mode 0700",
            dir.display(),
            meta.mode() & 0o777
        ));
    }
    Ok(())
}

#[expect(unsafe_code, reason = "mapping a file this program wrote, in a folder that only its owner can write")]
fn load(engine: &Engine, path: &PathBuf) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `store` below; `prepare` refused a folder that others can write, and wasmtime checks
    // version and settings.
    unsafe { Component::deserialize_file(engine, path) }
}

fn store(component: &Component, path: &Path) -> Result<(), String> {
    let bytes = component.serialize().map_err(|e| format!("{e:#}"))?;
    // Two tasks may compile the same component at once.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let temporary = path.with_extension(format!("{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|e| e.to_string())
}
