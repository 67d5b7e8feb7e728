//! What could be guessed without looking.

use mobilevlm_data::world::{Balance, Kind, Split};

use crate::world;

#[test]
fn no_answer_is_much_more_frequent_than_the_others() {
    let bounds = [
        (Kind::Existence, 0.55),
        (Kind::Colour, 0.16),
        (Kind::Counting, 0.20),
        (Kind::Relation, 0.28),
        (Kind::Comparison, 0.28),
        (Kind::Reading, 0.10),
        (Kind::Choice, 0.33),
        (Kind::Clock, 0.08),
    ];
    let world = world(6, 112);
    for (kind, most) in bounds {
        for split in Split::ALL {
            let samples = (0..1500).map(|index| world.sample_of(kind, split, index));
            let exchanges: Vec<_> = samples.flat_map(|sample| sample.exchanges).collect();
            let balance = Balance::of(&exchanges);
            println!("{kind}, {}: {balance}", split.name());
            assert!(balance.share <= most, "{kind}, {}: {balance}", split.name());
        }
    }
}

#[test]
fn every_answer_of_a_kind_occurs() {
    let world = world(7, 112);
    for split in Split::ALL {
        for (kind, answers) in [
            (Kind::Existence, "Yes No"),
            (
                Kind::Colour,
                "Red Orange Yellow Green Blue Purple Pink Brown Black White",
            ),
            (Kind::Counting, "0 1 2 3 4 5 6"),
            (Kind::Relation, "Yes No Left Right Above Below Behind"),
            (Kind::Choice, "A B C D"),
        ] {
            let samples = (0..1200).map(|index| world.sample_of(kind, split, index));
            let found: Vec<_> = samples.flat_map(|sample| sample.exchanges).collect();
            for answer in answers.split(' ') {
                let is_there = found.iter().any(|exchange| exchange.answer == answer);
                assert!(is_there, "{kind} {answer}");
            }
        }
    }
}

#[test]
fn the_majority_is_counted() {
    let mut exchanges = world(8, 112)
        .sample_of(Kind::Existence, Split::Train, 0)
        .exchanges;
    exchanges.extend(vec![exchanges[0].clone(); 3]);
    exchanges[0].answer = "Maybe".to_owned();
    let balance = Balance::of(&exchanges);
    assert_eq!((balance.exchanges, balance.share), (4, 0.75));
    assert_eq!(balance.answer, exchanges[1].answer);
    assert_eq!(Balance::of(&[]).share, 0.0);
}
