-- The warehouse: what the `sql` sinks of retail-live.toml fill. The sinks are strict and change no table.

CREATE TABLE customers (
    id bigint PRIMARY KEY,               -- Odoo's id of the partner
    ref text NOT NULL UNIQUE,            -- the customer's number, as the shop and promotions have it
    name text NOT NULL,
    email text,                          -- its hash
    active boolean NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE products (
    sku text PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE orders (
    id bigint PRIMARY KEY,
    number text NOT NULL,
    customer bigint NOT NULL REFERENCES customers (id),
    reference text,
    ordered_at timestamptz NOT NULL,
    total numeric(12, 2) NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE inventory (
    sku text PRIMARY KEY REFERENCES products (sku),
    quantity integer NOT NULL,
    counted_at timestamptz NOT NULL
);

CREATE TABLE sessions (
    session text PRIMARY KEY,
    customer text REFERENCES customers (ref),    -- null: nobody signed in
    pages integer NOT NULL,
    device text NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE promotion_decisions (
    decision text PRIMARY KEY,
    customer text NOT NULL REFERENCES customers (ref),
    promotion text NOT NULL,
    granted boolean NOT NULL,
    discount numeric(8, 2),
    decided_at timestamptz NOT NULL
);
