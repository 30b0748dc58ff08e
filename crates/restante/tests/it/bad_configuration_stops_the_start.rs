//! A wrong setting stops the start and says where and how to mend it.

use std::fs;

use crate::harness::{House, words};

#[test]
fn an_unknown_setting_is_named_with_file_and_line() {
    let mut house = House::new();
    house.stop();
    let path = house.installation.data.join("restante.toml");
    let good = fs::read_to_string(&path).unwrap();
    let line = good.lines().count() + 2;
    fs::write(&path, format!("{good}\nno_such_setting = 7\n")).unwrap();
    let output = house.installation.command(&["serve"]).unwrap();
    let text = words(&output);
    assert!(!output.status.success());
    assert!(text.contains("restante.toml"), "no file in: {text}");
    assert!(text.contains(&line.to_string()), "no line {line} in: {text}");
    assert!(text.contains("no_such_setting"), "no name in: {text}");
    fs::write(&path, good).unwrap();
    house.start();
}

#[test]
fn init_does_not_touch_an_installation_that_is_there() {
    let mut house = House::new();
    house.stop();
    let before = fs::read(house.installation.data.join("restante.toml")).unwrap();
    let again = ["init", "--hostname", "x.test", "--domain", "x.test", "--account", "a@x.test"];
    assert!(!house.installation.command(&again).unwrap().status.success());
    assert_eq!(fs::read(house.installation.data.join("restante.toml")).unwrap(), before);
}

#[test]
fn two_servers_cannot_have_one_directory() {
    let house = House::new();
    let second = house.installation.command(&["serve"]).unwrap();
    assert!(!second.status.success(), "{}", words(&second));
}
