//! What holds for rows, tables and reads in every database. Each rule is an async function over an empty database; `each!`
//! lists them, and a database's own test module makes tests of them.
use super::api::{Column, Connections, Kind, RejectedRow, SqlError};
use super::columns::{booleans, def, deleting, floats, ints, only, rows, strings, strings_of, table, texts, variable, whole};

/// A database of a test, also reached past the code under test.
pub trait Database {
    /// Holds the connection `db`.
    fn connections(&self) -> &Connections;
    async fn execute(&self, sql: &str);
    /// Rows as `a|b|NULL`.
    async fn read(&self, sql: &str) -> Vec<String>;
}

macro_rules! each {
    ($each:ident) => {
        $each! {
            rules::last_row_of_a_key_wins,
            rules::absent_field_leaves_its_column_and_null_sets_null,
            rules::fields_of_an_earlier_row_stay_when_later_rows_of_its_key_lack_them,
            rules::partial_row_updates_a_row_that_is_there_although_a_required_column_is_absent,
            rules::row_of_its_key_alone_is_inserted_once,
            rules::refused_winner_leaves_the_last_good_row_of_its_key,
            rules::three_bad_rows_of_a_thousand_are_rejected_alone,
            rules::deletes_and_writes_of_a_key_take_effect_in_order,
            rules::row_written_after_its_deletion_has_nothing_of_the_old_one,
            rules::refusals_name_code_and_column_but_no_value,
            rules::missing_parent_is_a_foreign_key_refusal,
            rules::row_without_a_key_value_is_rejected,
            rules::composite_key_tells_rows_apart_by_all_its_columns,
            rules::without_a_key_all_rows_are_inserted,
            rules::deletion_without_a_key_is_rejected_alone,
            rules::values_of_every_kind_come_back_as_they_went_in,
            rules::values_that_are_not_of_their_kind_are_rejected_alone,
            rules::names_are_never_read_as_sql,
            rules::missing_table_and_column_are_fatal,
            versions::row_is_written_where_the_table_has_no_higher_version,
            versions::highest_version_of_a_key_stands_whatever_the_order,
            versions::row_that_loses_is_left_out_as_a_whole,
            versions::deletion_goes_by_the_key_and_what_comes_after_it_has_no_rival,
            versions::refused_winner_leaves_the_highest_good_version,
            versions::row_that_loses_is_not_refused_for_a_required_column_that_it_lacks,
            versions::row_without_a_version_is_refused_alone,
            versions::versions_of_every_kind_are_ordered_by_what_they_mean,
            versions::version_that_cannot_be_compared_is_fatal,
            versions::a_batch_leaves_what_its_rows_leave_one_by_one,
            tables::ensure_creates_the_table_and_adds_columns_but_never_narrows,
            tables::ensure_refuses_a_kind_that_a_column_cannot_hold,
            tables::ensure_refuses_a_column_that_no_table_can_have,
            tables::ensure_by_two_tasks_at_once_makes_one_table,
            tables::ensure_takes_part_in_the_open_transaction,
            tables::columns_of_a_missing_table_are_none,
            rules::rejected_rows_leave_the_open_transaction_usable,
            rules::rolled_back_rows_are_gone,
            tables::query_reads_with_parameters,
            tables::query_refuses_writes_and_transaction_control,
            tables::query_of_more_rows_than_asked_for_is_an_error,
            tables::query_of_more_bytes_than_fit_is_an_error,
            tables::refused_query_leaves_the_open_transaction_usable,
            offsets::stored_offset_belongs_to_log_topic_and_topic_id,
            offsets::claim_of_the_same_offset_is_fine_and_of_another_is_not,
            offsets::of_two_owners_one_moves_the_offset,
            offsets::offsets_and_rows_commit_or_vanish_together,
            offsets::either_all_offsets_move_or_none,
            offsets::sessions_at_once_make_one_offsets_table,
            offsets::pool_of_one_serves_two_sessions_in_turn,
            offsets::an_operator_sees_every_stored_offset_and_moves_only_those_of_this_log_and_topic,
            offsets::an_offsets_table_without_its_key_is_refused_until_it_has_one,
            offsets::of_doubled_rows_none_is_moved_unnoticed_when_the_key_goes_while_a_session_is_open,
        }
    };
}
pub(super) use each;

fn summary(rejected: &[RejectedRow]) -> Vec<(u32, &str, Option<&str>)> {
    rejected.iter().map(|r| (r.row, r.code.as_str(), r.column.as_deref())).collect()
}

pub async fn last_row_of_a_key_wins(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)").await;
    db.execute("INSERT INTO t VALUES (1, 'old')").await;
    let batch =
        rows(4, vec![ints("id", &[Some(1), Some(2), Some(1), Some(2)]), texts("name", &[Some("a"), Some("b"), Some("c"), None])]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected, []);
    assert_eq!(db.read("SELECT id, name FROM t ORDER BY id").await, ["1|c", "2|NULL"]);
}

pub async fn absent_field_leaves_its_column_and_null_sets_null(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, a text, b text)").await;
    db.execute("INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2'), (3, 'a3', 'b3')").await;
    let batch = rows(
        3,
        vec![
            ints("id", &[Some(1), Some(2), Some(3)]),
            only(texts("a", &[Some("x"), None, None]), &[true, true, false]),
            only(texts("b", &[None, None, Some("y")]), &[false, false, true]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected, []);
    assert_eq!(db.read("SELECT id, a, b FROM t ORDER BY id").await, ["1|x|b1", "2|NULL|b2", "3|a3|y"]);
}

pub async fn fields_of_an_earlier_row_stay_when_later_rows_of_its_key_lack_them(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, a text, b text)").await;
    let batch = rows(
        4,
        vec![
            ints("id", &[Some(1), Some(1), Some(1), Some(1)]),
            only(texts("a", &[Some("a0"), Some("a1"), None, Some("a3")]), &[true, true, false, true]),
            only(texts("b", &[Some("b0"), None, Some("b2"), None]), &[true, false, true, false]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected, []);
    assert_eq!(db.read("SELECT id, a, b FROM t").await, ["1|a3|b2"]);
}

pub async fn partial_row_updates_a_row_that_is_there_although_a_required_column_is_absent(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, a text NOT NULL, b text)").await;
    db.execute("INSERT INTO t VALUES (1, 'a1', 'b1')").await;
    let batch = rows(2, vec![ints("id", &[Some(1), Some(2)]), texts("b", &[Some("x"), Some("y")])]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(summary(&rejected), [(1, "sql.not-null", Some("a"))]);
    assert_eq!(db.read("SELECT id, a, b FROM t ORDER BY id").await, ["1|a1|x"]);
}

pub async fn row_of_its_key_alone_is_inserted_once(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, a text DEFAULT 'd')").await;
    db.execute("CREATE TABLE u (id bigint PRIMARY KEY, a text NOT NULL)").await;
    db.execute("INSERT INTO t VALUES (1, 'a1')").await;
    db.execute("INSERT INTO u VALUES (1, 'a1')").await;
    let batch = rows(2, vec![ints("id", &[Some(1), Some(2)])]);
    let mut session = db.connections().session("db").unwrap();
    assert_eq!(session.apply(&table("t", &["id"]), &batch).await.unwrap(), []);
    let rejected = session.apply(&table("u", &["id"]), &batch).await.unwrap();
    assert_eq!(summary(&rejected), [(1, "sql.not-null", Some("a"))]);
    assert_eq!(db.read("SELECT id, a FROM t ORDER BY id").await, ["1|a1", "2|d"]);
    assert_eq!(db.read("SELECT id, a FROM u ORDER BY id").await, ["1|a1"]);
}

pub async fn refused_winner_leaves_the_last_good_row_of_its_key(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, n bigint CHECK (n > 0))").await;
    let batch = rows(
        6,
        vec![
            ints("id", &[Some(1), Some(1), Some(2), Some(1), Some(3), Some(1)]),
            ints("n", &[Some(10), Some(-1), Some(20), Some(11), Some(30), Some(-2)]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(1, "sql.check"), (5, "sql.check")]);
    assert_eq!(db.read("SELECT id, n FROM t ORDER BY id").await, ["1|11", "2|20", "3|30"]);
}

pub async fn three_bad_rows_of_a_thousand_are_rejected_alone(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)").await;
    let ids: Vec<_> = (0..1_000).map(Some).collect();
    let names: Vec<_> = (0..1_000).map(|id| if [17, 500, 999].contains(&id) { None } else { Some("x") }).collect();
    let batch = rows(1_000, vec![ints("id", &ids), texts("name", &names)]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    let expected = [17, 500, 999].map(|row| (row, "sql.not-null", Some("name")));
    assert_eq!(summary(&rejected), expected);
    assert_eq!(db.read("SELECT count(*) FROM t").await, ["997"]);
    assert_eq!(
        db.read("SELECT id FROM t WHERE id IN (16, 17, 18, 499, 500, 998, 999) ORDER BY id").await,
        ["16", "18", "499", "998"]
    );
}

pub async fn deletes_and_writes_of_a_key_take_effect_in_order(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)").await;
    db.execute("INSERT INTO t VALUES (1, 'old'), (2, 'old'), (4, 'old')").await;
    let batch = deleting(
        &[false, true, true, false, true, true],
        vec![
            ints("id", &[Some(1), Some(1), Some(2), Some(2), Some(3), Some(4)]),
            texts("name", &[Some("a"), None, None, Some("b"), None, None]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected, []);
    assert_eq!(db.read("SELECT id, name FROM t ORDER BY id").await, ["2|b"]);
}

pub async fn row_written_after_its_deletion_has_nothing_of_the_old_one(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, a text, b text)").await;
    db.execute("INSERT INTO t VALUES (1, 'a', 'b')").await;
    let batch = deleting(&[true, false], vec![ints("id", &[Some(1), Some(1)]), texts("a", &[None, Some("new")])]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected, []);
    assert_eq!(db.read("SELECT id, a, b FROM t").await, ["1|new|NULL"]);
}

pub async fn refusals_name_code_and_column_but_no_value(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, mail text UNIQUE, n bigint CHECK (n < 100), name text NOT NULL)").await;
    db.execute("INSERT INTO t VALUES (1, 'SECRET-mail', 1, 'x')").await;
    let batch = rows(
        4,
        vec![
            ints("id", &[Some(2), Some(3), Some(4), Some(5)]),
            texts("mail", &[Some("SECRET-mail"), Some("SECRET-2"), Some("SECRET-3"), Some("fine")]),
            ints("n", &[Some(1), Some(777_123), Some(3), Some(4)]),
            texts("name", &[Some("x"), Some("x"), None, Some("x")]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    let codes: Vec<_> = rejected.iter().map(|r| (r.row, r.code.as_str())).collect();
    assert_eq!(codes, [(0, "sql.unique"), (1, "sql.check"), (2, "sql.not-null")]);
    assert_eq!(rejected[2].column.as_deref(), Some("name"));
    for rejected in &rejected {
        assert!(
            !rejected.reason.is_empty() && !rejected.reason.contains("SECRET") && !rejected.reason.contains("777"),
            "{rejected:?}"
        );
    }
    assert_eq!(db.read("SELECT id, mail FROM t ORDER BY id").await, ["1|SECRET-mail", "5|fine"]);
}

pub async fn missing_parent_is_a_foreign_key_refusal(db: &impl Database) {
    db.execute("CREATE TABLE parent (id bigint PRIMARY KEY)").await;
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, parent bigint REFERENCES parent (id))").await;
    db.execute("INSERT INTO parent VALUES (1)").await;
    let batch = rows(3, vec![ints("id", &[Some(1), Some(2), Some(3)]), ints("parent", &[Some(1), Some(9), None])]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(1, "sql.foreign-key")]);
    assert_eq!(db.read("SELECT id FROM t ORDER BY id").await, ["1", "3"]);
}

pub async fn row_without_a_key_value_is_rejected(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint UNIQUE, name text)").await;
    let batch = deleting(
        &[false, false, true, false],
        vec![
            only(ints("id", &[Some(1), None, None, None]), &[true, true, true, false]),
            texts("name", &[Some("a"), Some("b"), None, Some("c")]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(summary(&rejected), [1, 2, 3].map(|row| (row, "sql.not-null", Some("id"))));
    assert_eq!(db.read("SELECT id, name FROM t").await, ["1|a"]);
}

pub async fn composite_key_tells_rows_apart_by_all_its_columns(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("t", &["a", "b"]);
    session.ensure(&to, &[def("a", Kind::Text, false), def("b", Kind::Text, false), def("n", Kind::Int64, true)]).await.unwrap();
    let batch = rows(
        4,
        vec![
            texts("a", &[Some("x"), Some("xy"), Some("x"), Some("x")]),
            texts("b", &[Some("yz"), Some("z"), Some("yz"), Some("y")]),
            ints("n", &[Some(1), Some(2), Some(3), Some(4)]),
        ],
    );
    assert_eq!(session.apply(&to, &batch).await.unwrap(), []);
    assert_eq!(db.read("SELECT a, b, n FROM t ORDER BY n").await, ["xy|z|2", "x|yz|3", "x|y|4"]);
    let gone = deleting(&[true], vec![texts("a", &[Some("x")]), texts("b", &[Some("yz")])]);
    assert_eq!(session.apply(&to, &gone).await.unwrap(), []);
    assert_eq!(db.read("SELECT n FROM t ORDER BY n").await, ["2", "4"]);
}

pub async fn without_a_key_all_rows_are_inserted(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint, name text NOT NULL)").await;
    let batch =
        rows(4, vec![ints("id", &[Some(1), Some(1), Some(2), Some(1)]), texts("name", &[Some("a"), Some("a"), None, Some("b")])]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &[]), &batch).await.unwrap();
    assert_eq!(summary(&rejected), [(2, "sql.not-null", Some("name"))]);
    assert_eq!(db.read("SELECT id, name FROM t ORDER BY name").await, ["1|a", "1|a", "1|b"]);
}

pub async fn deletion_without_a_key_is_rejected_alone(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint)").await;
    let batch = deleting(&[false, true, false], vec![ints("id", &[Some(1), Some(1), Some(2)])]);
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &[]), &batch).await.unwrap();
    assert_eq!(summary(&rejected), [(1, "sql.refused", None)]);
    assert_eq!(db.read("SELECT id FROM t ORDER BY id").await, ["1", "2"]);
}

pub async fn values_of_every_kind_come_back_as_they_went_in(db: &impl Database) {
    let kinds = [
        ("yes", Kind::Boolean),
        ("n", Kind::Int64),
        ("f", Kind::Float64),
        ("d", Kind::Decimal),
        ("t", Kind::Text),
        ("b", Kind::Bytes),
        ("ts", Kind::TimestampUs),
        ("day", Kind::Date),
        ("j", Kind::Json),
    ];
    let mut defs = vec![def("id", Kind::Int64, false)];
    defs.extend(kinds.map(|(name, kind)| def(name, kind, true)));
    let mut session = db.connections().session("db").unwrap();
    session.ensure(&table("t", &["id"]), &defs).await.unwrap();
    let long = "123456789012345678901234567890.123456789";
    let batch = rows(
        3,
        vec![
            ints("id", &[Some(1), Some(2), Some(3)]),
            booleans("yes", &[Some(true), Some(false), None]),
            ints("n", &[Some(i64::MAX), Some(i64::MIN), None]),
            floats("f", &[Some(0.1), Some(-1e300), None]),
            strings("d", Kind::Decimal, &[Some(long), Some("-0.10"), None]),
            texts("t", &[Some("Grüße 🚢"), Some(""), None]),
            variable("b", Kind::Bytes, &[Some(b"\x00\x7f"), Some(b""), None]),
            whole("ts", Kind::TimestampUs, &[Some(1_700_000_000_123_456), Some(-1), None]),
            whole("day", Kind::Date, &[Some(19_675), Some(-1), None]),
            strings("j", Kind::Json, &[Some("{\"a\": [1, null]}"), Some("7"), None]),
        ],
    );
    assert_eq!(session.apply(&table("t", &["id"]), &batch).await.unwrap(), []);
    let read = session.query("SELECT yes, n, f, d, t, b, ts, day, j FROM t ORDER BY id", &[], 10).await.unwrap();
    let expected: [[Option<&str>; 3]; 9] = [
        [Some("true"), Some("false"), None],
        [Some("9223372036854775807"), Some("-9223372036854775808"), None],
        [Some("0.1"), None, None],
        [Some(long), Some("-0.10"), None],
        [Some("Grüße 🚢"), Some(""), None],
        [Some("\u{0}\u{7f}"), Some(""), None],
        [Some("1700000000123456"), Some("-1"), None],
        [Some("19675"), Some("-1"), None],
        [Some("{\"a\": [1, null]}"), Some("7"), None],
    ];
    for (column, (expected, (name, kind))) in read.iter().zip(expected.into_iter().zip(kinds)) {
        assert_eq!(column.name, name);
        let wanted = expected.map(|v| v.map(str::to_owned));
        if (kind, column.kind) == (Kind::Float64, Kind::Float64) {
            let floats = strings_of(column).into_iter().map(|v| v.map(|v| v.parse::<f64>().unwrap())).collect::<Vec<_>>();
            assert_eq!(floats, [Some(0.1), Some(-1e300), None]);
        } else {
            assert_eq!(in_kind(column, kind), wanted, "{name}");
        }
    }
}

/// The values as if the column were of this kind: SQLite keeps a storage class, and what it has no class for is read as that
/// class's text.
fn in_kind(column: &Column, kind: Kind) -> Vec<Option<String>> {
    let stored = strings_of(column).into_iter();
    match (kind, column.kind) {
        (wanted, found) if wanted == found => stored.collect(),
        (Kind::Boolean, Kind::Int64) => stored.map(|v| v.map(|v| (v == "1").to_string())).collect(),
        (Kind::Decimal | Kind::Json, Kind::Text) => stored.collect(),
        (Kind::TimestampUs, Kind::Text) => {
            let known = [("2023-11-14T22:13:20.123456Z", "1700000000123456"), ("1969-12-31T23:59:59.999999Z", "-1")];
            stored.map(|v| v.map(|v| known.iter().find(|(text, _)| v == *text).unwrap().1.to_owned())).collect()
        }
        (Kind::Date, Kind::Text) => {
            let known = [("2023-11-14", "19675"), ("1969-12-31", "-1")];
            stored.map(|v| v.map(|v| known.iter().find(|(text, _)| v == *text).unwrap().1.to_owned())).collect()
        }
        (wanted, found) => panic!("{}: {found} where {wanted} was written", column.name),
    }
}

pub async fn values_that_are_not_of_their_kind_are_rejected_alone(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("t", &["id"]);
    let defs =
        [def("id", Kind::Int64, false), def("d", Kind::Decimal, true), def("j", Kind::Json, true), def("t", Kind::Text, true)];
    session.ensure(&to, &defs).await.unwrap();
    let batch = rows(
        5,
        vec![
            ints("id", &[Some(1), Some(2), Some(3), Some(4), Some(5)]),
            strings("d", Kind::Decimal, &[Some("1.5"), Some("12,5"), None, None, None]),
            strings("j", Kind::Json, &[Some("{}"), None, Some("{"), None, None]),
            variable("t", Kind::Text, &[Some(b"x"), None, None, Some(b"\xff"), Some(b"y")]),
        ],
    );
    let rejected = session.apply(&to, &batch).await.unwrap();
    assert_eq!(summary(&rejected), [(1, "sql.type", Some("d")), (2, "sql.type", Some("j")), (3, "sql.type", Some("t"))]);
    assert_eq!(db.read("SELECT id FROM t ORDER BY id").await, ["1", "5"]);
}

pub async fn names_are_never_read_as_sql(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let to = table("order; --", &["select", "a\"b"]);
    let defs = [def("select", Kind::Int64, false), def("a\"b", Kind::Text, false), def("Größe '); DROP", Kind::Text, true)];
    session.ensure(&to, &defs).await.unwrap();
    let batch = rows(
        2,
        vec![
            ints("select", &[Some(1), Some(1)]),
            texts("a\"b", &[Some("k"), Some("k")]),
            texts("Größe '); DROP", &[Some("old"), Some("new")]),
        ],
    );
    assert_eq!(session.apply(&to, &batch).await.unwrap(), []);
    assert_eq!(session.columns("order; --").await.unwrap().len(), 3);
    assert_eq!(db.read("SELECT * FROM \"order; --\"").await, ["1|k|new"]);
}

pub async fn missing_table_and_column_are_fatal(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut session = db.connections().session("db").unwrap();
    let missing = session.apply(&table("nowhere", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap_err();
    assert!(matches!(&missing, SqlError::Fatal(text) if text.contains("`nowhere`") && text.contains("`db`")), "{missing}");
    let batch = rows(1, vec![ints("id", &[Some(1)]), ints("other", &[Some(1)])]);
    let missing = session.apply(&table("t", &["id"]), &batch).await.unwrap_err();
    assert!(matches!(&missing, SqlError::Fatal(text) if text.contains("`other`")), "{missing}");
    assert_eq!(session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap(), []);
}

pub async fn rejected_rows_leave_the_open_transaction_usable(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL)").await;
    let mut session = db.connections().session("db").unwrap();
    session.begin().await.unwrap();
    let first = rows(2, vec![ints("id", &[Some(1), Some(2)]), texts("name", &[Some("a"), None])]);
    assert_eq!(summary(&session.apply(&table("t", &["id"]), &first).await.unwrap()), [(1, "sql.not-null", Some("name"))]);
    let second = rows(2, vec![ints("id", &[Some(3), Some(1)]), texts("name", &[Some("c"), Some("b")])]);
    assert_eq!(session.apply(&table("t", &["id"]), &second).await.unwrap(), []);
    assert!(matches!(session.apply(&table("nowhere", &["id"]), &second).await, Err(SqlError::Fatal(_))));
    assert_eq!(db.read("SELECT id, name FROM t").await, [""; 0]);
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id, name FROM t ORDER BY id").await, ["1|b", "3|c"]);
}

pub async fn rolled_back_rows_are_gone(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut session = db.connections().session("db").unwrap();
    let one = |id| rows(1, vec![ints("id", &[Some(id)])]);
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(1)).await.unwrap();
    session.rollback().await.unwrap();
    session.rollback().await.unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(2)).await.unwrap();
    // Opens anew: what was open is rolled back.
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &one(3)).await.unwrap();
    session.commit().await.unwrap();
    assert!(session.commit().await.is_err());
    assert_eq!(db.read("SELECT id FROM t").await, ["3"]);
}
