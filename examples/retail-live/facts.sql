-- The facts: what the `clickhouse` sinks of retail-live.toml fill. The last four columns hold the place of the record that a row
-- was made of: by them each record is there once.

CREATE TABLE orders (
    id UInt64, number String, customer UInt64, reference Nullable(String), ordered_at DateTime, total Decimal(12, 2), changed_at DateTime,
    _topic String, _partition Int32, _offset Int64, _timestamp Int64
) ENGINE = MergeTree ORDER BY (id, _offset);

CREATE TABLE sessions (
    session String, customer Nullable(String), pages UInt32, device String, started_at DateTime, updated_at DateTime,
    _topic String, _partition Int32, _offset Int64, _timestamp Int64
) ENGINE = MergeTree ORDER BY (session, _offset);
