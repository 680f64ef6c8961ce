//! What the run of the tests itself says.

use std::process::Command;

use support::servers::Server;

#[test]
fn a_missing_server_is_told_in_one_line_that_says_how_to_start_it() {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.arg("topic_log::members").env_remove(Server::Kafka.variable()).env_remove("WHARF_TEST_SERVERS");
    let output = tests.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !stdout.contains("running 0 tests"), "{stdout}{stderr}");
    let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("skipped:")).collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(
        lines[0].contains("Kafka") && lines[0].contains("WHARF_TEST_KAFKA") && lines[0].contains(".ci/servers.sh"),
        "{lines:?}"
    );
}
