use std::collections::{BTreeMap, HashMap};

use mobilevlm_data::world::{Split, World, WorldOptions};
use mobilevlm_processor::Tokenizer;

use super::valid::is_valid;
use super::*;

fn sizes(vocabulary: usize) -> TokenizerSizes {
    TokenizerSizes {
        vocabulary,
        character_coverage: 1.0,
        longest_piece: 16,
    }
}

fn world(samples: u64) -> Corpus {
    let world = World::new(WorldOptions::default()).unwrap();
    let mut corpus = Corpus::new();
    for index in 0..samples {
        for exchange in world.sample(Split::Train, index).exchanges {
            corpus.add(&exchange.question);
            corpus.add(&exchange.answer);
        }
    }
    corpus
}

fn corpus(texts: &[&str]) -> Corpus {
    let mut corpus = Corpus::new();
    for text in texts {
        corpus.add(text);
    }
    corpus
}

fn tokenizer(trained: &TrainedTokenizer) -> Tokenizer {
    Tokenizer::from_sentencepiece(&trained.model_file()).unwrap()
}

/// The definition: count every pair in every word, join the best everywhere, from the start.
fn merges_by_definition(texts: &[&str], most: usize) -> Vec<String> {
    let mut words: BTreeMap<String, u64> = BTreeMap::new();
    for line in texts
        .iter()
        .flat_map(|text| text.split('\n'))
        .filter(|line| !line.is_empty())
    {
        for word in split_words(&format!(" {line}").replace(' ', "▁")) {
            *words.entry(word).or_default() += 1;
        }
    }
    let mut words: Vec<(Vec<String>, u64)> = words
        .into_iter()
        .map(|(word, n)| (word.chars().map(String::from).collect(), n))
        .collect();
    let mut pieces: Vec<String> = Vec::new();
    let mut refused: Vec<(String, String)> = Vec::new();
    while pieces.len() < most {
        let mut counts: HashMap<(String, String), u64> = HashMap::new();
        for (symbols, n) in &words {
            let mut i = 0;
            while i + 1 < symbols.len() {
                let pair = (symbols[i].clone(), symbols[i + 1].clone());
                // Of overlapping pairs every second.
                let skip = pair.0 == pair.1 && symbols.get(i + 2) == Some(&pair.0);
                *counts.entry(pair).or_default() += n;
                i += if skip { 2 } else { 1 };
            }
        }
        let best = counts
            .into_iter()
            .filter(|(pair, _)| !refused.contains(pair))
            .map(|((a, b), n)| (n, format!("{a}{b}"), (a, b)))
            .filter(|(_, text, _)| is_valid(text, 16))
            .min_by_key(|(n, text, pair)| {
                (
                    std::cmp::Reverse(*n),
                    text.chars().count(),
                    text.clone(),
                    pair.clone(),
                )
            });
        let Some((_, text, pair)) = best else { break };
        if pieces.contains(&text) {
            refused.push(pair);
            continue;
        }
        for (symbols, _) in &mut words {
            let mut i = 0;
            while i + 1 < symbols.len() {
                if symbols[i] == pair.0 && symbols[i + 1] == pair.1 {
                    symbols[i] = text.clone();
                    symbols.remove(i + 1);
                }
                i += 1;
            }
        }
        pieces.push(text);
    }
    pieces
}

/// A word begins at a space that follows something else.
fn split_words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for c in line.chars() {
        if before.is_none() || (c == SPACE && before != Some(SPACE)) {
            words.push(String::new());
        }
        words.last_mut().unwrap().push(c);
        before = Some(c);
    }
    words
}

const TEXTS: [&str; 8] = [
    "the cat sat on the mat, the hat and the bat; aaaa aaa aa aaaaa",
    "banana bandana ananas  two  spaces   three    four",
    "Numbers 1234 and 12, 7 o'clock. Don't! ... ?! 日本の日本 ラーメン",
    "a red star is left of the red ring\nand a second line",
    "ababab bababa abab baba abba",
    "mississippi misses missing kisses, hissing",
    "lower lowest newer newest wider widest low new wide",
    "the the the the theatre then there these other bathe",
];

#[test]
fn pieces_are_those_of_the_definition() {
    let expected = merges_by_definition(&TEXTS, usize::MAX);
    let corpus = corpus(&TEXTS);
    let alphabet = corpus.alphabet(1.0);
    let all = merges::merges(&corpus, &alphabet, 16, usize::MAX);
    assert!(expected.len() > 140, "{}", expected.len());
    assert_eq!(all, expected);
}

#[test]
fn the_file_has_exactly_the_size() {
    let corpus = world(200);
    for size in [330, 400, 512, 700] {
        let tokenizer = tokenizer(&train(&corpus, &sizes(size)).unwrap());
        assert_eq!(tokenizer.vocab_size(), size);
        assert_eq!(
            (tokenizer.unk(), tokenizer.bos(), tokenizer.eos()),
            (0, 1, 2)
        );
        assert_eq!(tokenizer.piece(3), Some("<0x00>"));
        assert_eq!(tokenizer.piece(258), Some("<0xFF>"));
    }
}

#[test]
fn the_file_says_what_was_made() {
    let trained = train(&world(200), &sizes(500)).unwrap();
    let read: Vec<Piece> = tokenizer(&trained).pieces().collect();
    assert_eq!(read, trained.pieces());
}

#[test]
fn any_text_comes_back() {
    let trained = train(&world(200), &sizes(500)).unwrap();
    let tokenizer = tokenizer(&trained);
    for text in [
        "Is the red star left of the green ring?",
        "never  seen:   東京 🦀 zz\u{301} \t tab\nline",
        "in front, behind ",
        "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10ffff}",
        "",
    ] {
        let ids = tokenizer.encode(text);
        let back = tokenizer.decode(&ids, true);
        assert_eq!(
            back,
            text,
            "{} {}",
            back.escape_unicode(),
            text.escape_unicode()
        );
        assert!(!ids.contains(&tokenizer.unk()), "{text:?}: {ids:?}");
    }
}

/// What is frequent is one piece: that is what the training is for.
#[test]
fn frequent_words_are_pieces() {
    let trained = train(&world(300), &sizes(800)).unwrap();
    let tokenizer = tokenizer(&trained);
    for word in ["star", "circle", "left", "picture"] {
        assert_eq!(tokenizer.encode_pieces(word).len(), 1, "{word}");
    }
    let digits = tokenizer.encode_pieces("47");
    assert_eq!(digits.len(), 3, "a space and two digits");
}

/// The reference model of the training references has LLaMA's settings: what ours says about
/// itself is the same, field by field.
#[test]
fn settings_are_those_of_the_reference() {
    let Some(file) = mobilevlm_testing::shared_golden(
        "train/tokenizer.model",
        "settings_are_those_of_the_reference",
    ) else {
        return;
    };
    let reference = Tokenizer::from_sentencepiece(&std::fs::read(file).unwrap()).unwrap();
    let ours = tokenizer(&train(&world(200), &sizes(512)).unwrap());
    assert_eq!(ours.settings(), reference.settings());
    let special = |tokenizer: &Tokenizer| tokenizer.pieces().take(FIXED).collect::<Vec<_>>();
    assert_eq!(special(&ours), special(&reference));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let corpus = corpus(&["ab ab"]);
    let message = train(&corpus, &sizes(261)).unwrap_err().to_string();
    assert!(message.contains("expected at least 262"), "{message}");
    // Characters ▁, a, b; merges ab, ▁ab.
    assert!(train(&corpus, &sizes(264)).is_ok());
    let message = train(&corpus, &sizes(265)).unwrap_err().to_string();
    assert!(message.contains("expected at most 264"), "{message}");
}

#[test]
fn rare_characters_are_spelled_in_bytes() {
    let corpus = corpus(&["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ab"]);
    let wide = TokenizerSizes {
        character_coverage: 0.9,
        ..sizes(269)
    };
    let message = train(&corpus, &wide).unwrap_err();
    assert!(
        matches!(message, TrainTokenizerError::Large { .. }),
        "{message}"
    );
    let trained = train(
        &corpus,
        &TokenizerSizes {
            vocabulary: 263,
            ..wide
        },
    )
    .unwrap();
    let tokenizer = tokenizer(&trained);
    assert!(trained.pieces().iter().all(|piece| piece.text != "b"));
    assert_eq!(tokenizer.decode(&tokenizer.encode("ab"), true), "ab");
}

#[test]
fn long_words_are_cut_and_end() {
    let mut corpus = Corpus::new();
    corpus.add(&"ab".repeat(200_000));
    let trained = train(&corpus, &sizes(269)).unwrap();
    assert!(
        trained
            .pieces()
            .iter()
            .any(|piece| piece.text == "ba".repeat(4))
    );
}

#[test]
fn a_folder_has_what_llama_has() {
    let folder = tempfile::tempdir().unwrap();
    let trained = train(&world(100), &sizes(400)).unwrap();
    let target = folder.path().join("new/tokenizer");
    trained.write(&target).unwrap();
    trained.write(&target).unwrap();
    assert_eq!(
        std::fs::read(target.join("tokenizer.model")).unwrap(),
        trained.model_file()
    );
    for (name, key) in [
        ("tokenizer_config.json", "legacy"),
        ("special_tokens_map.json", "eos_token"),
    ] {
        let text = std::fs::read_to_string(target.join(name)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json.get(key).is_some(), "{name}");
    }
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 3);
}

/// The whole task, from the toy chain's recipe to a folder that the reader reads.
#[test]
fn the_toy_recipe_makes_a_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let file = mobilevlm_testing::workspace().join("recipes/train/toy-1-tokenizer.toml");
    let output = format!("output_dir={}", folder.path().display());
    let set = [output, "world.count=300".to_owned()];
    let recipe = crate::recipe::Recipe::read(&file, &set).unwrap();
    let made = make(&recipe, &|| false).unwrap();
    assert_eq!((made.read.texts, made.read.left_out), (300, 0));
    let bytes = std::fs::read(made.folder.join("tokenizer.model")).unwrap();
    let tokenizer = Tokenizer::from_sentencepiece(&bytes).unwrap();
    assert_eq!(tokenizer.vocab_size(), 704);
    // The world says nothing of it; the template does.
    let piece = |id| tokenizer.piece(id);
    let pieces: Vec<_> = (0..704).filter_map(piece).collect();
    assert!(pieces.contains(&"\u{2581}assistant"), "{pieces:?}");
    assert!(make(&recipe, &|| true).is_err());
}
