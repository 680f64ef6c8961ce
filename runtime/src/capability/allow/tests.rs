use super::*;

fn entry(https: bool, host: &str, port: u16, private: bool) -> AllowedHost {
    AllowedHost { https, host: host.to_owned(), port, private }
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::of(&url.parse().unwrap()).unwrap()
}

#[test]
fn a_host_is_matched_whole_whatever_its_case_and_trailing_dot() {
    let grants = HostGrants::new(&[entry(true, "erp.example.com", 443, false)]);
    for same in
        ["https://erp.example.com/x", "https://ERP.Example.COM/x", "https://erp.example.com./x", "https://erp.example.com:443/"]
    {
        assert_eq!(grants.reach(&endpoint(same)), Some(Reach::Public), "{same}");
    }
    for other in [
        "http://erp.example.com/",
        "https://erp.example.com:8443/",
        "https://example.com/",
        "https://x.erp.example.com/",
        "https://erp.example.com.evil.test/",
    ] {
        assert_eq!(grants.reach(&endpoint(other)), None, "{other}");
    }
}

#[test]
fn only_a_literal_localhost_or_a_private_entry_reaches_private_addresses() {
    let grants = HostGrants::new(&[
        entry(false, "127.0.0.1", 8080, false),
        entry(false, "::1", 8080, false),
        entry(false, "localhost", 80, false),
        entry(true, "erp.corp", 443, true),
        entry(true, "erp.example.com", 443, false),
    ]);
    assert_eq!(grants.reach(&endpoint("http://127.0.0.1:8080/")), Some(Reach::Private));
    assert_eq!(grants.reach(&endpoint("http://[0:0:0:0:0:0:0:1]:8080/")), Some(Reach::Private));
    assert_eq!(grants.reach(&endpoint("http://localhost/")), Some(Reach::Private));
    assert_eq!(grants.reach(&endpoint("https://erp.corp/")), Some(Reach::Private));
    assert_eq!(grants.reach(&endpoint("https://erp.example.com/")), Some(Reach::Public));
}

#[test]
fn a_url_with_user_information_or_another_scheme_has_no_endpoint() {
    let of = |url: &str| Endpoint::of(&url.parse().unwrap()).unwrap_err();
    assert_eq!(of("https://listed.example@evil.test/"), BadTarget::UserInfo);
    assert_eq!(of("ftp://erp.example.com/"), BadTarget::Scheme("ftp".to_owned()));
    assert_eq!(of("/relative"), BadTarget::Relative);
    assert_eq!(of("https://erp.example.com:0/"), BadTarget::Port);
}

#[test]
fn credentials_of_a_bare_host_belong_to_its_default_port_or_its_only_endpoint() {
    let grants = HostGrants::new(&[
        entry(true, "erp.example.com", 443, false),
        entry(true, "erp.example.com", 8443, false),
        entry(false, "localhost", 18200, false),
        entry(false, "::1", 90, false),
    ]);
    assert_eq!(grants.of_authority("erp.example.com"), [endpoint("https://erp.example.com")]);
    assert_eq!(grants.of_authority("ERP.example.com:8443"), [endpoint("https://erp.example.com:8443")]);
    assert_eq!(grants.of_authority("localhost"), [endpoint("http://localhost:18200")]);
    assert_eq!(grants.of_authority("[::1]:90"), [endpoint("http://[::1]:90")]);
    assert_eq!(grants.of_authority("other.example.com"), []);
}
