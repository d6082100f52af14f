//! From stored numbers to what people take away: tables, charts, exports.

pub mod chart;
