//! What a picture file declares, read here once more and on purpose not with the code under test.
