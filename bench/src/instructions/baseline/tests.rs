use super::{Baseline, Counted, Mark, file};

fn known() -> Baseline {
    let mark = |instructions_a_record| Mark { instructions_a_record, tolerance_percent: 5.0 };
    Baseline { processor: std::env::consts::ARCH.to_owned(), boundary: mark(100), source: mark(1_000), sink: mark(10_000) }
}

#[test]
fn only_what_is_dearer_beyond_the_tolerance_fails() {
    let told = |boundary, source| {
        let findings = known().findings(Counted { boundary, source, sink: 10_000 });
        findings.map(|finding| (finding.dearer(), finding.cheaper().is_some()))
    };
    assert_eq!(told(105, 950), [(None, false), (None, false), (None, false)]);
    let text = "boundary takes 106 instructions a record, 100 in the baseline: +6.0 %, tolerance 5 %".to_owned();
    assert_eq!(told(106, 949), [(Some(text), false), (None, true), (None, false)]);
}

#[test]
fn what_is_written_is_read_again_and_tolerances_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instructions.toml");
    let new = known().with(Counted { boundary: 1, source: 2, sink: 3 });
    new.write(&path).unwrap();
    assert_eq!(Baseline::read(&path).unwrap(), new);
    assert_eq!(new.sink, Mark { instructions_a_record: 3, tolerance_percent: 5.0 });
}

#[test]
fn figures_of_another_processor_are_no_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instructions.toml");
    Baseline { processor: "z80".to_owned(), ..known() }.write(&path).unwrap();
    assert!(Baseline::read(&path).unwrap_err().to_string().contains("figures of z80"));
}

#[test]
fn the_file_of_the_repository_is_as_it_is_written() {
    let text = std::fs::read_to_string(file()).unwrap();
    let known: Baseline = toml::from_str(&text).unwrap();
    assert_eq!(format!("{}{}", super::HEAD, toml::to_string(&known).unwrap()), text);
    for Mark { instructions_a_record, tolerance_percent } in [known.boundary, known.source, known.sink] {
        assert!(instructions_a_record > 0 && tolerance_percent > 0.0);
    }
}
