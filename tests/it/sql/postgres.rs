//! Rules of PostgreSQL alone.
use std::time::Duration;

use wharf_runtime::capability::sql::{Kind, SqlError};

use super::columns::{booleans, deleting, floats, ints, only, rows, strings, strings_of, table, texts, variable, whole};
use super::database::{self, Postgres};
use super::rules::Database;

#[tokio::test]
async fn values_are_cast_to_the_columns_that_are_there() {
    let Some(db) = Postgres::new("values_are_cast_to_the_columns_that_are_there").await else { return };
    db.execute("CREATE DOMAIN short AS text CHECK (length(value) < 5)").await;
    db.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')").await;
    db.execute(
        "CREATE TABLE t (id int4 PRIMARY KEY, s int2, n numeric(10, 2), v varchar(3), c char(4), u uuid, j jsonb, d short, m mood, \
         dec_i int8, f_i int8, f_n numeric, ts timestamp, day date, r real, txt_d date, raw bytea)",
    )
    .await;
    let batch = rows(
        2,
        vec![
            ints("id", &[Some(1), Some(2)]),
            ints("s", &[Some(7), None]),
            ints("n", &[Some(7), None]),
            texts("v", &[Some("abc"), None]),
            texts("c", &[Some("ab"), None]),
            texts("u", &[Some("00000000-0000-0000-0000-000000000001"), None]),
            texts("j", &[Some("{\"a\": 1}"), None]),
            texts("d", &[Some("abcd"), None]),
            texts("m", &[Some("glad"), None]),
            strings("dec_i", Kind::Decimal, &[Some("12.00"), None]),
            floats("f_i", &[Some(1e15), None]),
            floats("f_n", &[Some(1_234_567_890.123_456_7), None]),
            whole("ts", Kind::TimestampUs, &[Some(1_700_000_000_123_456), None]),
            whole("day", Kind::Date, &[Some(19_675), None]),
            floats("r", &[Some(0.5), None]),
            texts("txt_d", &[Some("2024-02-29"), None]),
            texts("raw", &[Some("a\\b"), None]),
        ],
    );
    let mut session = db.connections().session("db").unwrap();
    assert_eq!(session.apply(&table("t", &["id"]), &batch).await.unwrap(), []);
    assert_eq!(
        db.read("SELECT * FROM t WHERE id = 1").await,
        ["1|7|7.00|abc|ab  |00000000-0000-0000-0000-000000000001|{\"a\": 1}|abcd|glad|12|1000000000000000|1234567890.1234567|\
          2023-11-14 22:13:20.123456|2023-11-14|0.5|2024-02-29|\\x615c62"]
    );
    assert_eq!(db.read("SELECT count(*) FROM t WHERE v IS NULL AND m IS NULL").await, ["1"]);
}

#[tokio::test]
async fn what_does_not_fit_its_column_is_rejected_alone_and_nothing_is_cut() {
    let Some(db) = Postgres::new("what_does_not_fit_its_column_is_rejected").await else { return };
    db.execute(
        "CREATE TABLE t (id int4 PRIMARY KEY, s int2, v varchar(3), u uuid, f int8, d int8, txt text, b bool, k numeric(4, 1))",
    )
    .await;
    let one = |n: usize, text: &'static str| (0..10).map(|row| (row == n).then_some(text)).collect::<Vec<_>>();
    let batch = rows(
        10,
        vec![
            ints("id", &(0..10).map(|n| Some(if n == 0 { 5_000_000_000 } else { n })).collect::<Vec<_>>()),
            ints("s", &(0..10).map(|n| Some(if n == 1 { 77_777 } else { 1 })).collect::<Vec<_>>()),
            texts("v", &one(2, "SECRET")),
            texts("u", &one(3, "SECRET \"x\" y")),
            floats("f", &(0..10).map(|n| (n == 4).then_some(1.5)).collect::<Vec<_>>()),
            strings("d", Kind::Decimal, &one(5, "1.50")),
            texts("txt", &one(6, "SECRET\0")),
            ints("b", &(0..10).map(|n| (n == 7).then_some(777)).collect::<Vec<_>>()),
            strings("k", Kind::Decimal, &one(8, "12345678.1")),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    let seen: Vec<_> = rejected.iter().map(|r| (r.row, r.code.as_str())).collect();
    assert_eq!(seen, (0..9).map(|row| (row, "sql.type")).collect::<Vec<_>>());
    for rejected in &rejected {
        let reason = &rejected.reason;
        assert!(!["SECRET", "777", "5000000000", "1.5", "12345678"].iter().any(|value| reason.contains(value)), "{reason}");
    }
    assert_eq!(db.read("SELECT id FROM t").await, ["9"]);
}

#[tokio::test]
async fn keys_that_are_one_to_the_database_are_written_in_order() {
    let Some(db) = Postgres::new("keys_that_are_one_to_the_database_are_written_in_order").await else { return };
    db.execute("CREATE TABLE t (id numeric PRIMARY KEY, name text)").await;
    let batch = rows(
        3,
        vec![
            strings("id", Kind::Decimal, &[Some("1.0"), Some("1.00"), Some("1")]),
            texts("name", &[Some("a"), Some("b"), Some("c")]),
        ],
    );
    let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected, []);
    assert_eq!(db.read("SELECT name FROM t").await, ["c"]);
}

#[tokio::test]
async fn deferred_constraint_is_a_refusal_of_its_row() {
    let Some(db) = Postgres::new("deferred_constraint_is_a_refusal_of_its_row").await else { return };
    db.execute("CREATE TABLE parent (id int8 PRIMARY KEY)").await;
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY, parent int8 REFERENCES parent DEFERRABLE INITIALLY DEFERRED)").await;
    let batch = rows(2, vec![ints("id", &[Some(1), Some(2)]), ints("parent", &[Some(9), None])]);
    let mut session = db.connections().session("db").unwrap();
    session.begin().await.unwrap();
    let rejected = session.apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(0, "sql.foreign-key")]);
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["2"]);
}

#[tokio::test]
async fn trigger_that_raises_refuses_its_row() {
    let Some(db) = Postgres::new("trigger_that_raises_refuses_its_row").await else { return };
    // Without a code, and with one that is the trigger's own.
    for raised in ["", "USING ERRCODE = ''ZZ001''", "USING ERRCODE = ''90001''"] {
        db.execute(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id int8 PRIMARY KEY); \
             CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN IF NEW.id = 2 THEN RAISE EXCEPTION ''two is closed'' {raised}; END IF; RETURN NEW; END'; \
             CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
        ))
        .await;
        let batch = rows(3, vec![ints("id", &[Some(1), Some(2), Some(3)])]);
        let rejected = db.connections().session("db").unwrap().apply(&table("t", &["id"]), &batch).await.unwrap();
        let seen: Vec<_> = rejected.iter().map(|r| (r.row, r.code.as_str(), r.reason.as_str())).collect();
        assert_eq!(seen, [(1, "sql.refused", "two is closed")], "{raised}");
        assert_eq!(db.read("SELECT id FROM t ORDER BY id").await, ["1", "3"]);
    }
}

#[tokio::test]
async fn table_without_a_unique_key_says_what_to_create() {
    let Some(db) = Postgres::new("table_without_a_unique_key_says_what_to_create").await else { return };
    db.execute("CREATE SCHEMA shop; CREATE TABLE shop.t (id int8, name text)").await;
    let batch = rows(1, vec![ints("id", &[Some(1)]), texts("name", &[Some("x")])]);
    let mut session = db.connections().session("db").unwrap();
    let missing = session.apply(&table("shop.t", &["id"]), &batch).await.unwrap_err();
    assert!(matches!(&missing, SqlError::Fatal(text) if text.contains("unique index")), "{missing}");
    db.execute("CREATE UNIQUE INDEX ON shop.t (id)").await;
    assert_eq!(session.apply(&table("shop.t", &["id"]), &batch).await.unwrap(), []);
    assert_eq!(db.read("SELECT id, name FROM shop.t").await, ["1|x"]);
}

#[tokio::test]
async fn missing_privilege_is_fatal_and_names_the_table() {
    let Some(db) = Postgres::new("missing_privilege_is_fatal").await else { return };
    let role = format!("wharf_reader_{}", std::process::id());
    db.execute(&format!(
        "CREATE TABLE t (id int8 PRIMARY KEY); DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}"
    ))
    .await;
    let at = db.url.find('@').unwrap();
    let url = format!("postgres://{role}{}", &db.url[at..]);
    let connections = database::connections(&url, None).unwrap();
    let mut session = connections.session("db").unwrap();
    let refused = session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap_err();
    assert!(matches!(&refused, SqlError::Fatal(text) if text.contains("grant") && text.contains(" t")), "{refused}");
    db.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn columns_are_mapped_back_to_kinds() {
    let Some(db) = Postgres::new("columns_are_mapped_back_to_kinds").await else { return };
    db.execute(
        "CREATE DOMAIN amount AS numeric(12, 2); CREATE TABLE t (a bool, b int2, c int4, d int8, e real, f float8, g numeric(5, 2), \
         h varchar(3), i uuid, j bytea, k timestamptz, l timestamp, m date, n json, o jsonb, p amount, q inet, r text[])",
    )
    .await;
    let kinds: Vec<_> = db.connections().session("db").unwrap().columns("t").await.unwrap().into_iter().map(|c| c.kind).collect();
    use Kind::{Boolean, Bytes, Date, Decimal, Float64, Int64, Json, Text, TimestampUs};
    let expected = [
        Boolean,
        Int64,
        Int64,
        Int64,
        Float64,
        Float64,
        Decimal,
        Text,
        Text,
        Bytes,
        TimestampUs,
        TimestampUs,
        Date,
        Json,
        Json,
        Decimal,
        Text,
        Text,
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn query_answers_types_that_have_no_kind_as_text() {
    let Some(db) = Postgres::new("query_answers_types_that_have_no_kind_as_text").await else { return };
    let mut session = db.connections().session("db").unwrap();
    let statement = "SELECT 1::int2 AS a, 1.50::numeric(5, 2) AS b, timestamp '2023-11-14 22:13:20.123456' AS c, \
                     '00000000-0000-0000-0000-000000000001'::uuid AS d, ARRAY[1, 2] AS e, $1::bytea AS f, NULL::date AS g, $2::timestamptz AS a";
    let parameters = [variable("p", Kind::Bytes, &[Some(b"\x01\xff")]), whole("p", Kind::TimestampUs, &[Some(-1)])];
    let read = session.query(statement, &parameters, 1).await.unwrap();
    let values: Vec<_> = read.iter().map(|c| strings_of(c)[0].clone().unwrap_or("NULL".to_owned())).collect();
    let id = "00000000-0000-0000-0000-000000000001";
    assert_eq!(values, ["1", "1.50", "1700000000123456", id, "{1,2}", "\u{1}\u{fffd}", "NULL", "-1"]);
    assert_eq!(read[7].name, "a");
}

#[tokio::test]
async fn function_that_writes_is_refused_in_a_query() {
    let Some(db) = Postgres::new("function_that_writes_is_refused_in_a_query").await else { return };
    db.execute(
        "CREATE TABLE t (id int8); CREATE FUNCTION f() RETURNS int8 LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'",
    )
    .await;
    let mut session = db.connections().session("db").unwrap();
    for inside in [false, true] {
        if inside {
            session.begin().await.unwrap();
        }
        for statement in ["SELECT f()", "SELECT set_config('transaction_read_only', 'off', true), f()"] {
            let refused = session.query(statement, &[], 1).await.unwrap_err();
            assert!(matches!(&refused, SqlError::Reject(_)), "{refused}");
        }
    }
    // Writing is open again after the query.
    assert_eq!(session.apply(&table("t", &[]), &rows(1, vec![ints("id", &[Some(2)])])).await.unwrap(), []);
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["2"]);
}

#[tokio::test]
async fn stages_serve_many_calls_and_shapes_of_a_transaction() {
    let Some(db) = Postgres::new("stages_serve_many_calls_and_shapes_of_a_transaction").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY, a text, b boolean)").await;
    let mut session = db.connections().session("single").unwrap();
    let to = table("t", &["id"]);
    let one = |id| rows(1, vec![ints("id", &[Some(id)]), texts("a", &[Some("x")])]);
    let other = |id| rows(1, vec![ints("id", &[Some(id)]), only(booleans("b", &[Some(true)]), &[true])]);
    session.begin().await.unwrap();
    assert_eq!(session.apply(&to, &one(1)).await.unwrap(), []);
    session.rollback().await.unwrap();
    for round in 0..3 {
        session.begin().await.unwrap();
        for id in 0..3 {
            assert_eq!(session.apply(&to, &one(round * 10 + id)).await.unwrap(), []);
            assert_eq!(session.apply(&to, &other(round * 10 + id)).await.unwrap(), []);
            assert!(session.apply(&table("nowhere", &[]), &other(1)).await.is_err());
        }
        session.commit().await.unwrap();
    }
    assert_eq!(db.read("SELECT count(*), count(a), count(b) FROM t").await, ["9|9|9"]);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_retried_and_says_why() {
    let Some(db) = Postgres::new("a_server_that_takes_no_writes_is_retried").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY)").await;
    let connections =
        database::connections(&format!("{}?options=-c%20default_transaction_read_only%3Don", db.url), None).unwrap();
    let mut session = connections.session("single").unwrap();
    for _ in 0..2 {
        let begun = session.begin().await.unwrap_err();
        assert!(matches!(&begun, SqlError::Retry(text) if text.contains("set read only")), "{begun}");
        let applied = session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap_err();
        assert!(matches!(&applied, SqlError::Retry(text) if text.contains("set read only")), "{applied}");
        assert!(session.query("SELECT id FROM t", &[], 1).await.is_ok(), "reading goes on");
    }
    assert_eq!(db.read("SELECT id FROM t").await, [""; 0]);
}

#[tokio::test]
async fn a_feature_that_a_statement_lacks_is_fatal_and_a_state_that_passes_is_not() {
    let Some(db) = Postgres::new("a_feature_that_a_statement_lacks_is_fatal").await else { return };
    for (code, passes) in
        [("0A000", false), ("XX001", false), ("55000", true), ("25006", true), ("57P04", true), ("40003", true), ("25P04", true)]
    {
        db.execute(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id int8 PRIMARY KEY); \
             CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE EXCEPTION ''of the trigger'' USING ERRCODE = ''{code}''; END'; \
             CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
        ))
        .await;
        let mut session = db.connections().session("db").unwrap();
        let failed = session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap_err();
        assert!(failed.to_string().contains("of the trigger"), "{failed}");
        assert_eq!(matches!(failed, SqlError::Retry(_)), passes, "{code}: {failed}");
        assert_eq!(matches!(failed, SqlError::Fatal(_)), !passes, "{code}: {failed}");
    }
}

#[tokio::test]
async fn keys_of_different_bytes_that_are_one_to_the_database_take_effect_in_their_order() {
    let Some(db) = Postgres::new("keys_of_different_bytes_that_are_one").await else { return };
    db.execute("CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)").await;
    let (uuid, upper) = ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11");
    let cases = [
        ("uuid", Kind::Text, upper, uuid),
        ("numeric", Kind::Decimal, "1.0", "1"),
        ("numeric(6, 1)", Kind::Decimal, "1.00", "1"),
        ("char(4)", Kind::Text, "ab  ", "ab"),
        ("text COLLATE folded", Kind::Text, "AB", "ab"),
    ];
    for (n, (column, kind, first, second)) in cases.into_iter().enumerate() {
        let t = format!("t{n}");
        db.execute(&format!("CREATE TABLE {t} (id {column} PRIMARY KEY, a int8, b int8)")).await;
        let mut session = db.connections().session("db").unwrap();
        let ids = |one, two| strings("id", kind, &[Some(one), Some(two)]);
        let partial =
            rows(2, vec![ids(first, second), ints("a", &[Some(1), Some(2)]), only(ints("b", &[Some(1), None]), &[true, false])]);
        assert_eq!(session.apply(&table(&t, &["id"]), &partial).await.unwrap(), []);
        assert_eq!(db.read(&format!("SELECT a, b FROM {t}")).await, ["2|1"], "{column}: the later row stands");
        let deleted = deleting(&[false, true], vec![ids(second, first), ints("a", &[Some(3), None])]);
        assert_eq!(session.apply(&table(&t, &["id"]), &deleted).await.unwrap(), []);
        assert_eq!(db.read(&format!("SELECT a FROM {t}")).await, [""; 0], "{column}: the row is deleted");
        // Gathered over two calls, and in one.
        session.begin().await.unwrap();
        session.gather();
        let whole = |one, two, a: [i64; 2]| rows(2, vec![ids(one, two), ints("a", &[Some(a[0]), Some(a[1])])]);
        let other = if kind == Kind::Decimal { "7" } else { "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" };
        let other = if column.starts_with("char") { "cd" } else { other };
        for batch in [whole(other, second, [4, 4]), whole(first, second, [5, 6])] {
            assert_eq!(session.apply(&table(&t, &["id"]), &batch).await.unwrap(), []);
        }
        session.commit().await.unwrap();
        assert_eq!(db.read(&format!("SELECT a FROM {t} ORDER BY a")).await, ["4", "6"], "{column}: gathered");
    }
}

#[tokio::test]
async fn a_value_that_a_type_of_its_own_grammar_a_policy_or_a_trigger_refuses_is_rejected_alone_and_not_shown() {
    let Some(db) = Postgres::new("a_value_that_a_type_of_its_own_grammar_refuses").await else { return };
    let trigger = |body: &str| {
        format!(
            "CREATE TABLE T (id int8 PRIMARY KEY, v text); CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \
             $$DECLARE x int; BEGIN {body} RETURN new; END$$; \
             CREATE TRIGGER tr BEFORE INSERT ON T FOR EACH ROW EXECUTE FUNCTION f()"
        )
    };
    let typed = |kind: &str| format!("CREATE TABLE T (id int8 PRIMARY KEY, v {kind})");
    let cases = [
        (typed("tsquery"), "s3cret x y (", "sql.type"),
        (typed("jsonpath"), "$.a s3cret", "sql.type"),
        (trigger("IF new.v = 's3cret' THEN SELECT 1 INTO STRICT x WHERE false; END IF;"), "s3cret", "sql.refused"),
        (trigger("ASSERT new.v <> 's3cret', 'not this one';"), "s3cret", "sql.refused"),
    ];
    for (n, (made, bad, code)) in cases.into_iter().enumerate() {
        let t = format!("t{n}");
        db.execute(&made.replace(" T (", &format!(" {t} (")).replace("ON T ", &format!("ON {t} "))).await;
        let good = if made.contains("jsonpath") { "$.a" } else { "a" };
        let batch = rows(3, vec![ints("id", &[Some(1), Some(2), Some(3)]), texts("v", &[Some(good), Some(bad), Some(good)])]);
        let mut session = db.connections().session("db").unwrap();
        let rejected = session.apply(&table(&t, &["id"]), &batch).await.unwrap();
        assert_eq!(rejected.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(1, code)], "{made}: {rejected:?}");
        assert!(!rejected[0].reason.contains("s3cret"), "{rejected:?}");
        assert_eq!(db.read(&format!("SELECT id FROM {t} ORDER BY id")).await, ["1", "3"], "{made}");
    }
}

#[tokio::test]
async fn a_value_that_an_earlier_row_of_the_batch_gives_up_may_be_taken_by_a_later_one() {
    let Some(db) = Postgres::new("a_value_that_an_earlier_row_gives_up").await else { return };
    db.execute("CREATE TABLE t (id int8 PRIMARY KEY, email text UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        .await;
    let batch = rows(
        4,
        vec![
            ints("id", &[Some(1), Some(2), Some(1), Some(4)]),
            texts("email", &[Some("on the way"), Some("a"), Some("b"), Some("c")]),
        ],
    );
    let mut session = db.connections().session("db").unwrap();
    let rejected = session.apply(&table("t", &["id"]), &batch).await.unwrap();
    assert_eq!(rejected.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(3, "sql.unique")], "{rejected:?}");
    assert_eq!(db.read("SELECT id, email FROM t ORDER BY id").await, ["1|b", "2|a", "3|c"]);
}

#[tokio::test]
async fn tables_that_take_turns_in_a_transaction_are_gathered_one_after_the_other() {
    let Some(db) = Postgres::new("tables_that_take_turns_are_gathered").await else { return };
    db.execute("CREATE TABLE a (id int8 PRIMARY KEY, v int8); CREATE TABLE b (id int8 PRIMARY KEY, v int8)").await;
    let mut session = db.connections().session("db").unwrap();
    session.begin().await.unwrap();
    session.gather();
    for (name, id) in [("a", 1), ("b", 2), ("a", 3), ("a", 4), ("b", 5)] {
        let batch = rows(1, vec![ints("id", &[Some(id)]), ints("v", &[Some(id)])]);
        let applied = tokio::time::timeout(Duration::from_secs(30), session.apply(&table(name, &["id"]), &batch)).await;
        assert_eq!(applied.expect("the server is asked while rows are copied").unwrap(), []);
    }
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM a ORDER BY id").await, ["1", "3", "4"]);
    assert_eq!(db.read("SELECT id FROM b ORDER BY id").await, ["2", "5"]);
}

#[tokio::test]
async fn a_row_that_another_one_of_the_batch_makes_way_for_is_taken_as_one_by_one() {
    let Some(db) = Postgres::new("a_row_that_another_one_makes_way_for").await else { return };
    db.execute(
        "CREATE TABLE t (id int8 PRIMARY KEY, parent int8 REFERENCES t); INSERT INTO t VALUES (1, NULL), (2, 1); \
         CREATE TABLE u (id int8 PRIMARY KEY, u text UNIQUE, v text NOT NULL)",
    )
    .await;
    let mut session = db.connections().session("db").unwrap();
    let freed = deleting(&[false, true], vec![ints("id", &[Some(2), Some(1)]), ints("parent", &[None, None])]);
    assert_eq!(session.apply(&table("t", &["id"]), &freed).await.unwrap(), []);
    assert_eq!(db.read("SELECT id FROM t").await, ["2"]);
    let batch = rows(
        3,
        vec![
            ints("id", &[Some(1), Some(1), Some(2)]),
            texts("u", &[Some("a"), Some("a"), Some("a")]),
            texts("v", &[Some("x"), None, Some("x")]),
        ],
    );
    let rejected = session.apply(&table("u", &["id"]), &batch).await.unwrap();
    let codes: Vec<_> = rejected.iter().map(|r| (r.row, r.code.as_str())).collect();
    assert_eq!(codes, [(1, "sql.not-null"), (2, "sql.unique")], "{rejected:?}");
    assert_eq!(db.read("SELECT id, v FROM u").await, ["1|x"]);
}
