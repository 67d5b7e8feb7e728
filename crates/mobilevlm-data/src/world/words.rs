//! What signs say.

/// The words that are printed, each of three to five letters, in alphabetical order.
///
/// Which of them the held-out part prints is said by [`word_split`](super::word_split).
#[rustfmt::skip] // A table.
pub const WORDS: [&str; 360] = [
    "ACID", "ACORN", "AGENT", "ALARM", "ALBUM", "ALLEY", "AMBER", "ANGEL", "ANKLE", "ANT", "APPLE", "APRIL",
    "APRON", "ARCH", "ARROW", "ATLAS", "AUNT", "AXE", "BABY", "BACON", "BADGE", "BAG", "BAKER", "BALL",
    "BAND", "BANK", "BARN", "BASIN", "BAT", "BEACH", "BEAD", "BEAN", "BEAR", "BED", "BEE", "BELL",
    "BELT", "BENCH", "BERRY", "BIKE", "BIRD", "BLOCK", "BOAT", "BONE", "BOOK", "BOOT", "BOWL", "BOX",
    "BRAIN", "BREAD", "BRICK", "BRIDE", "BROOM", "BRUSH", "BUCK", "BULB", "BUS", "BUSH", "CABIN", "CABLE",
    "CAFE", "CAKE", "CAMEL", "CAMP", "CANAL", "CANDY", "CAP", "CAR", "CARD", "CART", "CAT", "CAVE",
    "CHAIN", "CHAIR", "CHALK", "CHEF", "CHESS", "CHEST", "CHIN", "CITY", "CLAY", "CLIFF", "CLOCK", "CLOUD",
    "CLUB", "COACH", "COAL", "COAST", "COAT", "COCOA", "COIN", "COMB", "COOK", "CORAL", "CORK", "CORN",
    "COUCH", "COW", "CRAB", "CRANE", "CROWN", "CUP", "CURVE", "DAISY", "DANCE", "DATE", "DEER", "DESK",
    "DIARY", "DICE", "DISH", "DOCK", "DOG", "DOLL", "DOOR", "DOVE", "DRESS", "DRUM", "DUCK", "DUST",
    "EAGLE", "EAR", "EARTH", "EGG", "ELBOW", "ELM", "EXIT", "EYE", "FAIRY", "FAN", "FARM", "FEAST",
    "FENCE", "FERN", "FERRY", "FIELD", "FIG", "FILM", "FISH", "FLAG", "FLAME", "FLOOR", "FLUTE", "FOG",
    "FOOT", "FORK", "FOX", "FRAME", "FROG", "FRUIT", "GATE", "GIANT", "GIFT", "GLASS", "GLOBE", "GLOVE",
    "GOAT", "GOLD", "GOOSE", "GRAPE", "GRASS", "GUEST", "GUIDE", "HAIR", "HALL", "HAND", "HARP", "HAT",
    "HAWK", "HEN", "HERO", "HILL", "HIVE", "HOME", "HONEY", "HOOK", "HORN", "HORSE", "HOTEL", "HOUSE",
    "ICE", "INK", "IRON", "ISLE", "IVY", "JAM", "JAR", "JEEP", "JELLY", "JEWEL", "JUDGE", "JUICE",
    "KEY", "KING", "KITE", "KNEE", "KNIFE", "KNOT", "LABEL", "LAKE", "LAMB", "LAMP", "LEAF", "LEMON",
    "LIFT", "LILY", "LIME", "LION", "LOCK", "LOG", "LUNCH", "MAGIC", "MAP", "MASK", "MEAL", "MELON",
    "MILK", "MILL", "MINT", "MONEY", "MOON", "MOUSE", "MOUTH", "MUD", "MUSIC", "NAIL", "NECK", "NEST",
    "NET", "NIGHT", "NOSE", "NOTE", "NURSE", "NUT", "OAK", "OASIS", "OCEAN", "OIL", "OLIVE", "ONION",
    "OPERA", "OTTER", "OVEN", "OWL", "PAINT", "PALM", "PAN", "PAPER", "PARK", "PASTA", "PEACH", "PEAR",
    "PEN", "PIANO", "PIE", "PIG", "PILOT", "PIN", "PIPE", "PIZZA", "PLANE", "PLANT", "PLATE", "POND",
    "PONY", "POST", "POT", "PUPPY", "QUAIL", "QUEEN", "QUILT", "RADIO", "RAIN", "RAKE", "RAT", "RICE",
    "RIVER", "ROAD", "ROBIN", "ROBOT", "ROCK", "ROOF", "ROOM", "ROOT", "ROPE", "ROSE", "RUG", "SALAD",
    "SALT", "SAND", "SCARF", "SEA", "SEAL", "SEED", "SHEEP", "SHELF", "SHELL", "SHIP", "SHIRT", "SHOE",
    "SHOP", "SILK", "SKY", "SLED", "SMILE", "SNAIL", "SNAKE", "SNOW", "SOAP", "SOCK", "SOFA", "SOUP",
    "SPOON", "STAGE", "STAMP", "STEAM", "STONE", "STORE", "STOVE", "SUGAR", "SUN", "SWAN", "TABLE", "TAXI",
    "TEA", "TENT", "TIE", "TIGER", "TOAST", "TOOTH", "TOWEL", "TOWER", "TOY", "TRAIN", "TRAY", "TREE",
    "TRUCK", "TULIP", "UNCLE", "VAN", "VASE", "VIOLA", "WAGON", "WALL", "WATCH", "WATER", "WAVE", "WELL",
    "WHALE", "WHEAT", "WHEEL", "WIND", "WING", "WOLF", "WOOD", "WOOL", "YARD", "YARN", "ZEBRA", "ZOO",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_sorted_and_many() {
        assert!(WORDS.len() >= 200);
        assert!(WORDS.is_sorted_by(|a, b| a < b));
        for word in WORDS {
            assert!((3..=5).contains(&word.len()), "{word}");
            assert!(word.bytes().all(|c| c.is_ascii_uppercase()), "{word}");
        }
    }
}
