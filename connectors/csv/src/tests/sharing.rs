//! Several tasks over one folder.

use super::*;

#[test]
fn each_file_belongs_to_one_task_and_keeps_its_position_when_the_number_of_tasks_changes() {
    let mut bench = Bench::new("");
    for n in 0..20 {
        bench.write(&format!("{n}.csv"), format!("a\n{n}\n"));
    }
    let mut by_task = Vec::new();
    for task in 0..3 {
        bench.task = (task, 3);
        bench.restart();
        by_task.push(bench.look());
    }
    assert!(by_task.iter().all(|got| !got.is_empty()));
    let mut files: Vec<String> = by_task.concat().into_iter().map(|g| g.file).collect();
    files.sort();
    files.dedup();
    assert_eq!((files.len(), by_task.concat().len()), (20, 20));
    for n in 0..20 {
        bench.append(&format!("{n}.csv"), "more\n");
    }
    let mut more = Vec::new();
    for task in 0..2 {
        bench.task = (task, 2);
        bench.restart();
        more.extend(bench.look());
    }
    assert_eq!(more.len(), 20);
    assert!(more.iter().all(|g| g.value == r#"{"a":"more"}"#));
}

#[test]
fn rotated_files_stay_with_their_tasks() {
    let mut bench = Bench::new("");
    let looks = |bench: &mut Bench| {
        let mut lengths = Vec::new();
        for task in 0..4 {
            bench.task = (task, 4);
            bench.restart();
            lengths.push(bench.look().len());
        }
        lengths
    };
    for n in 0..8 {
        bench.write(&format!("{n}.csv"), format!("a\n{n}\n"));
    }
    let before = looks(&mut bench);
    for n in 0..8 {
        bench.append(&format!("{n}.csv"), "more\n");
        bench.rename(&format!("{n}.csv"), &format!("{n}.csv.1.old"));
    }
    assert_eq!((before.iter().sum::<usize>(), looks(&mut bench)), (8, before));
}

#[test]
fn file_that_is_renamed_into_the_share_of_another_task_is_not_read_by_both() {
    let mut bench = Bench::new("");
    for n in 0..8 {
        bench.write(&format!("{n}.csv"), format!("a\n{n}\n"));
    }
    for round in 0..2 {
        let mut more = 0;
        for task in 0..4 {
            bench.task = (task, 4);
            bench.restart();
            more += bench.look().iter().filter(|g| g.value.contains("more")).count();
        }
        assert_eq!(more, round * 8);
        for n in 0..8 * (1 - round) {
            bench.append(&format!("{n}.csv"), "more\n");
            bench.rename(&format!("{n}.csv"), &format!("renamed-{n}.csv"));
        }
    }
}
