//! The engine's settings: how code is made of guests, and where their instances lie.

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, ProfilingStrategy};

use super::component::ComponentError;

/// Set: functions of guests are named for `perf` in `/tmp/perf-PID.map`. For development; nothing else changes.
const PERF_MAP: &str = "WHARF_PERF_MAP";
/// Set: the process can run under valgrind, which has no room for the pool, and guests are compiled for the same processor everywhere, so that
/// counts of instructions can be compared. For development: instances then start slower.
const VALGRIND: &str = "WHARF_VALGRIND";
/// What valgrind knows of a processor (x86-64-v3); by Cranelift's names.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
const FEATURES: [&str; 12] = [
    "has_sse3",
    "has_ssse3",
    "has_cmpxchg16b",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
    "has_lzcnt",
];
/// Most instances at once, and the largest memory one may be granted.
const MAX_INSTANCES: u32 = 512;
const MAX_MEMORY: usize = 1 << 32;

/// # Errors
/// [`ComponentError::Engine`] when the environment asks for what this machine cannot do.
pub(super) fn settings() -> Result<Config, ComponentError> {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed).epoch_interruption(true).concurrency_support(false);
    if std::env::var_os(VALGRIND).is_some() {
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        one_processor(&mut config)?;
    } else {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    if std::env::var_os(PERF_MAP).is_some() {
        config.profiler(ProfilingStrategy::PerfMap);
    }
    Ok(config)
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * 8)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 4)
        .total_stacks(MAX_INSTANCES)
        .max_core_instances_per_component(64)
        .max_memories_per_component(1)
        .max_tables_per_component(32)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(200_000)
        .max_unused_warm_slots(8)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(1 << 20);
    pool
}

/// Compiles for `FEATURES` alone, whatever more the machine has.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "switching on instructions of the processor, which the engine looks for before it runs any code")]
fn one_processor(config: &mut Config) -> Result<(), ComponentError> {
    // Named: what the machine has beyond the target is not asked for.
    config.target("x86_64-unknown-linux-gnu").map_err(|e| ComponentError::Engine(format!("{VALGRIND}: {e:#}")))?;
    for feature in FEATURES {
        // SAFETY: these only say which instructions may be used; wasmtime refuses code for a processor that lacks one of them.
        unsafe { config.cranelift_flag_enable(feature) };
    }
    Ok(())
}

/// Elsewhere counts hold for one machine.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
fn one_processor(_: &mut Config) -> Result<(), ComponentError> {
    Ok(())
}
