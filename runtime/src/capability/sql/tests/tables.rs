//! What holds for tables and small reads in every database.
use super::api::{Kind, SqlError};
use super::columns::{def, ints, rows, strings_of, table, texts};
use super::rules::Database;

pub async fn ensure_creates_the_table_and_adds_columns_but_never_narrows(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("t", &["id"]);
    session.ensure(&to, &[def("id", Kind::Int64, true), def("a", Kind::Text, false)]).await.unwrap();
    let made = session.columns("t").await.unwrap();
    assert_eq!(made, [def("id", Kind::Int64, false), def("a", Kind::Text, false)]);
    session.apply(&to, &rows(1, vec![ints("id", &[Some(1)]), texts("a", &[Some("x")])])).await.unwrap();
    session.ensure(&to, &[def("id", Kind::Int64, false), def("b", Kind::Float64, false)]).await.unwrap();
    let widened = session.columns("t").await.unwrap();
    assert_eq!(widened, [made.as_slice(), &[def("b", Kind::Float64, true)]].concat());
    session.ensure(&to, &[def("id", Kind::Int64, false)]).await.unwrap();
    assert_eq!(session.columns("t").await.unwrap(), widened);
    assert_eq!(db.read("SELECT id, a, b FROM t").await, ["1|x|NULL"]);
}

pub async fn ensure_refuses_a_kind_that_a_column_cannot_hold(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("t", &["id"]);
    session.ensure(&to, &[def("id", Kind::Int64, false), def("a", Kind::Float64, true)]).await.unwrap();
    let refused = session.ensure(&to, &[def("id", Kind::Int64, false), def("a", Kind::Bytes, true)]).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Reject(text) if text.contains("`a`") && text.contains("bytes")), "{refused}");
    let refused = session.ensure(&table("t", &["k"]), &[def("k", Kind::Int64, false)]).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Reject(text) if text.contains("`k`")), "{refused}");
    assert_eq!(session.columns("t").await.unwrap().len(), 2);
}

/// A name of the system's, and more columns than a table can have: the record that wants them is at fault, nothing else.
pub async fn ensure_refuses_a_column_that_no_table_can_have(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("t", &["id"]);
    let columns = [def("id", Kind::Int64, false), def("ctid", Kind::Text, true)];
    let refused = session.ensure(&to, &columns).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Reject(text) if text.contains("`ctid`")), "{refused}");
    let many: Vec<_> = (0..3000).map(|n| def(&format!("c{n}"), Kind::Text, true)).collect();
    let refused = session.ensure(&to, &[&[def("id", Kind::Int64, false)], many.as_slice()].concat()).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Reject(_)), "{refused}");
    session.ensure(&to, &[def("id", Kind::Int64, false)]).await.unwrap();
    assert_eq!(session.columns("t").await.unwrap().len(), 1);
}

pub async fn ensure_by_two_tasks_at_once_makes_one_table(db: &impl Database) {
    let columns: Vec<_> = (0..20).map(|n| def(&format!("c{n}"), Kind::Text, true)).collect();
    let to = table("t", &["id"]);
    let ensure = async |first: usize| {
        let mut session = db.connections().session("db").unwrap();
        for count in (first..=20).step_by(2) {
            let wanted = [&[def("id", Kind::Int64, false)], &columns[..count]].concat();
            session.ensure(&to, &wanted).await.unwrap();
        }
    };
    tokio::join!(ensure(0), ensure(1), ensure(0), ensure(1));
    assert_eq!(db.connections().session("db").unwrap().columns("t").await.unwrap().len(), 21);
}

pub async fn ensure_takes_part_in_the_open_transaction(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("t", &["id"]);
    session.begin().await.unwrap();
    session.ensure(&to, &[def("id", Kind::Int64, false)]).await.unwrap();
    session.apply(&to, &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap();
    session.rollback().await.unwrap();
    assert_eq!(session.columns("t").await.unwrap(), []);
    session.begin().await.unwrap();
    session.ensure(&to, &[def("id", Kind::Int64, false)]).await.unwrap();
    session.apply(&to, &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["1"]);
}

pub async fn columns_of_a_missing_table_are_none(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    assert_eq!(session.columns("nowhere").await.unwrap(), []);
}

pub async fn query_reads_with_parameters(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)").await;
    db.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL)").await;
    let mut session = db.connections().session("db").unwrap();
    let parameters = [ints("p", &[Some(2)]), texts("p", &[Some("a")])];
    let statement = "SELECT id, name AS called FROM t WHERE id >= $1 OR name = $2 ORDER BY id DESC -- all;\n;";
    let read = session.query(statement, &parameters, 3).await.unwrap();
    assert_eq!(read.iter().map(|c| (c.name.as_str(), c.kind)).collect::<Vec<_>>(), [("id", Kind::Int64), ("called", Kind::Text)]);
    assert_eq!(strings_of(&read[0]), ["3", "2", "1"].map(|v| Some(v.to_owned())));
    assert_eq!(strings_of(&read[1]), [None, Some("b".to_owned()), Some("a".to_owned())]);
    let none = session.query("SELECT id, name FROM t WHERE id > 9", &[], 3).await.unwrap();
    assert_eq!(none.iter().map(|c| strings_of(c).len()).collect::<Vec<_>>(), [0, 0]);
    let missing = session.query("SELECT id FROM t WHERE id = $1", &[], 3).await.unwrap_err();
    assert!(matches!(missing, SqlError::Reject(_)), "{missing}");
}

pub async fn query_refuses_writes_and_transaction_control(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut session = db.connections().session("db").unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap();
    let refused = [
        "INSERT INTO t VALUES (9)",
        "INSERT INTO t VALUES (9) RETURNING id",
        "WITH x AS (SELECT 9 AS id) DELETE FROM t",
        "DROP TABLE t",
        "COMMIT",
        "SELECT 1) AS q; COMMIT; --",
        "SELECT 1; DELETE FROM t",
        "ATTACH 'other.db' AS other",
        "PRAGMA foreign_keys = OFF",
        "",
    ];
    for statement in refused {
        let answer = session.query(statement, &[], 10).await;
        assert!(matches!(answer, Err(SqlError::Reject(_))), "{statement}: {answer:?}");
    }
    session.rollback().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, [""; 0]);
}

pub async fn query_of_more_rows_than_asked_for_is_an_error(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    db.execute("INSERT INTO t VALUES (1), (2), (3)").await;
    let mut session = db.connections().session("db").unwrap();
    assert_eq!(strings_of(&session.query("SELECT id FROM t", &[], 3).await.unwrap()[0]).len(), 3);
    let refused = session.query("SELECT id FROM t", &[], 2).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Reject(text) if text.contains("more than 2 rows")), "{refused}");
}

pub async fn refused_query_leaves_the_open_transaction_usable(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut session = db.connections().session("db").unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap();
    let wrong = session.query("SELECT nothing FROM t", &[], 10).await;
    assert!(matches!(wrong, Err(SqlError::Reject(_))), "{wrong:?}");
    assert_eq!(strings_of(&session.query("SELECT id FROM t", &[], 10).await.unwrap()[0]), [Some("1".to_owned())]);
    session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(2)])])).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t ORDER BY id").await, ["1", "2"]);
}

pub async fn query_of_more_bytes_than_fit_is_an_error(db: &impl Database) {
    db.execute("CREATE TABLE t (a text)").await;
    db.execute("INSERT INTO t VALUES (replace('          ', ' ', '0123456789012345678901234567890123456789'))").await;
    let mut session = db.connections().session("db").unwrap();
    // 400 bytes, doubled 18 times: 100 MiB.
    let statement = "WITH RECURSIVE d (n, a) AS (SELECT 0, a FROM t UNION ALL SELECT n + 1, a || a FROM d WHERE n < 18) \
                     SELECT a FROM d WHERE n = 18";
    let refused = session.query(statement, &[], 10).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Reject(text) if text.contains("64 MiB")), "{refused}");
}
