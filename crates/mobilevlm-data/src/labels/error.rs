//! Why a sample cannot be put into its template.

/// A conversation that the template cannot hold. Upstream ends the training with an exception
/// there; [`LabelError::upstream`] says with which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Template `plain` is a question and an answer.
    #[error(
        "template plain: expected 2 messages, found {found}; use template v1 for conversations"
    )]
    Messages {
        /// Messages of the sample.
        found: usize,
    },
    /// Template `plain` begins with a picture.
    #[error("template plain: the first message has no <image>; expected one for its picture")]
    NoMark,
    /// Somebody who is neither person nor model.
    #[error("message {message}: from {role:?}; expected \"human\" or \"gpt\"")]
    Role {
        /// The message, from 0.
        message: usize,
        /// Who speaks.
        role: String,
    },
    /// The same one speaks twice in a row.
    #[error("message {message} is from {role:?} too; expected human and gpt in turn, human first")]
    Turn {
        /// The message, from 0.
        message: usize,
        /// Who speaks.
        role: String,
    },
    /// A conversation without messages.
    #[error("the conversation is empty; expected a question and an answer")]
    Empty,
}

impl LabelError {
    /// The exception that upstream raises, as Python prints it.
    pub fn upstream(&self) -> String {
        match self {
            LabelError::Messages { .. } | LabelError::NoMark => "AssertionError".to_owned(),
            LabelError::Role { role, .. } => format!("KeyError: '{role}'"),
            // The number is that of the sample among those of one call, of which there is one.
            LabelError::Turn { .. } => "AssertionError: 0".to_owned(),
            LabelError::Empty => "IndexError: list index out of range".to_owned(),
        }
    }
}
