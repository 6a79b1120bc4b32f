use super::*;

fn one(bytes: &[u8]) -> Pickle<'_> {
    Pickle::read_at(bytes, 0, &Limits::STANDARD)
}

fn text(text: &str) -> Vec<u8> {
    [&[0x8c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn imports(pickle: &Pickle<'_>) -> Vec<String> {
    pickle.imports.iter().map(Import::show).collect()
}

fn ids(bytes: &[u8]) -> Vec<&'static str> {
    AllowList::standard().objections(&one(bytes)).iter().map(|objection| objection.concern.id()).collect()
}

#[test]
fn the_lists_are_read() {
    let list = AllowList::standard();
    assert_eq!(list.class("torch._utils", "_rebuild_tensor_v2"), Class::Allowed);
    assert_eq!(list.class("collections", "OrderedDict"), Class::Allowed);
    assert_eq!(list.class("torch.storage", "_load_from_bytes"), Class::Loads);
    assert_eq!(list.class("posix", "system"), Class::Commands);
    assert_eq!(list.class("os", "path.join"), Class::Commands);
    assert_eq!(list.class("collections", "OrderedDict.__init__.__globals__"), Class::Unknown);
    assert_eq!(list.class("builtins", "getattr"), Class::Attributes);
    assert_eq!(list.class("nowhere", "thing"), Class::Unknown);
    assert_eq!(list.class("__torch__.Net", "Net"), Class::Unknown);
    assert_eq!(AllowList::script().class("__torch__.net", "Net"), Class::Allowed);
    assert_eq!(AllowList::script().class("__torch__x", "Net"), Class::Unknown);
    assert_eq!(AllowList::read("a b"), Err(Error::AllowList { line: 1 }));
    assert_eq!(AllowList::read("# x\n\na: b[utf8]"), Err(Error::AllowList { line: 3 }));
    // No name is on both lists.
    for line in include_str!("dangerous.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((_, names)) = line.split_once(": ") else { continue };
        for name in names.split_whitespace() {
            if let Some((module, name)) = name.rsplit_once('.') {
                assert_ne!(list.class(module, name), Class::Allowed, "{module}.{name}");
            }
        }
    }
}

#[test]
fn every_way_to_import_is_named() {
    assert_eq!(imports(&one(b"cos\nsystem\n.")), ["os.system"]);
    assert_eq!(imports(&one(b"(ios\nsystem\n.")), ["os.system"]);
    let stack_global = [b"\x80\x04".as_slice(), &text("os"), &text("system"), b"\x93."].concat();
    assert_eq!(imports(&one(&stack_global)), ["os.system"]);
    // Through the memo, and with rubbish between.
    let memo = [&text("os"), b"\x94q\x050".as_slice(), &text("system"), b"\x940h\x00h\x02\x93."].concat();
    assert_eq!(imports(&one(&memo)), ["os.system"]);
    // Protocol 0 strings with escapes.
    assert_eq!(imports(&one(b"S'\\x6f\\163'\nVsys\\u0074em\n\x93.")), ["os.system"]);
    // Put together by a call.
    let added = [b"coperator\nadd\n".as_slice(), &text("o"), &text("s"), b"\x86R", &text("system"), b"\x93."];
    assert_eq!(imports(&one(&added.concat())), ["operator.add", "os.system"]);
    // Of bytes, of a number, of what a call returns: not resolved.
    for hidden in [b"C\x02os".as_slice(), b"K\x01", b"cos\ngetcwd\n)R"] {
        let bytes = [hidden, &text("system"), b"\x93."].concat();
        assert_eq!(imports(&one(&bytes)).last().unwrap(), "?.system");
        assert!(ids(&bytes).contains(&"pickle-unresolved-import"));
    }
    for code in [b"\x82\x07.".as_slice(), b"\x83\x07\0.", b"\x84\x07\0\0\0."] {
        assert_eq!(imports(&one(code)), ["extension 7"]);
        assert_eq!(ids(code), ["pickle-unresolved-import"]);
    }
}

#[test]
fn every_way_to_call_is_noted() {
    let list = AllowList::standard();
    for (bytes, opcode) in [
        (b"cos\nsystem\nX\x02\0\0\0id\x85R.".as_slice(), "REDUCE"),
        (b"(X\x02\0\0\0idios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nX\x02\0\0\0ido.", "OBJ"),
        (b"cos\nsystem\nX\x02\0\0\0id\x85\x81.", "NEWOBJ"),
        (b"cos\nsystem\nX\x02\0\0\0id\x85}\x92.", "NEWOBJ_EX"),
    ] {
        let pickle = one(bytes);
        assert!(pickle.is_whole(), "{opcode}: {:?}", pickle.fault);
        assert_eq!(pickle.calls.len(), 1);
        assert_eq!(pickle.calls[0].opcode, opcode);
        let objections = list.objections(&pickle);
        let call =
            objections.iter().find(|objection| objection.opcode == opcode && objection.subject.contains('('));
        assert_eq!(call.unwrap().subject, "os.system('id')");
        assert_eq!(call.unwrap().concern, Concern::Call(Class::Commands));
    }
}

#[test]
fn changes_of_imported_objects_are_noted() {
    let build = b"ccollections\nOrderedDict\n}X\x01\0\0\0a K\x01sb.";
    let bytes: Vec<u8> = build.iter().copied().filter(|byte| *byte != b' ').collect();
    assert_eq!(ids(&bytes), ["pickle-changed-import"]);
    assert_eq!(ids(b"ccollections\nOrderedDict\nK\x01K\x02s."), ["pickle-changed-import"]);
    assert_eq!(ids(b"ccollections\nOrderedDict\n(K\x01K\x02e."), ["pickle-changed-import"]);
    // What an allowed call made may be filled.
    assert_eq!(ids(b"ccollections\nOrderedDict\n)RK\x01K\x02s}b."), [] as [&str; 0]);
}

#[test]
fn calling_what_a_call_returned_is_noted() {
    let bytes = b"ccollections\nOrderedDict\n)R)R.";
    assert_eq!(ids(bytes), ["pickle-call-of-result"]);
    assert_eq!(ids(b"Pid\n)R."), ["pickle-call-of-result"]);
}

#[test]
fn encode_only_with_latin1() {
    let bytes =
        |encoding: &str| [b"c_codecs\nencode\n".as_slice(), &text("x"), &text(encoding), b"\x86R."].concat();
    assert!(ids(&bytes("latin1")).is_empty());
    assert_eq!(ids(&bytes("zlib")), ["pickle-arguments"]);
}

#[test]
fn what_stands_before_a_break_counts() {
    for broken in [
        b"cos\nsystem\nX\x02\0\0\0id\x85R".as_slice(),
        b"cos\nsystem\nX\x02\0\0\0id\x85R\xff\xff",
        b"cos\nsystem\nX\x02\0\0\0id\x85RX\xff\xff\xff\xffx",
        b"cos\nsystem\nX\x02\0\0\0id\x85R00000.",
        b"cos\nsystem\nX\x02\0\0\0id\x85Rh\x09.",
    ] {
        let pickle = one(broken);
        assert!(!pickle.is_whole());
        assert_eq!(pickle.calls.len(), 1, "{broken:?}");
        assert!(!pickle.calls[0].after_fault);
        assert!(pickle.fault.as_ref().unwrap().kind.code().starts_with("CS-TSR-22"));
        assert_eq!(ids(broken), ["pickle-dangerous-import", "pickle-dangerous-call", "pickle-fault"]);
    }
    // After a fault of the stack the walk goes on.
    let pickle = one(b"0cos\nsystem\n.");
    assert!(pickle.imports[0].after_fault && pickle.top.is_some());
    // A last line without its end, of which Python drops the last byte.
    assert_eq!(imports(&one(b"cos\nsystemX")), ["os.system"]);
}

#[test]
fn several_pickles_in_one_stream() {
    let stream = Stream::read(b"\x80\x02N.\x80\x02cos\nsystem\n.N.garbage", &Limits::STANDARD).unwrap();
    assert_eq!(stream.pickles.len(), 3);
    assert_eq!(imports(&stream.pickles[1]), ["os.system"]);
    assert_eq!(stream.pickles[1].begin, 4);
    assert_eq!(stream.trailing_at, Some(20));
    let stream = Stream::read(b"N.\xff\xff", &Limits::STANDARD).unwrap();
    assert_eq!((stream.pickles.len(), stream.trailing_at), (1, Some(2)));
    // One that breaks after an import is a pickle all the same.
    let stream = Stream::read(b"N.cos\nsystem\n\xff", &Limits::STANDARD).unwrap();
    assert_eq!(stream.pickles.len(), 2);
    assert_eq!(Stream::read(b"", &Limits::STANDARD).unwrap_err(), Error::Empty);
}

#[test]
fn values_are_followed() {
    let pickle = one(b"\x80\x02}q\x00(X\x01\0\0\0aK\x01X\x01\0\0\0b(J\xff\xff\xff\xffI01\nL5L\nF1.5\nG?\xf0\0\0\0\0\0\0tu.");
    assert!(pickle.is_whole(), "{:?}", pickle.fault);
    let Value::Dict(entries) = pickle.value(pickle.top.unwrap()) else { panic!() };
    assert_eq!(pickle.text(entries[0].0), Some("a"));
    assert_eq!(pickle.integer(entries[0].1), Some(1));
    let items = pickle.items(entries[1].1).unwrap();
    assert_eq!(pickle.integer(items[0]), Some(-1));
    assert_eq!(*pickle.value(items[1]), Value::Bool(true));
    assert_eq!(pickle.integer(items[2]), Some(5));
    assert_eq!(*pickle.value(items[3]), Value::Float(1.5));
    assert_eq!(*pickle.value(items[4]), Value::Float(1.0));
    assert_eq!(pickle.show(pickle.top.unwrap()), "{'a', 'b': …}");
}

#[test]
fn deep_and_dense_pickles_are_bounded() {
    // A million nested tuples, lists in lists, marks.
    let deep = [b")".to_vec(), b"\x85".repeat(1_000_000), b".".to_vec()].concat();
    assert!(one(&deep).is_whole());
    drop(one(&deep).show(one(&deep).top.unwrap()));
    let lists = [b"]".repeat(1_000_000), b"a".repeat(999_999), b".".to_vec()].concat();
    assert!(one(&lists).is_whole());
    assert!(!one(&b"(".repeat(1_000_000)).is_whole());
    // Each level refers ten times to the one below: values stay as many as instructions.
    let mut laughs = b"(lp0\n".to_vec();
    for level in 0..1000 {
        laughs.extend(format!("({}lp{}\n", format!("g{level}\n").repeat(10), level + 1).as_bytes());
    }
    laughs.push(b'.');
    let pickle = one(&laughs);
    assert!(pickle.is_whole());
    assert!(pickle.show(pickle.top.unwrap()).len() < 2000);
    // A list that holds itself.
    let pickle = one(b"]q\x00h\x00a.");
    assert!(pickle.is_whole());
    assert_eq!(pickle.show(pickle.top.unwrap()), "[[[[…]]]]");
    // Lengths of four gibibytes and more.
    for bytes in [
        b"B\xff\xff\xff\xff".as_slice(),
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\xff",
        b"T\xff\xff\xff\xff",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(!one(bytes).is_whole());
    }
    // A memo place for which C Python asks for gigabytes.
    assert_eq!(ids(b"Nr\xff\xff\xff\xff."), ["pickle-memo-place"]);
    let few = Limits { values: 10, events: 2, pickles: 1 };
    let pickle = Pickle::read_at(&[b'N'; 100], 0, &few);
    assert_eq!(pickle.fault.unwrap().kind, FaultKind::TooMany(10));
    let pickle = Pickle::read_at(b"ca\nb\nca\nb\nca\nb\n.", 0, &few);
    assert_eq!((pickle.imports.len(), pickle.fault.unwrap().kind), (2, FaultKind::TooMany(2)));
}

#[test]
fn every_byte_as_an_instruction_is_answered() {
    for byte in 0..=255_u8 {
        for tail in [
            b"".as_slice(),
            b"\0\0\0\0\0\0\0\0\0.",
            b"\n\n.",
            b"1\n1\n.",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            for head in [b"".as_slice(), b"N", b"(", b"(NN", b"]N", b"]]]", b"N)}"] {
                let bytes = [head, &[byte], tail].concat();
                let pickle = one(&bytes);
                drop(AllowList::script().objections(&pickle));
                if let Some(top) = pickle.top {
                    drop(pickle.show(top));
                }
            }
        }
    }
}
