//! Between a guest's type and the exports of its component: the one instance, and the macros that make the exports.

use crate::bindings::types;
use crate::error::{Error, Result};

/// The place of the one instance of a component. `export_source!` and its like implement it.
pub trait Slot {
    type Instance: 'static;
    /// `connector.toml`.
    const MANIFEST: &'static str;
    /// Version of the crate.
    const VERSION: &'static str;

    fn with<R>(f: impl FnOnce(&mut Option<Self::Instance>) -> R) -> R;

    fn put(instance: Self::Instance) {
        Self::with(|slot| *slot = Some(instance));
    }

    /// `describe` has no error: a manifest that cannot be read ends the call, and the host shows the last line of output.
    /// The test that each export macro adds finds it long before.
    #[expect(clippy::panic, reason = "a trap is the only answer that `describe` has")]
    fn invalid(reason: &str) -> types::Description {
        std::panic::panic_any(reason.to_owned())
    }
}

pub(crate) fn not_open<R>() -> Result<R> {
    Err(Error::fatal("the instance was not opened"))
}

/// Makes a component that is a source: `export_source!(MySource, manifest = include_str!("../connector.toml"));`
#[macro_export]
macro_rules! export_source {
    ($instance:ty, manifest = $manifest:expr $(,)?) => {
        $crate::__export!($instance, $manifest, Source, source, source_guest, __export_source);
    };
}

/// Makes a component that is a sink: `export_sink!(MySink, manifest = include_str!("../connector.toml"));`
#[macro_export]
macro_rules! export_sink {
    ($instance:ty, manifest = $manifest:expr $(,)?) => {
        $crate::__export!($instance, $manifest, Sink, sink, sink_guest, __export_sink);
    };
}

/// Makes a component that is a transform: `export_transform!(MyTransform, manifest = include_str!("../connector.toml"));`
#[macro_export]
macro_rules! export_transform {
    ($instance:ty, manifest = $manifest:expr $(,)?) => {
        $crate::__export!($instance, $manifest, Transform, transform, transform_guest, __export_transform);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($instance:ty, $manifest:expr, $kind:ident, $world:ident, $interface:ident, $export:ident) => {
        #[doc(hidden)]
        struct __WharfExport;

        impl $crate::__private::Slot for __WharfExport {
            type Instance = $instance;
            const MANIFEST: &'static str = $manifest;
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");

            fn with<R>(f: impl FnOnce(&mut Option<$instance>) -> R) -> R {
                ::std::thread_local! {
                    static INSTANCE: ::std::cell::RefCell<Option<$instance>> = const { ::std::cell::RefCell::new(None) };
                }
                INSTANCE.with_borrow_mut(f)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::__private::$world::$export!(__WharfExport with_types_in $crate::__private::$world);

        // Elsewhere the exports would not link; this keeps what they call from looking unused.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn exported<T: $crate::__private::$world::exports::wharf::connector::$interface::Guest>() {}
            exported::<__WharfExport>();
        };

        #[cfg(test)]
        #[test]
        fn manifest_is_valid() -> Result<(), String> {
            $crate::__private::describe($manifest, env!("CARGO_PKG_VERSION"), $crate::__private::Kind::$kind).map(drop)
        }
    };
}
