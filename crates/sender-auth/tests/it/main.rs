//! Each rule of the RFCs, by cases that pass and cases that fail.

mod dns;
mod outcome;
