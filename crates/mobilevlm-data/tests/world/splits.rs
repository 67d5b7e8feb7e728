//! What training and held-out part do not share.

use std::collections::BTreeSet;

use mobilevlm_data::world::{
    Kind, Noun, Scene, Split, Thing, WORDS, pair_split, text_split, word_split,
};

use crate::{asking, reader, samples, world};

/// Printed texts of a scene.
fn printed(scene: &Scene) -> Vec<String> {
    let labels = scene.bars.iter().filter(|bar| bar.is_labelled);
    let labels = labels.map(|bar| bar.value.to_string());
    let signs = scene.signs.iter().map(|sign| sign.text.clone());
    signs.chain(labels).collect()
}

#[test]
fn no_statement_and_no_printed_text_is_shared() {
    // By part: (shape and colour, relation, shape and colour) in both directions; pairs that are
    // read from the words of questions; printed texts.
    let mut statements = [BTreeSet::new(), BTreeSet::new()];
    let mut pairs = [BTreeSet::new(), BTreeSet::new()];
    let mut texts = [BTreeSet::new(), BTreeSet::new()];
    let worlds = [(world(0, 112), 500), (world(1, 112), 500), (asking(6), 150)];
    for (world, count) in worlds {
        for (split, sample) in samples(world, &Kind::ALL, count) {
            let part = split as usize;
            for exchange in &sample.exchanges {
                for statement in &exchange.statements {
                    let mut turned = *statement;
                    (turned.first, turned.second) = (statement.second, statement.first);
                    turned.relation = statement.relation.opposite();
                    statements[part].extend([*statement, turned]);
                }
                let is_related = matches!(exchange.kind, Kind::Relation | Kind::Comparison);
                let mentions = reader::mentions(exchange.question.lines().next().unwrap());
                let full =
                    |m: &reader::Mention| m.colour.is_some() && (m.is_bar || m.shape.is_some());
                let mentions: Vec<_> = mentions.into_iter().filter(full).collect();
                if let ([a, b], true) = (&mentions[..], is_related) {
                    assert!(!exchange.statements.is_empty(), "{exchange:?}");
                    pairs[part].extend([(*a, *b), (*b, *a)]);
                }
            }
            texts[part].extend(sample.scene.iter().flat_map(printed));
        }
    }
    for part in 0..2 {
        assert!(statements[part].len() > 400, "{}", statements[part].len());
        assert!(pairs[part].len() > 200, "{}", pairs[part].len());
        assert!(texts[part].len() > 50, "{}", texts[part].len());
    }
    assert_eq!(statements[0].intersection(&statements[1]).count(), 0);
    assert_eq!(pairs[0].intersection(&pairs[1]).count(), 0);
    let shared: Vec<_> = texts[0].intersection(&texts[1]).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn training_never_shows_a_pair_or_a_word_that_is_held_out() {
    let held_out: Vec<&str> = WORDS
        .into_iter()
        .filter(|word| word_split(word) == Split::HeldOut)
        .collect();
    let mut random = 0;
    for (split, sample) in samples(world(5, 112), &Kind::ALL, 400) {
        for exchange in &sample.exchanges {
            let text = format!("{} {}", exchange.question, exchange.answer);
            let words = text.split(|c: char| !c.is_ascii_alphabetic());
            for word in words.filter(|word| word.len() > 1 && WORDS.contains(word)) {
                assert_eq!(word_split(word), split, "{word}: {text}");
            }
        }
        let Some(scene) = &sample.scene else { continue };
        for text in printed(scene) {
            assert_eq!(text_split(&text), split, "{text}");
            let is_random = text.parse::<u8>().is_err() && !WORDS.contains(&&*text);
            assert!(split == Split::Train || !is_random, "{text}");
            // No number, held out or not, is a part of what is neither word nor number, nor looks as
            // if it were: O is drawn as zero is.
            let looks_like_number = |two: &[u8]| {
                let is_drawn_as_digit = |c: &u8| c.is_ascii_digit() || *c == b'O';
                two.iter().all(is_drawn_as_digit) && two.iter().any(u8::is_ascii_digit)
            };
            let has_number = text.as_bytes().windows(2).any(looks_like_number);
            assert!(!is_random || !has_number, "{text}");
            assert!(split == Split::HeldOut || !held_out.contains(&&*text));
            random += usize::from(is_random);
        }
        if split == Split::Train {
            let objects = scene.objects.iter();
            let objects = objects.map(|o| (Noun::Object(o.shape), o.colour));
            let bars = scene.bars.iter().map(|bar| (Noun::Bar, bar.colour));
            let things: Vec<Thing> = objects.chain(bars).collect();
            for &a in &things {
                for &b in &things {
                    assert_eq!(pair_split(a, b), Split::Train, "{}", sample.id);
                }
            }
        }
    }
    assert!(random > 20, "{random}");
}
