//! Trains a tokenizer: byte pair encoding with LLaMA's settings, as a SentencePiece model.
//!
//! ```
//! use mobilevlm_train::recipe::TokenizerSizes;
//! use mobilevlm_train::tokenizer::{Corpus, train};
//!
//! let mut corpus = Corpus::new();
//! corpus.add("A red star is left of a red ring.");
//! let sizes = TokenizerSizes { vocabulary: 290, character_coverage: 1.0, longest_piece: 16 };
//! let trained = train(&corpus, &sizes)?;
//! let tokenizer = mobilevlm_processor::Tokenizer::from_sentencepiece(&trained.model_file())?;
//! assert_eq!(tokenizer.vocab_size(), 290);
//! assert_eq!(tokenizer.decode(&tokenizer.encode("東京 is red"), true), "東京 is red");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! LLaMA's settings: `<unk>` 0, `<s>` 1, `</s>` 2, no padding piece; the 256 bytes, for what has
//! no piece; digits alone; a space in front of every text; nothing is normalised. Pieces that are
//! made of others come in the order in which they are made, then single characters.

mod corpus;
mod merges;
mod model_file;
mod task;
#[cfg(test)]
mod tests;
mod valid;

use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{CheckpointError, replace_file};
use mobilevlm_processor::{Piece, PieceKind};

use crate::recipe::TokenizerSizes;

pub use corpus::Corpus;
pub use task::{Made, TokenizerTaskError, make};

/// What stands for a space in a piece.
const SPACE: char = '\u{2581}';

/// Pieces that every tokenizer has: `<unk>`, `<s>`, `</s>`, and the bytes.
const FIXED: usize = 3 + 256;

/// Why a tokenizer could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainTokenizerError {
    /// The size does not hold the characters.
    #[error(
        "tokenizer.vocab_size: {found} pieces do not hold 3 special ones, 256 bytes and the \
         {characters} characters that make up tokenizer.character_coverage of the texts; expected \
         at least {}, or less coverage",
        FIXED + characters
    )]
    Small {
        /// Pieces asked for.
        found: usize,
        /// Characters that get a piece.
        characters: usize,
    },
    /// The texts do not have so many pieces.
    #[error(
        "tokenizer.vocab_size: {found} pieces are more than the texts have; expected at most \
         {most}, or more texts ({words} different words are there)"
    )]
    Large {
        /// Pieces asked for.
        found: usize,
        /// Pieces that there are.
        most: usize,
        /// Different words.
        words: usize,
    },
    /// The folder could not be made.
    #[error("{}: the folder cannot be made: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] CheckpointError),
}

/// A tokenizer that was made of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedTokenizer {
    pieces: Vec<Piece>,
    sizes: TokenizerSizes,
}

/// Makes a tokenizer of exactly `sizes.vocabulary` pieces. The same corpus gives the same pieces.
///
/// # Errors
/// [`TrainTokenizerError`] if the size does not hold the characters, or is more than the texts
/// have.
pub fn train(
    corpus: &Corpus,
    sizes: &TokenizerSizes,
) -> Result<TrainedTokenizer, TrainTokenizerError> {
    let found = sizes.vocabulary;
    let alphabet = corpus.alphabet(sizes.character_coverage);
    let Some(room) = found.checked_sub(FIXED + alphabet.len()) else {
        return Err(TrainTokenizerError::Small {
            found,
            characters: alphabet.len(),
        });
    };
    let merged = merges::merges(corpus, &alphabet, sizes.longest_piece, room);
    if merged.len() < room {
        return Err(TrainTokenizerError::Large {
            found,
            most: FIXED + alphabet.len() + merged.len(),
            words: corpus.words(),
        });
    }
    let piece = |text: String, score: f32, kind| Piece { text, score, kind };
    let mut pieces = vec![
        piece("<unk>".to_owned(), 0.0, PieceKind::Unknown),
        piece("<s>".to_owned(), 0.0, PieceKind::Control),
        piece("</s>".to_owned(), 0.0, PieceKind::Control),
    ];
    pieces.extend((0..=255u8).map(|b| piece(format!("<0x{b:02X}>"), 0.0, PieceKind::Byte)));
    let single = alphabet.iter().map(char::to_string);
    for (rank, text) in merged.into_iter().chain(single).enumerate() {
        pieces.push(piece(text, -(rank as f32), PieceKind::Normal));
    }
    Ok(TrainedTokenizer {
        pieces,
        sizes: sizes.clone(),
    })
}

impl TrainedTokenizer {
    /// The pieces in the order of their ids.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The content of `tokenizer.model`.
    pub fn model_file(&self) -> Vec<u8> {
        let TokenizerSizes {
            character_coverage,
            longest_piece,
            ..
        } = self.sizes;
        model_file::model_file(&self.pieces, character_coverage, longest_piece)
    }

    /// Writes `tokenizer.model`, `tokenizer_config.json` and `special_tokens_map.json` as
    /// MobileLLaMA's folder has them; `folder` is made where it is absent.
    ///
    /// # Errors
    /// [`TrainTokenizerError`] with the folder or file and what the system says. What was there before is kept whole.
    pub fn write(&self, folder: &Path) -> Result<(), TrainTokenizerError> {
        std::fs::create_dir_all(folder).map_err(|source| TrainTokenizerError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        for (name, content) in [
            ("tokenizer.model", self.model_file()),
            ("tokenizer_config.json", CONFIG.into()),
            ("special_tokens_map.json", SPECIAL.into()),
        ] {
            replace_file(&folder.join(name), |out| out.write_all(&content))?;
        }
        Ok(())
    }
}

const CONFIG: &str = include_str!("tokenizer_config.json");
const SPECIAL: &str = include_str!("special_tokens_map.json");
