//! Rows in PostgreSQL's binary COPY format, as its documentation of COPY, section "Binary Format", has it.

use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink, Statement};

use super::fault::Fault;
use crate::capability::sql::Kind;
use crate::capability::sql::cells::{Cell, View};

pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// A row of -1 columns ends the data.
pub(super) const TRAILER: &[u8] = b"\xff\xff";
/// Sent in pieces of about this size.
const PIECE: usize = 256 << 10;
/// PostgreSQL counts from 2000-01-01.
const EPOCH_US: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;

/// Microseconds since 2000, where PostgreSQL has such a time: 4714 BC to the year 294276.
pub(super) fn timestamp(us: i64) -> Option<i64> {
    us.checked_sub(EPOCH_US).filter(|us| (-211_813_488_000_000_000..9_223_371_331_200_000_000).contains(us))
}

/// Days since 2000, where PostgreSQL has such a date: 4714 BC to the year 5874897.
pub(super) fn date(days: i64) -> Option<i32> {
    let days = days.checked_sub(EPOCH_DAYS).filter(|days| (-2_451_545..2_145_031_949).contains(days))?;
    i32::try_from(days).ok()
}

/// Microseconds since 1970; the infinities are the ends of the range.
pub(super) const fn from_timestamp(us: i64) -> i64 {
    us.saturating_add(EPOCH_US)
}

pub(super) fn from_date(days: i32) -> i64 {
    i64::from(days) + EPOCH_DAYS
}

/// Copies rows, each led by its number.
pub(super) async fn copy(client: &Client, copy: &Statement, view: &View<'_>, rows: &[usize]) -> Result<(), Fault> {
    let mut sink = Box::pin(client.copy_in::<_, Bytes>(copy).await?);
    sink.as_mut().send(Bytes::from_static(HEADER)).await?;
    self::rows(&mut sink, view, rows.iter().copied(), 0).await?;
    sink.as_mut().send(Bytes::from_static(TRAILER)).await?;
    sink.as_mut().finish().await?;
    Ok(())
}

/// Sends rows on a COPY that has begun. Each is led by its number, its place in the view and `from`.
pub(super) async fn rows(
    sink: &mut Pin<Box<CopyInSink<Bytes>>>,
    view: &View<'_>,
    rows: impl Iterator<Item = usize>,
    from: usize,
) -> Result<(), Fault> {
    let columns = i16::try_from(view.fields.len() + 1)
        .map_err(|_| Fault::reject("there are more columns than a table can have".to_owned()))?;
    let mut buffer = BytesMut::with_capacity(PIECE + (PIECE >> 2));
    for row in rows {
        buffer.put_i16(columns);
        buffer.put_i32(4);
        buffer.put_i32(i32::try_from(from + row).map_err(|_| Fault::reject("there are too many rows".to_owned()))?);
        for field in &view.fields {
            put(&mut buffer, field.kind, field.cell(row))?;
        }
        if buffer.len() >= PIECE {
            sink.as_mut().send(buffer.split().freeze()).await?;
        }
    }
    if !buffer.is_empty() {
        sink.as_mut().send(buffer.freeze()).await?;
    }
    Ok(())
}

fn put(buffer: &mut BytesMut, kind: Kind, cell: Cell<'_>) -> Result<(), Fault> {
    match (kind, cell) {
        (Kind::TimestampUs, Cell::Int(us)) => match timestamp(us) {
            Some(us) => {
                buffer.put_i32(8);
                buffer.put_i64(us);
            }
            None => buffer.put_i32(-1),
        },
        (Kind::Date, Cell::Int(days)) => match date(days) {
            Some(days) => {
                buffer.put_i32(4);
                buffer.put_i32(days);
            }
            None => buffer.put_i32(-1),
        },
        (_, Cell::Absent | Cell::Null) => buffer.put_i32(-1),
        (_, Cell::Boolean(value)) => {
            buffer.put_i32(1);
            buffer.put_u8(value.into());
        }
        (_, Cell::Int(value)) => {
            buffer.put_i32(8);
            buffer.put_i64(value);
        }
        (_, Cell::Float(value)) => {
            buffer.put_i32(8);
            buffer.put_f64(value);
        }
        (_, Cell::Bytes(value)) => {
            let len = i32::try_from(value.len()).map_err(|_| Fault::reject("a value is larger than 2 GiB".to_owned()))?;
            buffer.put_i32(len);
            buffer.put_slice(value);
        }
    }
    Ok(())
}
