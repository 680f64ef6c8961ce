//! An answer of Odoo that says no, and of whom it tells: of the member, of others that came with it, or of none.

/// A status that is about what was sent.
pub struct Refusal {
    pub method: String,
    pub status: u16,
    /// Of Odoo's exception, `odoo.exceptions.ValidationError`.
    pub name: String,
    /// Odoo's words, which may quote an address.
    pub said: String,
}

impl Refusal {
    /// Whether it tells of Odoo's own state, or of something between, and not of what was sent.
    pub fn is_of_no_member(&self) -> bool {
        self.status == 500 && (self.name.is_empty() || wharf_odoo_api::is_passing(&self.name))
    }

    /// Whether the same may be taken when it is sent again.
    pub fn may_pass(&self) -> bool {
        self.status == 500 || self.is_missing()
    }

    /// A record went while it was written; what is there is to be seen anew. Any other 404 is about the model or the method.
    pub fn is_missing(&self) -> bool {
        self.name == "odoo.exceptions.MissingError"
    }

    /// The account may not do this to one of the records, or not at all.
    pub fn is_of_access(&self) -> bool {
        self.name == "odoo.exceptions.AccessError"
    }

    /// The exception's name as it may be shown.
    pub fn shown(&self) -> String {
        self.name.chars().filter(|c| c.is_ascii_alphanumeric() || "._".contains(*c)).take(100).collect()
    }
}
