//! What wit-bindgen makes of `wit/`: one set of types and imports, and the three exports that share it. Nothing here is
//! for guest authors; the other modules give it a shape that is.
#![allow(
    unsafe_code,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::semicolon_if_nothing_returned,
    clippy::unused_self,
    clippy::too_many_lines,
    clippy::uninlined_format_args,
    missing_debug_implementations,
    unused_qualifications,
    reason = "generated"
)]

pub mod imports {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wharf:sdk;
            world imports {
                import wharf:connector/types@0.1.0;
                import wharf:connector/logging@0.1.0;
                import wharf:connector/inbox@0.1.0;
                import wharf:connector/sql@0.1.0;
            }
        ",
        generate_all,
        runtime_path: "::wharf_sdk::__private::rt",
    });
}

pub mod source {
    wit_bindgen::generate!({
        path: "wit",
        world: "wharf:connector/source@0.1.0",
        with: {
            "wharf:connector/types@0.1.0": crate::bindings::imports::wharf::connector::types,
            "wharf:connector/logging@0.1.0": crate::bindings::imports::wharf::connector::logging,
            "wharf:connector/inbox@0.1.0": crate::bindings::imports::wharf::connector::inbox,
            "wharf:connector/sql@0.1.0": crate::bindings::imports::wharf::connector::sql,
        },
        runtime_path: "::wharf_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "__export_source",
        default_bindings_module: "::wharf_sdk::__private::source",
    });
}

pub mod sink {
    wit_bindgen::generate!({
        path: "wit",
        world: "wharf:connector/sink@0.1.0",
        with: {
            "wharf:connector/types@0.1.0": crate::bindings::imports::wharf::connector::types,
            "wharf:connector/logging@0.1.0": crate::bindings::imports::wharf::connector::logging,
            "wharf:connector/sql@0.1.0": crate::bindings::imports::wharf::connector::sql,
        },
        runtime_path: "::wharf_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "__export_sink",
        default_bindings_module: "::wharf_sdk::__private::sink",
    });
}

pub mod transform {
    wit_bindgen::generate!({
        path: "wit",
        world: "wharf:connector/transform@0.1.0",
        with: {
            "wharf:connector/types@0.1.0": crate::bindings::imports::wharf::connector::types,
            "wharf:connector/logging@0.1.0": crate::bindings::imports::wharf::connector::logging,
        },
        runtime_path: "::wharf_sdk::__private::rt",
        pub_export_macro: true,
        export_macro_name: "__export_transform",
        default_bindings_module: "::wharf_sdk::__private::transform",
    });
}

#[cfg(target_arch = "wasm32")]
pub use imports::wharf::connector::logging;
pub use imports::wharf::connector::{inbox, sql, types};
