//! Where the higher version wins, in every database: whatever order rows come in, in one batch, in several, or gathered.
use std::collections::BTreeMap;

use super::api::{Column, Kind, Rows, SqlError, Table};
use super::columns::{deleting, floats, ints, only, rows, strings, table, texts, versioned, whole};
use super::rules::Database;

/// Ids, versions and values.
fn batch(of: &[(i64, i64, &str)]) -> Rows {
    let column = |values: fn(&(i64, i64, &str)) -> i64| of.iter().map(|row| Some(values(row))).collect::<Vec<_>>();
    let values: Vec<_> = of.iter().map(|(_, _, value)| Some(*value)).collect();
    rows(of.len(), vec![ints("id", &column(|row| row.0)), ints("v", &column(|row| row.1)), texts("a", &values)])
}

async fn apply(db: &impl Database, table: &Table, rows: &Rows) {
    assert_eq!(db.connections().session("db").unwrap().apply(table, rows).await.unwrap(), []);
}

pub async fn row_is_written_where_the_table_has_no_higher_version(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text)").await;
    db.execute("INSERT INTO t VALUES (1, 5, 'old'), (2, 5, 'old'), (3, 5, 'old'), (4, NULL, 'old')").await;
    let new = batch(&[(1, 6, "new"), (2, 5, "new"), (3, 4, "new"), (4, -9, "new"), (5, -9, "new")]);
    apply(db, &versioned("t", "v"), &new).await;
    assert_eq!(db.read("SELECT id, v, a FROM t ORDER BY id").await, ["1|6|new", "2|5|new", "3|5|old", "4|-9|new", "5|-9|new"]);
}

/// Every order of four rows, two of them of the highest version: the later one of these stands.
pub async fn highest_version_of_a_key_stands_whatever_the_order(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text)").await;
    let pool = [(1, "low"), (2, "middle"), (3, "first"), (3, "second")];
    let to = versioned("t", "v");
    let mut session = db.connections().session("db").unwrap();
    let orders = (0..256_usize).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3]);
    for (id, order) in orders.filter(|order| (0..4).all(|n| order.contains(&n))).enumerate() {
        let mut ids = [id, id + 1_000, id + 2_000].map(|id| i64::try_from(id).unwrap()).into_iter();
        let mut of = || {
            let id = ids.next().unwrap();
            order.map(|n| (id, pool[n].0, pool[n].1))
        };
        let (together, alone, gathered) = (of(), of(), of());
        session.apply(&to, &batch(&together)).await.unwrap();
        for row in alone {
            session.apply(&to, &batch(&[row])).await.unwrap();
        }
        session.begin().await.unwrap();
        session.gather();
        for rows in gathered.chunks(2) {
            session.apply(&to, &batch(rows)).await.unwrap();
        }
        session.merge().await.unwrap();
        session.commit().await.unwrap();
        let stands = order.iter().rev().map(|n| pool[*n]).find(|(version, _)| *version == 3).unwrap().1;
        let found = db.read(&format!("SELECT a FROM t WHERE id IN ({id}, {id} + 1000, {id} + 2000)")).await;
        assert_eq!(found, [stands; 3], "{order:?}");
    }
}

pub async fn row_that_loses_is_left_out_as_a_whole(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text, b text)").await;
    let batch = rows(
        4,
        vec![
            ints("id", &[Some(1), Some(1), Some(2), Some(2)]),
            ints("v", &[Some(3), Some(2), Some(2), Some(3)]),
            only(texts("a", &[Some("a"), None, None, Some("a")]), &[true, false, false, true]),
            only(texts("b", &[None, Some("b"), Some("b"), None]), &[false, true, true, false]),
        ],
    );
    apply(db, &versioned("t", "v"), &batch).await;
    assert_eq!(db.read("SELECT id, v, a, b FROM t ORDER BY id").await, ["1|3|a|NULL", "2|3|a|b"]);
}

pub async fn deletion_goes_by_the_key_and_what_comes_after_it_has_no_rival(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text)").await;
    db.execute("INSERT INTO t VALUES (1, 9, 'old'), (2, 9, 'old')").await;
    let ids = ints("id", &[Some(1), Some(2), Some(2), Some(3), Some(3), Some(3)]);
    let present = [false, false, true, true, false, true];
    let batch = deleting(
        &[true, true, false, false, true, false],
        vec![
            ids,
            only(ints("v", &[None, None, Some(1), Some(7), None, Some(2)]), &present),
            only(texts("a", &[None, None, Some("again"), Some("gone"), None, Some("again")]), &present),
        ],
    );
    apply(db, &versioned("t", "v"), &batch).await;
    assert_eq!(db.read("SELECT id, v, a FROM t ORDER BY id").await, ["2|1|again", "3|2|again"]);
    let gone = deleting(&[true, true], vec![ints("id", &[Some(2), Some(3)])]);
    apply(db, &versioned("t", "v"), &gone).await;
    assert_eq!(db.read("SELECT count(*) FROM t").await, ["0"]);
}

pub async fn refused_winner_leaves_the_highest_good_version(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text CHECK (a <> 'bad'))").await;
    let batch = batch(&[(1, 5, "good"), (1, 9, "bad"), (1, 4, "lost"), (2, 9, "bad"), (2, 1, "good")]);
    let refused = db.connections().session("db").unwrap().apply(&versioned("t", "v"), &batch).await.unwrap();
    assert_eq!(refused.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(1, "sql.check"), (3, "sql.check")]);
    assert_eq!(db.read("SELECT id, v, a FROM t ORDER BY id").await, ["1|5|good", "2|1|good"]);
}

pub async fn row_that_loses_is_not_refused_for_a_required_column_that_it_lacks(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text NOT NULL, b text)").await;
    db.execute("INSERT INTO t VALUES (1, 5, 'a', 'old'), (2, 5, 'a', 'old'), (3, NULL, 'a', 'old')").await;
    let three = [Some(1), Some(2), Some(3), Some(4)];
    let new = rows(4, vec![ints("id", &three), ints("v", &[Some(4), Some(6), Some(1), Some(1)]), texts("b", &[Some("new"); 4])]);
    let refused = db.connections().session("db").unwrap().apply(&versioned("t", "v"), &new).await.unwrap();
    assert_eq!(refused.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(3, "sql.not-null")]);
    assert_eq!(db.read("SELECT id, v, b FROM t ORDER BY id").await, ["1|5|old", "2|6|new", "3|1|new"]);
}

pub async fn row_without_a_version_is_refused_alone(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text)").await;
    let versions = only(ints("v", &[Some(1), None, None]), &[true, true, false]);
    let batch = rows(3, vec![ints("id", &[Some(1), Some(2), Some(3)]), versions, texts("a", &[Some("x"); 3])]);
    let refused = db.connections().session("db").unwrap().apply(&versioned("t", "v"), &batch).await.unwrap();
    let of = |row| (row, "sql.not-null", Some("v"));
    assert_eq!(refused.iter().map(|r| (r.row, r.code.as_str(), r.column.as_deref())).collect::<Vec<_>>(), [of(1), of(2)]);
    assert_eq!(db.read("SELECT id FROM t").await, ["1"]);
}

/// Makes a column of two versions.
type Versions = Box<dyn Fn([i64; 2]) -> Column>;

/// As numbers and times, not as texts: 9 comes before 10.
pub async fn versions_of_every_kind_are_ordered_by_what_they_mean(db: &impl Database) {
    let decimals = |of: [&str; 2]| strings("v", Kind::Decimal, &of.map(Some));
    let kinds: [(&str, &str, Versions); 5] = [
        ("n", "bigint", Box::new(|of| ints("v", &of.map(Some)))),
        ("f", "double precision", Box::new(|of| floats("v", &of.map(|n| Some(f64::from(i32::try_from(n).unwrap()) + 0.5))))),
        ("d", "numeric", Box::new(move |of| decimals([&format!("{}.50", of[0]), &format!("{}.50", of[1])]))),
        ("s", "timestamp", Box::new(|of| whole("v", Kind::TimestampUs, &of.map(Some)))),
        ("y", "date", Box::new(|of| whole("v", Kind::Date, &of.map(Some)))),
    ];
    for (name, declared, column) in kinds {
        db.execute(&format!("CREATE TABLE {name} (id bigint PRIMARY KEY, v {declared}, a text)")).await;
        let of = |versions, values: [&str; 2]| {
            rows(2, vec![ints("id", &[Some(1), Some(1)]), column(versions), texts("a", &values.map(Some))])
        };
        for rows in [of([10, 9], ["stands", "lost"]), of([8, 9], ["lost", "lost"])] {
            apply(db, &versioned(name, "v"), &rows).await;
            assert_eq!(db.read(&format!("SELECT a FROM {name}")).await, ["stands"], "{declared}");
        }
        apply(db, &versioned(name, "v"), &of([11, 12], ["next", "newest"])).await;
        assert_eq!(db.read(&format!("SELECT a FROM {name}")).await, ["newest"], "{declared}");
    }
}

pub async fn version_that_cannot_be_compared_is_fatal(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v text, n bigint)").await;
    let batch = rows(1, vec![ints("id", &[Some(1)]), texts("v", &[Some("10")])]);
    let keyless = Table { key: Vec::new(), ..versioned("t", "v") };
    for (table, expected) in [
        (versioned("t", "v"), "does not order versions: make it one of integers or times"),
        (versioned("t", "n"), "the rows do not have it"),
        (versioned("t", "id"), "it is a column of the key"),
        (keyless, "versions are compared by key, and there is none"),
    ] {
        let error = db.connections().session("db").unwrap().apply(&table, &batch).await.unwrap_err();
        assert!(matches!(&error, SqlError::Fatal(text) if text.contains("table `t`") && text.contains(expected)), "{error}");
    }
    assert_eq!(db.read("SELECT count(*) FROM t").await, ["0"]);
}

/// What a row holds: version, `a`, `b`.
type Held = (i64, Option<String>, Option<String>);

/// A change: key, and version with the fields that it has; `None` deletes.
type Change = (i64, Option<Written>);

/// The rule, row by row.
fn take(held: &mut BTreeMap<i64, Held>, (id, change): &Change) {
    let Some((version, a, b)) = change else {
        held.remove(id);
        return;
    };
    let row = held.entry(*id).or_insert((*version, None, None));
    if *version >= row.0 {
        *row = (*version, a.clone().or_else(|| row.1.take()), b.clone().or_else(|| row.2.take()));
    }
}

/// Version, and two texts.
type Written = (i64, Option<String>, Option<String>);

fn rows_of(changes: &[Change]) -> Rows {
    fn of<T: Copy>(changes: &[Change], get: impl Fn(&Written) -> Option<T>) -> Vec<Option<T>> {
        changes.iter().map(|(_, change)| change.as_ref().and_then(&get)).collect()
    }
    let text = |name: &str, get: fn(&Written) -> &Option<String>| {
        let values: Vec<_> =
            changes.iter().map(|(_, change)| change.as_ref().and_then(|change| get(change).as_deref())).collect();
        only(texts(name, &values), &values.iter().map(Option::is_some).collect::<Vec<_>>())
    };
    let versions = of(changes, |(version, ..)| Some(*version));
    let present: Vec<_> = versions.iter().map(Option::is_some).collect();
    deleting(
        &changes.iter().map(|(_, change)| change.is_none()).collect::<Vec<_>>(),
        vec![
            ints("id", &changes.iter().map(|(id, _)| Some(*id)).collect::<Vec<_>>()),
            only(ints("v", &versions), &present),
            text("a", |change| &change.1),
            text("b", |change| &change.2),
        ],
    )
}

/// Batches by chance: what stands is what each row would have left, one after the other.
pub async fn a_batch_leaves_what_its_rows_leave_one_by_one(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, a text, b text)").await;
    let (mut held, mut state) = (BTreeMap::new(), 7_u64);
    let mut chance = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((state >> 33) % below).unwrap()
    };
    for round in 0..150 {
        let changes: Vec<Change> = (0..chance(12) + 1)
            .map(|_| {
                let (id, version, shape, value) = (chance(3), chance(6) + i64::from(round / 10), chance(8), chance(1_000));
                let field = |has: bool| has.then(|| value.to_string());
                (id, (shape > 0).then(|| (version, field(shape != 1), field(shape != 2))))
            })
            .collect();
        changes.iter().for_each(|change| take(&mut held, change));
        apply(db, &versioned("t", "v"), &rows_of(&changes)).await;
        let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "NULL".to_owned());
        let expected: Vec<_> = held.iter().map(|(id, (v, a, b))| format!("{id}|{v}|{}|{}", text(a), text(b))).collect();
        assert_eq!(db.read("SELECT id, v, a, b FROM t ORDER BY id").await, expected, "round {round}: {changes:?}");
    }
    // Without a version the last one would stand.
    apply(db, &table("t", &["id"]), &batch(&[(1, -1, "last")])).await;
    assert_eq!(db.read("SELECT v, a FROM t WHERE id = 1").await, ["-1|last"]);
}
