//! Data sets on disk: rows that are read one by one, and the pictures that they name.
//!
//! - `scan`: finds the rows of a JSON array or of JSON lines
//! - `index`: where they are, written to a file once
//! - `rows`: reads them
//! - `pictures`, `tar`: finds pictures in folders and in tar shards
//! - `replace`: writes a file whole or not at all

mod error;
mod index;
mod pictures;
mod replace;
mod rows;
mod scan;
mod tar;

pub use error::{DataError, PictureError, RowError};
pub use index::IndexPlace;
pub use pictures::Pictures;
pub use replace::replace_file;
pub use rows::{OnProgress, Rows};
