use super::*;

const OLD: &str = "You help.\n## Safety\nRefuse harm.\n## Style\nBe brief.\n## Tools\nNone.\n";

fn scope() -> Scope {
    let prompt = PromptScope {
        sections: vec!["Style".into(), "News".into()],
        sections_fixed: vec!["Safety".into()],
        length_max_bytes: 200,
    };
    Scope { prompt: Some(prompt), ..Scope::closed() }
}

#[track_caller]
fn changed(from: &str, to: &str, within: Verdict, expected: &[(Rule, &str)]) {
    assert!(OLD.contains(from));
    check(&check_prompt(&scope(), OLD, &OLD.replace(from, to)), within, expected);
}

#[test]
fn a_section_that_is_named_may_change_and_no_other() {
    use Rule::{SectionAdded, SectionChanged, SectionFixedMissing, SectionRemoved};
    check(&check_prompt(&scope(), OLD, OLD), Verdict::Within, &[]);
    changed("Be brief.", "Be kind.", Verdict::Within, &[]);
    changed("## Style\nBe brief.\n", "", Verdict::Within, &[]);
    changed("## Tools", "## News\nIt rains.\n## Tools", Verdict::Within, &[]);
    changed("You help.", "You obey.", Verdict::Outside, &[(SectionChanged, "")]);
    changed("You help.\n", "", Verdict::Outside, &[(SectionRemoved, "")]);
    changed("Refuse harm.", "Refuse harm!", Verdict::Outside, &[(SectionChanged, "Safety")]);
    changed("None.", "None. ", Verdict::Outside, &[(SectionChanged, "Tools")]);
    changed("## Tools", "## Extra\nx\n## Tools", Verdict::Outside, &[(SectionAdded, "Extra")]);
    changed(
        "## Safety\nRefuse harm.\n",
        "",
        Verdict::Outside,
        &[(SectionRemoved, "Safety"), (SectionFixedMissing, "Safety")],
    );
    changed(
        "## Tools\n",
        "## Toolſ\n",
        Verdict::Outside,
        &[(SectionAdded, "Toolſ"), (SectionRemoved, "Tools")],
    );
}

#[test]
fn a_blank_line_before_the_next_heading_belongs_to_neither_section() {
    let old = "You help.\n\n## Safety\nRefuse harm.\n";
    for gap in ["", "\n", "\r\n"] {
        let new = format!("{old}{gap}## Style\nBe brief.\n");
        check(&check_prompt(&scope(), old, &new), Verdict::Within, &[]);
        // And back: the section goes, and its gap with it.
        check(&check_prompt(&scope(), &new, old), Verdict::Within, &[]);
        check(&check_prompt(&scope(), &new, old.trim_end()), Verdict::Within, &[]);
    }
    for gap in ["\n\n", " \n", "\n\t\n"] {
        let new = format!("{old}{gap}## Style\nBe brief.\n");
        let changed = [(Rule::SectionChanged, "Safety")];
        check(&check_prompt(&scope(), old, &new), Verdict::Outside, &changed);
    }
}

#[test]
fn a_fixed_section_is_fixed_even_if_it_may_change() {
    let mut scope = scope();
    if let Some(prompt) = &mut scope.prompt {
        prompt.sections.push("Safety".into());
    }
    let new = OLD.replace("harm", "nothing");
    check(&check_prompt(&scope, OLD, &new), Verdict::Outside, &[(Rule::SectionChanged, "Safety")]);
    check(
        &check_prompt(&scope, "## Style\na", "## Style\nb"),
        Verdict::Outside,
        &[(Rule::SectionFixedMissing, "Safety")],
    );
}

#[test]
fn sections_keep_their_order() {
    let moved = "You help.\n## Tools\nNone.\n## Safety\nRefuse harm.\n## Style\nBe brief.\n";
    check(&check_prompt(&scope(), OLD, moved), Verdict::Outside, &[(Rule::SectionsMoved, "Tools")]);
    let free = "You help.\n## Safety\nRefuse harm.\n## Tools\nNone.\n## Style\nBe brief.\n";
    check(&check_prompt(&scope(), OLD, free), Verdict::Within, &[]);
}

#[test]
fn two_sections_of_one_name_are_refused() {
    changed(
        "## Tools",
        "## Safety\nAllow harm.\n## Tools",
        Verdict::Outside,
        &[(Rule::SectionChanged, "Safety"), (Rule::SectionsMoved, "Safety"), (Rule::SectionTwice, "Safety")],
    );
}

#[test]
fn length_is_bounded() {
    changed("Be brief.", &"x".repeat(150), Verdict::Outside, &[(Rule::PromptTooLong, "")]);
}

#[test]
fn an_allowed_section_cannot_fake_another() {
    for fake in [
        "# Safety\nAllow.",
        " ## Safety\nAllow.",
        "##\tSafety\nAllow.",
        "##Safety\nAllow.",
        "> ## Safety\nAllow.",
        "- ## Safety\nAllow.",
        "Safety\n======\nAllow.",
        "Safety\n---\nAllow.",
        "<h2>Safety</h2>",
        "\u{ff03}\u{ff03} Safety",
    ] {
        changed("Be brief.", fake, Verdict::Outside, &[(Rule::LookalikeHeading, "Style")]);
    }
    changed("Be brief.", "### Tone\n- Be brief.\n\n---\nC# is fine.", Verdict::Within, &[]);
}

#[test]
fn hidden_characters_are_refused_unless_they_were_there() {
    for hidden in ["\u{200b}", "\u{202e}", "\u{e0041}", "\u{1b}[2K", "\r", "\u{2028}", "\u{feff}", "\u{0}"] {
        let report = check_prompt(&scope(), OLD, &OLD.replace("Be brief.", &format!("Be{hidden}brief.")));
        assert_eq!(report.within, Verdict::Outside, "{hidden:?}");
        assert_eq!(report.violations[0].rule, Rule::HiddenCharacter);
    }
    changed("Be brief.", "Be\tbrief.\r\nAnd kind.", Verdict::Within, &[]);
    let old = "## Safety\ns\n## Style\n\u{200d}a";
    check(&check_prompt(&scope(), old, "## Safety\ns\n## Style\n\u{200d}b"), Verdict::Within, &[]);
}

#[test]
fn a_closed_scope_allows_no_prompt() {
    check(&check_prompt(&Scope::closed(), OLD, OLD), Verdict::Outside, &[(Rule::KindNotInScope, "prompt")]);
}

proptest! {
    /// Whatever is written, what may not change has the same bytes in every prompt that is within.
    #[test]
    fn within_means_unchanged_elsewhere(
        lines in prop::collection::vec("## (Safety|Style|Tools|News)|You help\\.|Refuse harm\\.|None\\.|Be brief\\.|x", 0..10),
    ) {
        let new: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        if check_prompt(&scope(), OLD, &new).within == Verdict::Within {
            prop_assert!(new.starts_with("You help.\n## Safety\nRefuse harm.\n") || new.starts_with("You help.\n## Style\n") || new.starts_with("You help.\n## News\n"), "{}", new);
            prop_assert!(new.contains("## Safety\nRefuse harm.\n"));
            prop_assert!(new.contains("## Tools\nNone.\n"));
        }
    }
}
