use std::collections::{BTreeMap, BTreeSet};

use super::{ISSUED_MS, digest, key, state, statement_id, statement_ids, text, texts};
use crate::kind::{
    BindingLevel, BreakGlass, EngineBinding, GateDecision, GateResult, Incident, Observation, ReleaseOrder,
    Response, Role, RollbackOrder, Severity, SignOff, Stage, StageReport, Tier,
};

pub(super) fn release_order() -> ReleaseOrder {
    ReleaseOrder {
        admit_before_ms: ISSUED_MS + 3_600_000,
        approvals: statement_ids(&["approval one", "approval two", "approval three"]),
        checkpoint_age_max_ms: 600_000,
        fallback: state("state safe"),
        from_state: state("state one"),
        policy: statement_id("policy"),
        proposal: statement_id("proposal"),
        serve_until_ms: ISSUED_MS + 7_776_000_000,
        slot: text("eu/claims"),
        tier: Tier::Medium,
        to_state: state("state two"),
        tree_size: 430,
        verdict: statement_id("verdict"),
    }
}

pub(super) fn engine_binding() -> EngineBinding {
    EngineBinding {
        arguments: digest("arguments"),
        binary: digest("engine binary"),
        boot: digest("boot"),
        channel: key("channel key"),
        level: BindingLevel::Launched,
        order: statement_id("order"),
        state: state("state two"),
    }
}

pub(super) fn stage_report() -> StageReport {
    let gate = |gate: &str, decision, statistic_ppm| GateResult {
        decision,
        gate: text(gate),
        limit_ppm: 20_000,
        statistic_ppm,
    };
    StageReport {
        data: digest("stage data"),
        decision: GateDecision::Promote,
        from_ms: ISSUED_MS - 86_400_000,
        gates: BTreeSet::from([
            gate("refusal-rate", GateDecision::Promote, -1_500),
            gate("toxicity", GateDecision::Promote, 9_000),
        ]),
        order: statement_id("order"),
        share_ppm: 50_000,
        stage: Stage::Canary,
        to_ms: ISSUED_MS,
    }
}

pub(super) fn sign_off() -> SignOff {
    SignOff {
        note: Some(digest("note")),
        order: statement_id("order"),
        report: statement_id("stage report"),
        role: Role::Operator,
    }
}

pub(super) fn observation() -> Observation {
    Observation {
        data: digest("window"),
        detector: text("drift-mmd-1.0.0"),
        from_ms: ISSUED_MS - 3_600_000,
        measures: BTreeMap::from([(text("mmd_ppm"), 1_200), (text("requests"), 48_231)]),
        slot: text("eu/claims"),
        state: state("state two"),
        to_ms: ISSUED_MS,
    }
}

pub(super) fn incident() -> Incident {
    Incident {
        observations: statement_ids(&["observation one", "observation two"]),
        order: statement_id("order"),
        response: Response::RollBack,
        severity: Severity::Critical,
        slot: text("eu/claims"),
        summary: Some(digest("what happened, salted")),
    }
}

pub(super) fn rollback_order() -> RollbackOrder {
    RollbackOrder {
        from_state: state("state two"),
        incident: Some(statement_id("incident")),
        order: statement_id("order"),
        reason: text("incident"),
        slot: text("eu/claims"),
        to_state: state("state one"),
    }
}

pub(super) fn break_glass() -> BreakGlass {
    BreakGlass {
        action: text("engine-stopped-by-hand"),
        reason: digest("why, salted"),
        review_by_ms: ISSUED_MS + 259_200_000,
        skipped: texts(&["p-ada", "p-ben"]),
        slot: text("eu/claims"),
    }
}
