//! Answers, computed again from the questions' words and the scenes.

use std::collections::BTreeSet;

use mobilevlm_data::world::{
    Exchange, Kind, LEAST_VISIBLE, Layout, Noun, Object, Pattern, Relation, Scene, Sign, Split,
    Statement, Thing, WORDS, World, WorldOptions,
};

use crate::{asking, reader, samples, world};

/// Whether a statement holds in a scene.
fn is_true(scene: &Scene, statement: &Statement) -> bool {
    let place = |(noun, colour): Thing| match noun {
        Noun::Object(shape) => {
            let mut objects = scene.objects.iter();
            objects.position(|object| (object.shape, object.colour) == (shape, colour))
        }
        Noun::Bar => scene.bars.iter().position(|bar| bar.colour == colour),
    };
    let (Some(a), Some(b)) = (place(statement.first), place(statement.second)) else {
        return false;
    };
    let x = |place: usize| scene.objects[place].x;
    let y = |place: usize| scene.objects[place].y;
    let size = |place: usize| scene.objects[place].radius;
    let value = |place: usize| scene.bars[place].value;
    match statement.relation {
        Relation::LeftOf => x(a) < x(b),
        Relation::RightOf => x(a) > x(b),
        Relation::Above => y(a) < y(b),
        Relation::Below => y(a) > y(b),
        Relation::InFrontOf => a > b,
        Relation::Behind => a < b,
        Relation::LargerThan => size(a) > size(b),
        Relation::SmallerThan => size(a) < size(b),
        Relation::TallerThan => value(a) > value(b),
        Relation::ShorterThan => value(a) < value(b),
    }
}

#[test]
fn conversations_have_as_many_questions_as_asked_for_and_none_twice() {
    for most_turns in [2, 5, 12] {
        let world = World::new(WorldOptions {
            most_turns,
            ..WorldOptions::default()
        });
        let mut longest = 0;
        for (_, sample) in samples(world.unwrap(), &[Kind::Conversation], 200) {
            let turns = sample.exchanges.len();
            let questions = sample.exchanges.iter().map(|one| &one.question);
            assert_eq!(questions.collect::<BTreeSet<_>>().len(), turns);
            assert!((2..=most_turns).contains(&turns), "{turns} of {most_turns}");
            longest = longest.max(turns);
        }
        assert_eq!(longest, most_turns);
    }
}

#[test]
fn several_questions_of_a_kind_begin_with_the_one_and_differ() {
    let mut longest = BTreeSet::new();
    for (split, sample) in samples(asking(6), &Kind::EXAMINED, 100) {
        let number = sample.exchanges.len();
        let index = sample.id.rsplit('-').next().unwrap().parse().unwrap();
        let alone = asking(1).sample_of(sample.kind, split, index);
        assert_eq!(alone.exchanges, sample.exchanges[..1], "{}", sample.id);
        assert_eq!(alone.scene, sample.scene);
        let is_of_the_kind = |one: &Exchange| one.kind == sample.kind;
        assert!(sample.exchanges.iter().all(is_of_the_kind));
        let questions = sample.exchanges.iter().map(|one| &one.question);
        assert_eq!(questions.collect::<BTreeSet<_>>().len(), number);
        assert!((1..=6).contains(&number));
        if number == 6 {
            longest.insert(sample.kind);
        }
    }
    // A sign or a chart is not worth six questions about what is written.
    assert_eq!(longest.len(), Kind::EXAMINED.len() - 1, "{longest:?}");
}

#[test]
fn a_page_says_what_its_signs_say_in_reading_order() {
    let mut most = 0;
    for (_, sample) in samples(world(9, 112), &[Kind::Page], 200) {
        let scene = sample.scene.unwrap();
        let names = [
            ["top left", "top", "top right"],
            ["left", "middle", "right"],
            ["bottom left", "bottom", "bottom right"],
        ];
        let mut said = Vec::new();
        for (row, names) in names.iter().enumerate() {
            for (column, name) in names.iter().enumerate() {
                let third = |at: f32| (at * 3.0) as usize;
                let is_here = |sign: &&Sign| (third(sign.x), third(sign.y)) == (column, row);
                let here = scene.signs.iter().filter(is_here);
                said.extend(here.map(|sign| format!("{name}: {}", sign.text)));
            }
        }
        assert_eq!(sample.exchanges[0].answer, said.join("; "));
        assert!((3..=6).contains(&said.len()), "{said:?}");
        most = most.max(said.len());
    }
    assert_eq!(most, 6);
}

#[test]
fn a_chart_is_read_from_left_to_right() {
    for (_, sample) in samples(world(9, 112), &[Kind::Chart], 200) {
        let mut bars = sample.scene.unwrap().bars;
        assert!((2..=5).contains(&bars.len()) && bars.iter().all(|bar| bar.is_labelled));
        bars.sort_by(|a, b| a.x.total_cmp(&b.x));
        let said = bars
            .iter()
            .map(|bar| format!("{}: {}", bar.colour.name(), bar.value));
        let said: Vec<String> = said.collect();
        assert_eq!(sample.exchanges[0].answer, said.join("; "));
    }
}

#[test]
fn in_a_crowd_large_numbers_are_not_rare() {
    let mut counts = [0; 7];
    for (_, sample) in samples(asking(6), &[Kind::Crowd], 200) {
        for exchange in &sample.exchanges {
            assert_eq!(exchange.kind, Kind::Counting);
            counts[exchange.answer.parse::<usize>().unwrap()] += 1;
        }
    }
    let asked: usize = counts.iter().sum();
    let many: usize = counts[3..].iter().sum();
    assert!(asked > 1600 && 2 * many > asked, "{counts:?}");
    assert!(counts.iter().all(|count| 20 * count > asked), "{counts:?}");
}

#[test]
fn where_shapes_overlap_they_are_counted_and_told_front_from_back() {
    let (mut counted, mut deep, mut hidden, mut pictures) = (0, 0, 0, 0);
    for (_, sample) in samples(asking(6), &[Kind::Overlap], 200) {
        let scene = sample.scene.as_ref().unwrap();
        let is_partly_hidden = |object: &&Object| object.visible < 1.0;
        hidden += scene.objects.iter().filter(is_partly_hidden).count();
        pictures += 1;
        for exchange in &sample.exchanges {
            match exchange.kind {
                Kind::Counting => counted += 1,
                Kind::Relation => {
                    let [statement] = &exchange.statements[..] else {
                        panic!("{exchange:?}");
                    };
                    let depths = [Relation::InFrontOf, Relation::Behind];
                    assert!(depths.contains(&statement.relation), "{exchange:?}");
                    deep += 1;
                }
                other => panic!("{other}: {exchange:?}"),
            }
        }
    }
    assert!(counted > pictures && deep > pictures, "{counted}, {deep}");
    assert!(2 * hidden > 3 * pictures, "{hidden} of {pictures}");
}

#[test]
fn no_answer_of_a_sign_choice_stands_out() {
    let is_word = |text: &str| WORDS.contains(&text);
    let is_number = |text: &str| text.parse::<u8>().is_ok();
    let (mut words, mut numbers, mut codes) = (0, 0, 0);
    for (split, sample) in samples(asking(6), &[Kind::SignChoice], 200) {
        for exchange in &sample.exchanges {
            assert_eq!(exchange.kind, Kind::Choice);
            let lines: Vec<&str> = exchange.question.lines().collect();
            let options: Vec<&str> = lines[1..lines.len() - 1].iter().map(|l| &l[3..]).collect();
            assert!((3..=4).contains(&options.len()), "{}", exchange.question);
            if options.iter().all(|option| is_word(option)) {
                words += 1;
            } else if options.iter().all(|option| is_number(option)) {
                numbers += 1;
            } else {
                // Of random letters some can be a word.
                assert!(!options.iter().any(|option| is_number(option)));
                assert_eq!(split, Split::Train, "{}", exchange.question);
                codes += 1;
            }
        }
    }
    assert!(
        words.min(numbers).min(codes) > 200,
        "{words} words, {numbers} numbers, {codes} codes"
    );
}

#[test]
fn every_short_answer_follows_from_the_scene() {
    let mut kinds = Kind::EXAMINED.to_vec();
    kinds.extend([Kind::Clock, Kind::Place, Kind::Conversation]);
    kinds.extend([Kind::Crowd, Kind::Overlap, Kind::Shape, Kind::SignChoice]);
    let mut checked = 0;
    let talkative = World::new(WorldOptions {
        seed: 2,
        most_turns: 12,
        ..WorldOptions::default()
    });
    let long = samples(talkative.unwrap(), &[Kind::Conversation], 200);
    let several = samples(asking(6), &kinds, 50);
    for (_, sample) in samples(world(1, 112), &kinds, 400)
        .chain(long)
        .chain(several)
    {
        let scene = sample.scene.as_ref().unwrap();
        for exchange in &sample.exchanges {
            let line = exchange.question.lines().next().unwrap();
            let is_sentence = exchange.question.contains("in a sentence.");
            if exchange.kind == Kind::Caption || is_sentence {
                continue;
            }
            let mut expected = reader::answer(scene, line);
            if exchange.kind == Kind::Choice {
                let options = exchange.question.lines().skip(1);
                let mut fitting = options.filter(|option| option[3..] == expected);
                let letter = fitting.next().unwrap()[..1].to_owned();
                assert_eq!(fitting.next(), None, "{}", exchange.question);
                expected = letter;
            }
            assert_eq!(
                exchange.answer, expected,
                "{}: {}\n{scene:?}",
                sample.id, exchange.question
            );
            checked += 1;
        }
    }
    assert!(checked > 6000, "{checked}");
}

#[test]
fn sentences_say_what_the_short_answer_says() {
    const NUMBERS: [&str; 7] = ["no", "one", "two", "three", "four", "five", "six"];
    let mut checked = 0;
    for (_, sample) in samples(world(2, 112), &[Kind::Conversation], 1500) {
        let scene = sample.scene.as_ref().unwrap();
        for exchange in &sample.exchanges {
            let question = &exchange.question;
            if exchange.kind == Kind::Caption || !question.contains("Answer in a sentence.") {
                continue;
            }
            let short = reader::answer(scene, question.lines().next().unwrap());
            let number = short.parse::<usize>().ok().and_then(|n| NUMBERS.get(n));
            let told = exchange.answer.to_lowercase();
            let is_said = told.contains(&short.to_lowercase())
                || number.is_some_and(|number| told.contains(number))
                || (exchange.kind == Kind::Relation && short == "In front");
            // "No, the circle is right of it": what is denied is told as it is.
            assert!(is_said, "{question} {short} {}", exchange.answer);
            assert!(exchange.answer.ends_with('.'));
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn captions_state_what_is_so() {
    let kinds = [Kind::Caption, Kind::LongCaption];
    let mut statements = 0;
    for (_, sample) in samples(world(3, 112), &kinds, 500) {
        let scene = sample.scene.as_ref().unwrap();
        let exchange = &sample.exchanges[0];
        for statement in &exchange.statements {
            assert!(is_true(scene, statement), "{exchange:?}\n{scene:?}");
            statements += 1;
        }
        // All that is printed is read, and everything that is there is named.
        let labels = scene.bars.iter().filter(|bar| bar.is_labelled);
        let printed = labels.map(|bar| bar.value.to_string());
        for text in printed.chain(scene.signs.iter().map(|sign| sign.text.clone())) {
            assert!(exchange.answer.contains(&text), "{text}: {exchange:?}");
        }
        let mentions = reader::mentions(&exchange.answer);
        for object in &scene.objects {
            let is_named = |mention: &reader::Mention| {
                mention.fits(object) && mention.colour.is_some() && mention.shape.is_some()
            };
            assert!(mentions.iter().any(is_named), "{object:?}: {exchange:?}");
        }
    }
    assert!(statements > 200, "{statements}");
}

#[test]
fn long_captions_name_objects_in_reading_order() {
    for (_, sample) in samples(world(5, 112), &[Kind::LongCaption], 300) {
        let scene = sample.scene.as_ref().unwrap();
        let told = &sample.exchanges[0].answer;
        let mut at = 0;
        // The first sentence of an object names where it is; each begins behind the one before.
        let mut named = Vec::new();
        while let Some(next) = told[at..].find(" is a") {
            let start = told[..at + next].rfind(". ").map_or(0, |dot| dot + 2);
            named.push(told[start..at + next].to_owned());
            at += next + 5;
        }
        let mut expected: Vec<String> = Vec::new();
        for object in &scene.objects {
            expected.push(reader::capital(reader::ninth(object, 0.0)));
        }
        let order = |phrase: &String| {
            let mut rows = reader::NINTHS.iter();
            rows.position(|ninth| reader::capital(ninth) == *phrase)
        };
        named.retain(|phrase| order(phrase).is_some());
        assert!(named.iter().map(order).is_sorted(), "{told}");
        for phrase in expected {
            assert!(named.contains(&phrase), "{phrase}: {told}");
        }
    }
}

#[test]
fn lists_have_a_line_for_everything_and_nothing_else() {
    for (_, sample) in samples(world(6, 112), &[Kind::List], 300) {
        let scene = sample.scene.as_ref().unwrap();
        let answer = &sample.exchanges[0].answer;
        let is_arranged = matches!(scene.layout, Layout::Grid { .. } | Layout::Chart);
        let lines: Vec<&str> = answer.lines().skip(usize::from(is_arranged)).collect();
        let others = scene.signs.len() + usize::from(scene.clock.is_some());
        assert_eq!(lines.len(), scene.objects.len() + others, "{answer}");
        for object in &scene.objects {
            // A line names it as it is, where it is.
            let place = reader::ninth(object, 0.0).rsplit_once("the ").unwrap().1;
            let is_told = |line: &&str| {
                let Some((at, name)) = line.split_once(": ") else {
                    return false;
                };
                at == place
                    && reader::mentions(name).iter().any(|mention| {
                        mention.fits(object)
                            && mention.shape.is_some()
                            && mention.colour.is_some()
                            && mention.size.is_some()
                    })
            };
            assert!(lines.iter().any(is_told), "{object:?}: {answer}");
        }
        for text in scene.signs.iter().map(|sign| &sign.text) {
            assert!(answer.contains(text), "{text}: {answer}");
        }
    }
}

/// What a lookup says of `name`, from the name's words and the scene.
fn looked_up(scene: &Scene, name: &str) -> String {
    let mentioned = reader::mentions(name);
    if name.ends_with("sign") {
        let signs = scene.signs.iter();
        let sign = match name.split(' ').next().unwrap() {
            "lower" => signs.max_by(|a, b| a.y.total_cmp(&b.y)),
            _ => signs.min_by(|a, b| a.y.total_cmp(&b.y)),
        };
        let sign = sign.unwrap();
        let board = sign.board.map(|board| format!("{}, ", board.name()));
        return board.unwrap_or_default() + &sign.text;
    }
    if mentioned[0].is_bar {
        let value = |n: usize| {
            let mut bars = scene.bars.iter();
            let bar = bars.find(|bar| Some(bar.colour) == mentioned[n].colour);
            bar.unwrap().value
        };
        return match mentioned.len() {
            1 => value(0).to_string(),
            _ if value(0) > value(1) => "taller".to_owned(),
            _ => "shorter".to_owned(),
        };
    }
    let fitting = scene
        .objects
        .iter()
        .filter(|object| mentioned[0].fits(object));
    match fitting.collect::<Vec<_>>()[..] {
        [object] => {
            let pattern = object.pattern;
            let words = [
                object.size.name(),
                if pattern == Pattern::Plain {
                    ""
                } else {
                    pattern.name()
                },
                object.colour.name(),
                object.shape.name(),
            ];
            let open = words
                .into_iter()
                .filter(|word| !word.is_empty() && !name.contains(word));
            let open = open.collect::<Vec<_>>().join(" ");
            let place = reader::ninth(object, 0.0).rsplit_once("the ").unwrap().1;
            match open.is_empty() {
                true => format!("1 {place}"),
                false => format!("1 {open}, {place}"),
            }
        }
        ref several => several.len().to_string(),
    }
}

const RELATIONS: [(&str, Relation); 6] = [
    ("left", Relation::LeftOf),
    ("right", Relation::RightOf),
    ("above", Relation::Above),
    ("below", Relation::Below),
    ("in front", Relation::InFrontOf),
    ("behind", Relation::Behind),
];

#[test]
fn what_is_looked_up_is_there_as_often_and_as_told() {
    let (mut lines, mut pairs, mut absent) = (0, 0, 0);
    for (_, sample) in samples(world(8, 112), &[Kind::Lookup, Kind::ColourLookup], 400) {
        let scene = sample.scene.as_ref().unwrap();
        let exchange = &sample.exchanges[0];
        let (_, names) = exchange.question.split_once(": ").unwrap();
        let names: Vec<&str> = names.trim_end_matches('.').split(", ").collect();
        let told: Vec<(&str, &str)> = exchange
            .answer
            .split("; ")
            .map(|told| told.split_once(": ").unwrap())
            .collect();
        assert_eq!(told.iter().map(|one| one.0).collect::<Vec<_>>(), names);
        assert!((1..=6).contains(&names.len()));
        for (name, found) in told {
            lines += 1;
            absent += usize::from(found == "0");
            if name.contains(" to ") && !name.contains("bar") {
                let [first, second] = reader::mentions(name)[..] else {
                    panic!("{exchange:?}")
                };
                let thing =
                    |one: reader::Mention| (Noun::Object(one.shape.unwrap()), one.colour.unwrap());
                for word in found.split(", ") {
                    let mut words = RELATIONS.into_iter();
                    let (_, relation) = words.find(|(other, _)| *other == word).unwrap();
                    let statement = Statement {
                        first: thing(first),
                        relation,
                        second: thing(second),
                    };
                    assert!(is_true(scene, &statement), "{name}: {exchange:?}");
                    assert!(exchange.statements.contains(&statement), "{exchange:?}");
                }
                pairs += 1;
                continue;
            }
            assert_eq!(found, looked_up(scene, name), "{name}: {exchange:?}");
            if sample.kind == Kind::ColourLookup {
                assert!(found.starts_with("1 "), "{exchange:?}");
            }
        }
    }
    assert!(
        lines > 2000 && pairs > 200 && absent > 200,
        "{lines} {pairs} {absent}"
    );
}

#[test]
fn simple_scenes_are_simple() {
    for most in [1, 3] {
        let simple = World::new(WorldOptions {
            most_objects: Some(most),
            ..WorldOptions::default()
        });
        for (_, sample) in samples(
            simple.unwrap(),
            &[
                Kind::LongCaption,
                Kind::List,
                Kind::Place,
                Kind::Lookup,
                Kind::ColourLookup,
            ],
            100,
        ) {
            let scene = sample.scene.unwrap();
            assert_eq!(scene.layout, Layout::Free);
            assert!((1..=most).contains(&scene.objects.len()), "{}", sample.id);
        }
    }
}

#[test]
fn scenes_keep_their_rules() {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Text);
    let mut overlaps = 0;
    for (_, sample) in samples(world(4, 112), &kinds.collect::<Vec<_>>(), 150) {
        let scene = sample.scene.as_ref().unwrap();
        for object in &scene.objects {
            assert!(object.visible >= LEAST_VISIBLE, "{object:?}");
            overlaps += usize::from(object.visible < 1.0);
            let (low, high) = (object.radius, 1.0 - object.radius);
            assert!((low..high).contains(&object.x) && (low..high).contains(&object.y));
        }
        let texts = scene.signs.iter().map(|sign| sign.text.as_str());
        for text in texts {
            let is_number = text.bytes().all(|c| c.is_ascii_digit());
            let most = if is_number { 2 } else { 5 };
            assert!((1..=most).contains(&text.len()), "{text}");
        }
        assert_eq!(scene.layout == Layout::Chart, !scene.bars.is_empty());
        assert_eq!(scene.layout == Layout::Clock, scene.clock.is_some());
    }
    assert!(overlaps > 20, "{overlaps}");
}
