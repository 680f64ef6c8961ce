use super::*;

fn refused(address: &str, reach: Reach) -> bool {
    prohibited(address.parse().unwrap(), reach).is_some()
}

#[test]
fn link_local_and_metadata_addresses_are_never_dialled() {
    for address in [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "168.63.129.16",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "2002:a9fe:a9fe::1",
        "2001::1",
    ] {
        assert!(refused(address, Reach::Private), "{address}");
        assert!(refused(address, Reach::Public), "{address}");
    }
}

#[test]
fn private_and_loopback_addresses_need_a_private_grant() {
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "::1",
        "fc00::1",
        "fd12::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:0a00:0001::1",
    ] {
        assert!(refused(address, Reach::Public), "{address}");
        assert!(!refused(address, Reach::Private), "{address}");
    }
}

#[test]
fn public_addresses_are_dialled() {
    for address in ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"] {
        assert!(!refused(address, Reach::Public), "{address}");
    }
}
