use super::*;

fn window(size: usize, limit: usize) -> Window {
    Window::new(&DeadLetter { topic: None, keep_value: true, window_size: size, window_limit: limit })
}

#[test]
fn a_connector_stops_when_more_than_the_limit_of_the_last_records_are_dead() {
    let mut window = window(10, 3);
    assert!(!window.step(7, 3), "three of ten are allowed");
    assert!(window.step(0, 1), "four of the last ten are not");
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let mut window = window(10, 3);
    assert!(!window.step(0, 3));
    assert!(!window.step(10, 0));
    assert!(!window.step(0, 3), "the first three are out of the window");
    assert!(window.step(0, 1));
}

#[test]
fn a_few_dead_records_in_a_step_larger_than_the_window_do_not_stop() {
    let mut window = window(1000, 50);
    assert!(!window.step(9900, 100), "one in a hundred is ten in the window");
    assert!(window.step(9000, 1000), "one in ten is a hundred");
}

#[test]
fn a_window_of_size_0_never_stops() {
    let mut window = window(0, 0);
    assert!(!window.step(0, 1_000_000));
}

#[test]
fn a_limit_of_0_stops_at_the_first_dead_record() {
    let mut window = window(100, 0);
    assert!(window.step(1000, 1));
    assert_eq!(window.describe(), "1 of the last 100 records were dead-lettered; the window allows 0 of 100");
}

#[test]
fn more_records_at_once_than_the_window_holds_count_as_a_full_window() {
    let mut window = window(10, 9);
    assert!(window.step(0, 1000));
    assert!(!window.step(1000, 0));
    assert!(!window.step(0, 9));
}
