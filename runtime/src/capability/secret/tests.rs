use super::*;

fn of_file(path: &Path) -> Secret {
    let written = Piece { text: "key-".to_owned(), file: None };
    Secret::of(vec![written, Piece { text: read(path).unwrap(), file: Some(path.to_owned()) }])
}

#[test]
fn a_secret_of_a_file_is_another_one_once_the_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old\r\n").unwrap();
    let secret = of_file(&path);
    assert_eq!((secret.expose(), secret.has_file()), ("key-old", true));
    // As Kubernetes and agents do it: another file under the name.
    std::fs::write(folder.path().join("next"), "new\n").unwrap();
    std::fs::rename(folder.path().join("next"), &path).unwrap();
    let again = secret.read_again().unwrap();
    assert_eq!((again.expose(), secret.expose()), ("key-new", "key-old"));
    assert_eq!(again.read_again().unwrap(), again);
}

#[tokio::test]
async fn a_file_that_is_away_or_empty_leaves_the_secret_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old").unwrap();
    let secret = of_file(&path);
    for content in [Some(""), Some("\n"), None] {
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let unread = secret.read_again().unwrap_err().to_string();
        assert!(unread.contains("token") && !unread.contains("old"), "{unread}");
        assert_eq!(secret.as_it_is_now().await.expose(), "key-old");
    }
    // As it was last, not as it was at first.
    std::fs::write(&path, "new").unwrap();
    assert_eq!(secret.as_it_is_now().await.expose(), "key-new");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(secret.as_it_is_now().await.expose(), "key-new");
}
