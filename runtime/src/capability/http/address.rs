//! Which addresses may be dialled. Pure rules, after the IANA special-purpose registries (RFC 6890) and the metadata
//! addresses of the large clouds; an address that wraps an IPv4 one is judged by what it wraps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capability::allow::Reach;

#[cfg(test)]
mod tests;

/// What an address is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    /// Loopback, private networks, shared address space, documentation: needs [`Reach::Private`].
    Private(&'static str),
    /// Never dialled.
    Never(&'static str),
}

/// Why this address may not be dialled by an endpoint of that reach; `None`: it may.
#[must_use]
pub fn prohibited(address: IpAddr, reach: Reach) -> Option<&'static str> {
    let class = match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    };
    match (class, reach) {
        (Class::Public, _) | (Class::Private(_), Reach::Private) => None,
        (Class::Private(what), Reach::Public) | (Class::Never(what), _) => Some(what),
    }
}

const fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [169, 254, ..] => Class::Never("link-local, where clouds serve metadata"),
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Class::Never("a cloud's metadata service"),
        [0, ..] => Class::Never("unspecified"),
        [224..=239, ..] => Class::Never("multicast"),
        [240..=255, ..] => Class::Never("reserved or broadcast"),
        [127, ..] => Class::Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private("a private network"),
        [100, 64..=127, ..] => Class::Private("shared address space (CGNAT)"),
        [192, 0, 0 | 2, _] | [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Class::Private("set aside for protocols, tests or documentation")
        }
        _ => Class::Public,
    }
}

const fn class_v6(address: Ipv6Addr) -> Class {
    match address.segments() {
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => {
            Class::Never("a cloud's metadata service")
        }
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private("loopback"),
        // IPv4-mapped, IPv4-compatible, IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            class_v4(joined(high, low))
        }
        // 6to4 wraps an IPv4 address after the prefix.
        [0x2002, high, low, ..] => class_v4(joined(high, low)),
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => Class::Never("a tunnel prefix that can hide any address"),
        [0xfe80..=0xfebf, ..] => Class::Never("link-local"),
        [0xff00..=0xffff, ..] => Class::Never("multicast"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::Private("a private network"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x0100, 0, 0, 0, ..] => {
            Class::Private("set aside for protocols, tests or documentation")
        }
        _ => Class::Public,
    }
}

const fn joined(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}
