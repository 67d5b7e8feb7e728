//! The tokenizer against what upstream recorded (`golden/README.md` says how).

use std::fs;
use std::path::Path;

use mobilevlm_processor::{PromptItem, Tokenizer};
use mobilevlm_testing::{micro_golden, shared_golden};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Cases {
    vocab: usize,
    texts: Vec<TextCase>,
    prompts: Vec<PromptCase>,
    decodes: Vec<DecodeCase>,
}

#[derive(Deserialize)]
struct TextCase {
    text: String,
    ids: Vec<u32>,
    decoded: String,
    decoded_with_special: String,
    sentencepiece_ids: Vec<u32>,
}

/// A prompt of `tokenizer/cases.json` or of a model's `cases.json`.
#[derive(Deserialize)]
struct PromptCase {
    prompt: String,
    input_ids: Vec<i64>,
    #[serde(default)]
    output_ids: Vec<u32>,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct DecodeCase {
    ids: Vec<u32>,
    text: String,
    prefixes: Vec<String>,
}

fn read_json<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).expect("readable")).expect("as the README says")
}

fn open(path: &Path) -> Tokenizer {
    Tokenizer::from_sentencepiece(&fs::read(path).expect("readable")).expect("a vocabulary")
}

/// Upstream's spelling of a prompt: -200 for a picture.
fn upstream_ids(items: &[PromptItem]) -> Vec<i64> {
    let id = |item: &PromptItem| match *item {
        PromptItem::Token(id) => i64::from(id),
        PromptItem::Picture => -200,
    };
    items.iter().map(id).collect()
}

/// What a stream has shown after each id, and after the end.
fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> (Vec<String>, String) {
    let mut stream = tokenizer.decode_stream();
    let mut shown = String::new();
    let mut after_each = Vec::new();
    for &id in ids {
        shown.extend(stream.push(id));
        after_each.push(shown.clone());
    }
    shown.extend(stream.finish());
    (after_each, shown)
}

#[test]
fn texts_equal_upstreams() {
    let Some(folder) = shared_golden("tokenizer", "texts_equal_upstreams") else {
        return;
    };
    let cases: Cases = read_json(&folder.join("cases.json"));
    let tokenizer = open(&folder.join("tokenizer.model"));
    assert_eq!(tokenizer.vocab_size(), cases.vocab);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (1, 2));
    for case in &cases.texts {
        let text = &case.text;
        assert_eq!(tokenizer.encode(text), case.ids, "ids of {text:?}");
        assert_eq!(
            tokenizer.decode(&case.ids, true),
            case.decoded,
            "decoded {text:?}"
        );
        let with_special = tokenizer.decode(&case.ids, false);
        assert_eq!(
            with_special, case.decoded_with_special,
            "with special tokens: {text:?}"
        );
        assert_eq!(
            tokenizer.encode_pieces(text),
            case.sentencepiece_ids,
            "library: {text:?}"
        );
        let literal = tokenizer.encode_literal(text);
        assert_eq!(literal[1..], case.sentencepiece_ids, "literal: {text:?}");
    }
    assert!(!cases.texts.is_empty());
}

#[test]
fn prompts_equal_upstreams() {
    let Some(folder) = shared_golden("tokenizer", "prompts_equal_upstreams") else {
        return;
    };
    let cases: Cases = read_json(&folder.join("cases.json"));
    let tokenizer = open(&folder.join("tokenizer.model"));
    for case in &cases.prompts {
        let items = tokenizer.encode_prompt(&case.prompt);
        assert_eq!(
            upstream_ids(&items),
            case.input_ids,
            "ids of {:?}",
            case.prompt
        );
    }
    assert!(!cases.prompts.is_empty());
}

#[test]
fn decodes_equal_upstreams() {
    let Some(folder) = shared_golden("tokenizer", "decodes_equal_upstreams") else {
        return;
    };
    let cases: Cases = read_json(&folder.join("cases.json"));
    let tokenizer = open(&folder.join("tokenizer.model"));
    for DecodeCase {
        ids,
        text,
        prefixes,
    } in &cases.decodes
    {
        assert_eq!(&tokenizer.decode(ids, true), text, "text of {ids:?}");
        let (shown, all) = stream(&tokenizer, ids);
        assert_eq!(&all, text, "streamed text of {ids:?}");
        for (i, prefix) in prefixes.iter().enumerate() {
            assert_eq!(
                &tokenizer.decode(&ids[..=i], true),
                prefix,
                "first {i} of {ids:?}"
            );
            // A stream shows the same without the bytes that still wait for their character.
            let waiting = prefix
                .strip_prefix(&shown[i])
                .expect("no character is taken back");
            assert!(
                waiting.chars().all(|c| c == '\u{fffd}'),
                "{:?} of {prefix:?}",
                shown[i]
            );
            assert!(
                waiting.chars().count() < 4,
                "{waiting:?} waits for no character"
            );
        }
    }
    assert!(!cases.decodes.is_empty());
}

fn check_model(folder: &Path) {
    let cases: Vec<PromptCase> = read_json(&folder.join("cases.json"));
    let tokenizer = open(&folder.join("checkpoint/tokenizer.model"));
    for case in &cases {
        let items = tokenizer.encode_prompt(&case.prompt);
        assert_eq!(
            upstream_ids(&items),
            case.input_ids,
            "ids of {:?}",
            case.prompt
        );
        assert_eq!(tokenizer.decode(&case.output_ids, true), case.text);
        assert_eq!(stream(&tokenizer, &case.output_ids).1, case.text);
    }
    assert!(!cases.is_empty());
}

#[test]
fn prompts_and_answers_of_the_micro_set() {
    check_model(&micro_golden(""));
}

#[test]
fn prompts_and_answers_of_the_models() {
    let Some(folder) = shared_golden("model", "prompts_and_answers_of_the_models") else {
        return;
    };
    for name in [
        "v2-ldpv2",
        "v1-ldp",
        "llava-mlp2x",
        "v2-ldpv2-224",
        "gqa-linear",
    ] {
        check_model(&folder.join(name));
    }
}

/// Decoding by definition: characters and bytes in a row, spaces taken from the front, and each
/// byte outside of a whole character replaced.
fn decode_by_definition(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut bytes = Vec::new();
    let mut leading = 0;
    for &id in ids.iter().filter(|&&id| id > 2) {
        let piece = tokenizer.piece(id).expect("a piece");
        if (3..259).contains(&id) {
            bytes.push(u8::try_from(id - 3).expect("a byte piece"));
            continue;
        }
        let mut rest = piece;
        while bytes.is_empty() && leading < 2 && rest.starts_with('▁') {
            rest = &rest['▁'.len_utf8()..];
            leading += 1;
        }
        bytes.extend(rest.replace('▁', " ").bytes());
        if leading == 0 {
            leading = 2;
        }
    }
    let mut text = String::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let whole = (1..=4).find_map(|n| str::from_utf8(rest.get(..n)?).ok());
        text.push_str(whole.unwrap_or("\u{fffd}"));
        rest = &rest[whole.map_or(1, str::len)..];
    }
    text
}

proptest! {
    #[test]
    fn the_library_alone_gives_a_text_back(text in "\\PC{0,30}|[ab \n▁<s>/é😀]{0,30}") {
        let tokenizer = open(&micro_golden("checkpoint/tokenizer.model"));
        let shown = text.replace('▁', " ");
        prop_assert_eq!(tokenizer.decode_pieces(&tokenizer.encode_pieces(&text)), shown.clone());
        // Upstream's tokenizer takes one space more from the front.
        let expected = shown.strip_prefix(' ').unwrap_or(&shown);
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode_literal(&text), true), expected);
    }

    #[test]
    fn any_ids_decode_by_definition(ids in proptest::collection::vec(0_u32..384, 0..20)) {
        let tokenizer = open(&micro_golden("checkpoint/tokenizer.model"));
        let expected = decode_by_definition(&tokenizer, &ids);
        prop_assert_eq!(stream(&tokenizer, &ids).1, expected);
    }
}

#[test]
fn an_id_beyond_the_vocabulary_gives_nothing() {
    let tokenizer = open(&micro_golden("checkpoint/tokenizer.model"));
    let ids = tokenizer.encode("a picture");
    let with_more: Vec<u32> = ids.iter().flat_map(|&id| [u32::MAX, id, 384]).collect();
    assert_eq!(
        tokenizer.decode(&with_more, true),
        tokenizer.decode(&ids, true)
    );
    assert_eq!(tokenizer.piece(384), None);
}

/// Recorded with `LlamaTokenizer.from_pretrained(golden/checkpoint, legacy=False)`, transformers
/// 4.33.1: text, ids, decoded, and decoded with special tokens.
#[test]
fn without_the_legacy_rule_only_the_first_stretch_gets_a_space() {
    let tokenizer = open(&micro_golden("checkpoint/tokenizer.model")).with_legacy(false);
    let cases: [(&str, &[u32], &str, &str); 5] = [
        ("", &[1], "", "<s>"),
        ("a</s>b", &[1, 264, 2, 361], "ab", "<s> a</s>b"),
        ("</s> b", &[1, 2, 268], "b", "<s></s> b"),
        ("a </s>\n", &[1, 264, 346, 2, 13], "a \n", "<s> a </s>\n"),
        (" a", &[1, 346, 264], " a", "<s>  a"),
    ];
    for (text, ids, decoded, with_special) in cases {
        assert_eq!(tokenizer.encode(text), ids, "{text:?}");
        assert_eq!(tokenizer.decode(ids, true), decoded, "{text:?}");
        assert_eq!(tokenizer.decode(ids, false), with_special, "{text:?}");
    }
}
