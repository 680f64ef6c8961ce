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
fn rotated_file_stays_with_its_task() {
    let mut bench = Bench::new("");
    bench.write("app.csv", "a\n1\n");
    let mut owner = None;
    for task in 0..4 {
        bench.task = (task, 4);
        bench.restart();
        if !bench.look().is_empty() {
            owner = Some(task);
        }
    }
    bench.append("app.csv", "2\n");
    bench.rename("app.csv", "app.csv.1.gz.old");
    for task in 0..4 {
        bench.task = (task, 4);
        bench.restart();
        assert_eq!(bench.look().len(), usize::from(owner == Some(task)), "{task} of {owner:?}");
    }
}
