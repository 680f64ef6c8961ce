//! What `wharf new` refuses: nothing is written then.

use super::Home;
use crate::{shown, stderr};

#[test]
fn a_name_that_is_none_and_a_folder_that_is_there_are_refused() {
    let home = Home::new();
    std::fs::create_dir(home.path("there")).unwrap();
    for (name, reason) in [
        ("My_Sink", "`my-sink` for example"),
        ("../mine", "use a-z, 0-9 and `-`"),
        ("match", "keyword"),
        ("there", "`there` is already here"),
    ] {
        let refused = home.wharf("", &["new", name, "--kind", "sink"]);
        assert_eq!(refused.status.code(), Some(2), "{}", shown(&refused));
        assert!(stderr(&refused).contains(reason), "{name}: {}", shown(&refused));
    }
    let left: Vec<_> = std::fs::read_dir(home.path("there")).unwrap().collect();
    assert!(left.is_empty(), "nothing is written into a folder that is there");
    let http = home.wharf("", &["new", "mine", "--kind", "sink", "--http"]);
    assert_eq!(http.status.code(), Some(2), "{}", shown(&http));
    assert!(stderr(&http).contains("--http is for sources") && !home.path("mine").exists(), "{}", shown(&http));
    let kind = home.wharf("", &["new", "mine"]);
    assert!(!kind.status.success() && stderr(&kind).contains("--kind <KIND>"), "{}", shown(&kind));
}
