//! Log lines, which the host writes with the connector's name and task. Never log record values or personal data; the
//! host limits number and length.
//!
//! ```
//! use wharf_sdk::log;
//! log::info!("opened");
//! log::warn!(entity = "Orders", pages = 3; "more pages than {} are read in the next poll", 2);
//! let entity = "Orders"; // A variable alone is a field of its name.
//! log::warn!(entity, pages = 3; "more pages than {} are read in the next poll", 2);
//! ```

#[cfg(target_arch = "wasm32")]
use crate::bindings::logging;

pub use crate::{__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a line with fields for structured logs. Outside Wharf it goes to stderr.
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    #[cfg(target_arch = "wasm32")]
    {
        let level = match level {
            Level::Debug => logging::Level::Debug,
            Level::Info => logging::Level::Info,
            Level::Warn => logging::Level::Warn,
            Level::Error => logging::Level::Error,
        };
        logging::write(level, message, fields);
    }
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?} {message} {fields:?}");
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($key:ident $(= $value:expr)?),+ ; $($message:tt)+) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &::std::format!($($message)+),
            &[$($crate::__log_field!($key $(= $value)?)),+],
        )
    };
    ($level:ident, $($message:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &::std::format!($($message)+), &[])
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_field {
    ($key:ident = $value:expr) => {
        (::std::string::String::from(stringify!($key)), ::std::string::ToString::to_string(&$value))
    };
    ($key:ident) => {
        $crate::__log_field!($key = $key)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug { ($($arguments:tt)+) => { $crate::__log!(Debug, $($arguments)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info { ($($arguments:tt)+) => { $crate::__log!(Info, $($arguments)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn { ($($arguments:tt)+) => { $crate::__log!(Warn, $($arguments)+) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error { ($($arguments:tt)+) => { $crate::__log!(Error, $($arguments)+) }; }

#[cfg(test)]
mod tests {
    #[test]
    fn a_variable_alone_is_a_field_of_its_name() {
        let entity = "Orders";
        assert_eq!(__log_field!(entity), ("entity".to_owned(), "Orders".to_owned()));
        assert_eq!(__log_field!(pages = 1 + 2), ("pages".to_owned(), "3".to_owned()));
        crate::log::warn!(entity, pages = 3; "read in {} polls", 2);
        crate::log::warn!(entity; "read");
    }
}
