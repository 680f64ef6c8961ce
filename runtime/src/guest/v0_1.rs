//! Version 0.1 of the component interface: bindings of its three worlds (they share one set of types) and the linker entries.
//! A later version gets a module beside this one; this one then stays as it is.

use wasmtime::component::{HasSelf, Linker};

use super::state::State;

mod convert;
mod hosts;
mod sql_host;

pub(super) mod source {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "source",
        imports: { default: async },
        exports: { default: async },
        require_store_data_send: true,
    });
}

pub(super) mod sink {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "sink",
        imports: { default: async },
        exports: { default: async },
        require_store_data_send: true,
        with: {
            "wharf:connector/types": super::source::wharf::connector::types,
            "wharf:connector/logging": super::source::wharf::connector::logging,
            "wharf:connector/sql": super::source::wharf::connector::sql,
        },
    });
}

pub(super) mod transform {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "transform",
        imports: { default: async },
        exports: { default: async },
        require_store_data_send: true,
        with: {
            "wharf:connector/types": super::source::wharf::connector::types,
            "wharf:connector/logging": super::source::wharf::connector::logging,
        },
    });
}

pub(super) use source::wharf::connector::{inbox, logging, sql, types};

/// Adds every interface of `wharf:connector`; what a component does not import costs nothing, what it may not use answers so.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    logging::add_to_linker::<State, HasSelf<State>>(linker, |s| s)?;
    sql::add_to_linker::<State, HasSelf<State>>(linker, |s| s)?;
    inbox::add_to_linker::<State, HasSelf<State>>(linker, |s| s)?;
    types::add_to_linker::<State, HasSelf<State>>(linker, |s| s)
}
