//! What the source and the sink `http` have in common: how an operator writes requests (templates, headers) and says what answers
//! mean (JSONPath, statuses). Sends nothing and knows no record.

pub mod answer;
pub mod decimal;
pub mod headers;
pub mod jsonpath;
pub mod statuses;
pub mod template;
